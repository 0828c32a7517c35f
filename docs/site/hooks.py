"""What MkDocs is told besides its configuration: pages and files that lie outside `docs/`, and how our blocks are marked.

On the forge every link leads to the file itself. On the site a link out of `docs/` leads to a copy of that file, as text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {"deploy/README.md": "how-to/deploy.md"}
"""Pages that lie beside what they tell of, and where they are on the site."""

SCRIPT = "iframe-worker.js"
"""What lets the search work in a page that is opened from a folder."""

_LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+|\.\.(?:/\.\.)+/[^)#\s]+)")
_MARK = re.compile(r"^( *```console) \w+$", re.MULTILINE)
_SHALLOW = re.compile(r"^ {3}(?=\S)", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and a copy of every file that a page links."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, f"assets/{SCRIPT}", abs_src_path=str(Path(__file__).with_name(SCRIPT))))
    linked = {path for file in files.documentation_pages() for path in _outside(file)}
    for path in sorted(linked - PAGES.keys()):
        files.append(File.generated(config, _copy_of(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Lead links out of `docs/` to their copies, and drop our marks, of which only the tests know."""
    here = PurePosixPath(page.file.src_uri).parent

    def led(found: re.Match[str]) -> str:
        path = _resolved(page.file, found[1])
        if path is None:
            return found[1]
        return os.path.relpath(PAGES.get(path) or _copy_of(path), here)

    # Markdown as the forge reads it puts a list's further lines three blanks in, Python's reader four.
    return _SHALLOW.sub("    ", _MARK.sub(r"\1", _LINK.sub(led, markdown)))


def _outside(file: File) -> list[str]:
    """The files outside `docs/` that a page links."""
    found = (_resolved(file, link) for link in _LINK.findall(file.content_string))
    return [path for path in found if path is not None]


def _resolved(file: File, link: str) -> str | None:
    """A link's file, from the project's root; None where it is within `docs/` or not there."""
    source = next((path for path, target in PAGES.items() if target == file.src_uri), f"docs/{file.src_uri}")
    path = os.path.normpath(PurePosixPath(source).parent / link)
    return path if not path.startswith("docs/") and (ROOT / path).is_file() else None


def _copy_of(path: str) -> str:
    """Where a file's copy is on the site: as text, so that a browser shows it."""
    return f"source/{path}.txt"
