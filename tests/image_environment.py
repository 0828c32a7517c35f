"""The Python environment of an image without building it: the packages that its file pins, and no others."""

from __future__ import annotations

import re
import venv
from importlib import metadata
from pathlib import Path

from tests.dockerfile import ROOT

_SCRIPT = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def pins(constraints: str) -> dict[str, str]:
    """Package to version, of a file of pins."""
    text = (ROOT / constraints).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def environment_of(constraints: str, to: Path, *, without: str = "") -> Path:
    """Make a virtual environment of what a file pins, linked to what is installed here; return its folder of programs.

    Neither this environment's other packages nor the project's own checkout can be imported in it.

    Args:
        without: a package that is left out, as if it were not pinned.
    """
    builder = venv.EnvBuilder(symlinks=True, with_pip=False)
    builder.create(to)
    context = builder.ensure_directories(to)
    (site,) = to.glob("lib/python*/site-packages")
    for name in pins(constraints).keys() - {without}:
        _link(metadata.distribution(name), site)
    programs = Path(context.bin_path)
    (command,) = metadata.distribution("gunicorn").entry_points.select(group="console_scripts", name="gunicorn")
    script = programs / command.name
    script.write_text(_SCRIPT.format(python=context.env_exec_cmd, module=command.module, function=command.attr))
    script.chmod(0o755)
    return programs


def _link(package: metadata.Distribution, site: Path) -> None:
    for file in package.files or []:
        if ".." not in file.parts:
            link = site / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(file.locate())))
