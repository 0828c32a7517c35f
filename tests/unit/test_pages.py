"""The pages say what is so: every command, option, path and name in them is one of the code's, and none is left unchecked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from coordinator.rules.lifecycle import Status
from docs.site import reference
from local.cli.main import commands
from tests.documents import PAGES, ROOT, Block, blocks
from worker.systems import SYSTEMS

README_BYTES = 9_000
NOT_RUN = {"cloud", "emulators", "long"}
"""Marks of console blocks that no test runs: what they need is not at hand."""
MADE_BY_RUNNING = (".tipoff", ".venv", "build", "my-games")
PROGRAMS = r"(?:\$ |\.venv/bin/)?(?:tipoff|make|gcloud|bq|curl|git|pip|python3?|docker|deploy/\w+\.sh)\s"
ENDED = ("gcloud", "bq", "curl", "cp", "git commit", "deploy/", "URL=", "TOKEN=", "PATH=")
"""How a command may begin that is somebody else's; gcloud's own parser looks at its commands in `test_deploy_files`."""


def text_of(page: str) -> str:
    """A page as it stands."""
    return (ROOT / page).read_text(encoding="utf-8")


def targets() -> set[str]:
    """The targets of the Makefile that are commands."""
    return set(re.findall(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)[0].split())


def help_texts() -> str:
    """What the commands say of themselves."""
    return "\n".join(command.help or "" for _, command in reference.walked(commands))


def check_command(line: str) -> None:
    """Hold a shown command to what there is: its name and options, or its make target."""
    first, *words = shlex.split(line.partition(" | ")[0], comments=True)
    if first == "make":
        assert [word for word in words if "=" not in word and word not in targets()] == [], line
        return
    if not re.fullmatch(r"(\.venv/bin/)?tipoff", first):
        assert line.startswith(ENDED), f"{line}: nobody checks it"
        return
    command: click.Command = commands
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, line
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_in_a_block_that_a_test_looks_at(page: str) -> None:
    for block in blocks(page):
        if block.language == "console":
            assert block.mark in {"", "stays", *NOT_RUN}, f"{page}: no such mark: {block.mark!r}"
            assert block.commands != []
        elif block.language in ("", "sh", "bash", "shell"):
            assert re.search(rf"^\s*{PROGRAMS}", block.text, re.MULTILINE) is None, (
                f"{page}: mark it console\n{block.text}"
            )


@pytest.mark.parametrize("page", PAGES)
def test_a_command_that_is_not_run_exists_with_its_options(page: str) -> None:
    for block in blocks(page):
        if block.language == "console" and block.mark in NOT_RUN:
            for line, _ in block.commands:
                check_command(line)


@pytest.mark.parametrize("page", PAGES)
def test_a_command_within_a_sentence_exists_with_its_options(page: str) -> None:
    for line in re.findall(r"`((?:\.venv/bin/)?tipoff [^`]+|make [a-z-][^`]*)`", text_of(page)):
        check_command(line)


def test_the_examples_of_the_help_can_be_typed() -> None:
    examples = re.findall(r"^ *(tipoff .*)$", re.sub(r"\\\n *", "", help_texts()), re.MULTILINE)

    assert len(examples) > 40
    for line in examples:
        check_command(re.split(r"\s{3,}", line)[0])


@pytest.mark.parametrize("page", reference.pages())
def test_the_reference_is_what_the_code_says(page: str) -> None:
    written = (reference.FOLDER / page).read_text(encoding="utf-8")

    assert written == reference.pages()[page], "run `make docs` and commit what it wrote"


def test_the_readme_is_short_and_shows_a_picture() -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text_of("README.md"))

    assert len(text_of("README.md").encode()) <= README_BYTES
    assert 20_000 < (ROOT / picture).stat().st_size < 150_000


def test_every_state_that_is_mentioned_exists() -> None:
    states = {status.value for status in Status} | {"EMPTY"}

    for page in PAGES:
        assert set(re.findall(r"\b(?:is|ends?|ended as) ([A-Z]{5,})\b", text_of(page))) <= states | {
            "DONE",
            "NULLABLE",
            "REQUIRED",
        }


def test_every_prediction_system_is_listed_in_order() -> None:
    (body,) = re.findall(
        r"^\| system \| how it predicts \|\n\|[-|]+\|\n((?:\|.*\n)+)", text_of("docs/model_card.md"), re.MULTILINE
    )

    assert re.findall(r"^\| `(\w+)`", body, re.MULTILINE) == list(SYSTEMS)


def paths() -> list[tuple[str, str]]:
    """Every path of the project that a page names: in a link, from the page; in backticks, from the project or its page."""
    found = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
        found += [(page, str(Path(page).parent / path)) for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
        quoted = re.findall(r"`((?:[\w.-]+/)+[\w.*-]*|Dockerfile\.\w+|Makefile)`", text)
        if page in ("README.md", "docs/CONTRIBUTING.md"):
            found += [(page, path) for path in quoted if not path.startswith(MADE_BY_RUNNING)]
    return sorted(set(found))


def test_every_path_that_is_named_exists() -> None:
    assert [named for named in paths() if not (ROOT / named[1]).exists()] == []


def test_every_package_and_folder_of_tests_is_listed() -> None:
    folders = text_of("docs/CONTRIBUTING.md").partition("## The folders\n")[2]
    listed = dict(re.findall(r"^\| `(\w+)/` \| (.*) \|$", folders, re.MULTILINE))

    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    kinds = {file.parent.name for file in (ROOT / "tests").glob("*/test_*.py")}
    assert packages | {"bench", "docs", "tests"} <= listed.keys()
    assert [kind for kind in kinds if kind not in listed["tests"]] == []


def test_a_block_is_taken_apart_as_it_stands() -> None:
    block = Block("console", "cloud", "$ tipoff run \\\n  --json\n{}\n$ tipoff status\n")

    assert block.commands == [("tipoff run    --json", ["{}"]), ("tipoff status", [])]
    assert Block("console", "", "tipoff run\n\ntipoff status\n").commands == [("tipoff run", []), ("tipoff status", [])]
