"""local-bigquery: a server that speaks BigQuery's own REST and gRPC, in an environment made once per machine.

Knows how that environment is made and how the server is started. It needs a Python of its own, so it is a process and
never an import.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.emulated.processes import answering
from shared.errors import InvalidInput, Unavailable

VERSION = "0.3.2"
_PYTHON = "python3.13"
# Its catalogue is a DuckDB extension; the newest one that can be installed as a package goes with this DuckDB.
_REQUIREMENTS = (
    f"local-bigquery=={VERSION}",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-ducklake==1.5.5",
    "duckdb-extension-icu==1.5.5",
    "duckdb-extension-spatial==1.5.5",
)
_IMPORT_EXTENSIONS = (
    "from duckdb_extensions import import_extension as take; [take(name) for name in ('ducklake', 'icu', 'spatial')]"
)
_SERVER = Path(__file__).with_name("local_bigquery_server.py")
_BUILD_SECONDS = 900


@dataclass(frozen=True, slots=True)
class LocalBigquery:
    """A running server."""

    rest: str
    """`http://host:port` of the REST API."""
    grpc: str
    """`host:port` of the Storage API."""

    @property
    def environment(self) -> dict[str, str]:
        """How the services are told of it."""
        return {"BIGQUERY_EMULATOR_HOST": self.rest, "BIGQUERY_STORAGE_EMULATOR_HOST": self.grpc}


@contextmanager
def local_bigquery(data: Path, *, environ: Mapping[str, str], log: Path) -> Iterator[LocalBigquery]:
    """Run a server on free loopback ports for the length of the block; makes its environment where there is none.

    Args:
        data: folder of its tables and jobs, made when absent. Started again on the same folder it has them all again;
            one server at a time may use it.
        environ: where to look for Python and for the cache folder (`PATH`, `HOME`, `PYENV_ROOT`, `XDG_CACHE_HOME`).
        log: file for the server's output.

    Raises:
        InvalidInput: this machine has no Python 3.13.
        Unavailable: the environment could not be made, or the server did not start.
    """
    home = ensure_environment(environ)
    data.mkdir(parents=True, exist_ok=True)
    # -P: a script's folder is else searched first, and ours has a module of the package's name.
    command = [
        str(home / "venv" / "bin" / "python"),
        "-P",
        str(_SERVER),
        "--host",
        "127.0.0.1",
        "--data-dir",
        str(data),
    ]
    with answering(
        lambda ports: [*command, "--port", str(ports[0]), "--grpc-port", str(ports[1])],
        path="/bigquery/v2/projects/local/datasets",
        environ={**environ, "HOME": str(home)},
        folder=data,
        log=log,
    ) as (rest, grpc):
        yield LocalBigquery(rest=f"http://127.0.0.1:{rest}", grpc=f"127.0.0.1:{grpc}")


def ensure_environment(environ: Mapping[str, str]) -> Path:
    """Return the environment's folder, making it when it is absent, half made or of other packages (850 MB, a minute or more).

    Processes that ask at the same time wait for the one that makes it.

    Raises:
        InvalidInput: this machine has no Python 3.13.
        Unavailable: a package could not be had.
    """
    home = _cache_folder(environ) / f"local-bigquery-{VERSION}"
    stamp, made_of = home / "complete", "\n".join(_REQUIREMENTS)
    home.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != made_of:
            python = find_python(environ)
            shutil.rmtree(home)
            home.mkdir()
            _build(home, python, environ)
            stamp.write_text(made_of, encoding="utf-8")
    return home


def find_python(environ: Mapping[str, str]) -> Path:
    """Find a Python 3.13 on the PATH or among pyenv's versions; one that does not run (a shim) does not count.

    Raises:
        InvalidInput: there is none.
    """
    on_path = shutil.which(_PYTHON, path=environ.get("PATH", ""))
    versions = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "~")).expanduser() / ".pyenv") / "versions"
    found = [Path(on_path)] if on_path else []
    for python in (*found, *sorted(versions.glob(f"3.13*/bin/{_PYTHON}"))):
        answer = subprocess.run([python, "--version"], capture_output=True, text=True, check=False, env=dict(environ))  # noqa: S603 - as found
        if answer.returncode == 0 and answer.stdout.startswith("Python 3.13"):
            return python
    raise InvalidInput("local-bigquery", f"needs Python 3.13; install {_PYTHON} on the PATH or with pyenv")


def _cache_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".cache"
    return Path(base) / "tipoff"


def _build(home: Path, python: Path, environ: Mapping[str, str]) -> None:
    own = home / "venv" / "bin" / "python"
    _run([str(python), "-m", "venv", str(home / "venv")], environ)
    _run([str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS], environ)
    # The extensions' files go where DuckDB looks for them, below HOME; the server is started with the same one.
    _run([str(own), "-c", _IMPORT_EXTENSIONS], {**environ, "HOME": str(home)})


def _run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS, env=dict(environ)
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"local-bigquery's environment: {' '.join(command)} did not end in time") from error
    if done.returncode != 0:
        raise Unavailable(f"local-bigquery's environment: {' '.join(command)} failed:\n{done.stderr[-2000:]}")
