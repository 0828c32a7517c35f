"""The house rules that no other tool checks: who knows the outside world, sizes, reasons, pins."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("coordinator", "worker", "shared", "schemas", "local")

IO_LIBRARIES = {
    *("flask", "werkzeug", "gunicorn", "google", "grpc", "requests", "duckdb", "sqlite3", "opentelemetry"),
    *("urllib.request", "http.client", "http.server", "socket", "socketserver", "subprocess", "ssl", "smtplib"),
}
KNOWS_IO = {
    "coordinator.app",
    "coordinator.routes.exchange",
    "coordinator.routes.forms",
    "coordinator.routes.openapi",
    "coordinator.routes.pushes",
    "coordinator.routes.schedule",
    "coordinator.routes.buttons",
    "coordinator.routes.frame",
    "coordinator.routes.pages",
    "coordinator.routes.route",
    "coordinator.main",
    "local.emulated.cloud_faults",
    "local.emulated.cloud_inputs",
    "local.emulated.cloud_stack",
    "local.one_machine.coordinator_client",
    "local.one_machine.proxy",
    "local.one_machine.csv_source",
    "local.emulated.emulators",
    "local.one_machine.export",
    "local.one_machine.gcloud",
    "local.one_machine.identity",
    "local.one_machine.csv_inputs",
    "local.emulated.local_bigquery",
    "local.one_machine.past_games",
    "local.emulated.processes",
    "local.emulated.provision",
    "local.one_machine.push_http",
    "local.one_machine.serving",
    "local.one_machine.push_log",
    "local.cli.targets",
    "shared.adapters.bigquery",
    "shared.adapters.bigquery_clients",
    "shared.adapters.duckdb",
    "shared.adapters.duckdb_schema",
    "shared.adapters.firestore",
    "shared.adapters.model_files",
    "shared.adapters.otlp",
    "shared.adapters.proto_rows",
    "shared.adapters.pubsub",
    "shared.adapters.sqlite",
    "shared.auth",
    "shared.edge",
    "shared.gunicorn_conf",
    "shared.logs",
    "shared.push_answers",
    "worker.app",
    "worker.main",
}
"""Modules that may import an I/O library. Before adding one: can the work go behind a port instead?"""

READS_ENVIRONMENT = {"coordinator.main", "worker.main", "local.cli.main", "shared.gunicorn_conf"}

CLOCKS_AND_CHANCE = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.sleep"),
    *("uuid.uuid1", "uuid.uuid4", "os.urandom", "secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe"),
    *("random.random", "random.choice", "random.randint", "random.uniform", "random.shuffle"),
}
EDGE = re.compile(
    r"(coordinator|worker)\.(app|main)|coordinator\.routes\..+|local\..+|shared\.(adapters\..+|auth|edge|tracing)"
)

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 50


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def python_files() -> list[Path]:
    """Every Python file of the project, tests and all."""
    folders = [ROOT / folder for folder in (*PACKAGES, "tests", "bench", "deploy", "docs")]
    return [file for folder in folders for file in sorted(folder.rglob("*.py"))]


@cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> set[str]:
    """Every module that a file imports, wherever in the file, with all its parents."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:depth]) for name in found for depth in range(1, name.count(".") + 2)}


def mentioned(file: Path) -> set[str]:
    """Every `name.attribute` and every `from module import name` of a file, as `name.attribute`."""
    found = {name for name in imported(file) if "." in name}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            found.add(f"{owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, 'id', '')}.{node.attr}")
    return found


def where(file: Path, line: int) -> str:
    """A place as editors understand it."""
    return f"{file.relative_to(ROOT)}:{line}"


# --- who knows the outside world ------------------------------------------------------------------------------


def test_only_the_listed_modules_import_an_io_library() -> None:
    knowing = {name for name, file in modules().items() if imported(file) & IO_LIBRARIES}

    assert knowing <= KNOWS_IO, f"these must not know an I/O library: {sorted(knowing - KNOWS_IO)}"
    assert knowing >= KNOWS_IO, f"take these off the list: {sorted(KNOWS_IO - knowing)}"


def test_only_main_and_the_command_read_the_environment() -> None:
    reading = {name for name, file in modules().items() if mentioned(file) & {"os.environ", "os.getenv", "os.environb"}}

    assert reading <= READS_ENVIRONMENT


def test_rules_and_use_cases_read_no_clock_and_draw_no_ids() -> None:
    reading = {
        name: found
        for name, file in modules().items()
        if not EDGE.fullmatch(name) and (found := mentioned(file) & CLOCKS_AND_CHANCE)
    }

    assert reading == {}


def test_every_package_is_installed_and_no_other() -> None:
    folders = {name for name, file in modules().items() if file.name == "__init__.py"}

    assert set(pyproject()["tool"]["setuptools"]["packages"]) == folders


# --- sizes and reasons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", python_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_short_enough_to_be_read_at_once(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LINES_OF_A_FILE


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{where(file, node.lineno)} {node.name}"
        for file in python_files()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.body[0].lineno >= LINES_OF_A_FUNCTION
    ]

    assert long == []


def comments(file: Path) -> Iterator[tuple[int, str]]:
    """Every comment of a file with its line."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_every_silenced_check_says_why() -> None:
    silencing = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no|nosec)")
    reasoned = re.compile(r"#\s*(noqa:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*|type:\s*ignore\[[\w, -]+\])[\s#–-]+\w\S* \w")
    # These two say it themselves: the library ships no types.
    untyped = re.compile(r"#\s*type:\s*ignore\[(no-untyped-call|import-untyped)\]")

    bare = [
        where(file, line)
        for file in python_files()
        for line, text in comments(file)
        if silencing.search(text) and not reasoned.search(text) and not untyped.search(text)
    ]

    assert bare == []


def test_every_ignored_lint_rule_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r'^(?:ignore|"tests/\*\*") = \[\n(.*?)^\]', text, re.DOTALL | re.MULTILINE)

    assert len(lists) == 2
    for line in "".join(lists).splitlines():
        assert re.fullmatch(r'\s+("[A-Z]+[0-9]+", *)+ # \S.+', line), line


# --- pins -----------------------------------------------------------------------------------------------------


def pyproject() -> dict[str, dict[str, dict[str, list[str]]]]:
    """The project's own declaration."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name: str) -> dict[str, str]:
    """Package to version, of a constraints file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def declared(requirements: list[str]) -> set[str]:
    """The normalized names of requirements."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", text)[0]).lower() for text in requirements}


PARTS = {
    "constraints-coordinator.txt": ["coordinator"],
    "constraints-worker.txt": ["worker"],
    "constraints-run.txt": ["coordinator", "worker", "local"],
}
"""What each image, and `make run`, install, and the extras that it is made of."""


@pytest.mark.parametrize("name", PARTS)
def test_every_declared_dependency_of_a_part_is_pinned_and_of_nothing_else(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra: declared(texts) for extra, texts in project["optional-dependencies"].items()}
    wanted = declared(project["dependencies"]).union(*(extras[extra] for extra in PARTS[name]))
    of_others = set().union(*(extras[extra] for extra in extras.keys() - set(PARTS[name]))) - wanted

    assert wanted <= pins(name).keys()
    # Flask brings click.
    assert pins(name).keys() & of_others - {"click"} == set()


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = declared(project["dependencies"]).union(*map(declared, project["optional-dependencies"].values()))

    assert wanted <= pins("constraints-dev.txt").keys()


@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_on_the_versions_that_were_tested(name: str) -> None:
    assert pins(name).items() <= pins("constraints-dev.txt").items()


@pytest.mark.parametrize("name", [*PARTS, "constraints-dev.txt"])
def test_every_pin_has_hashes_and_no_place(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]

    assert len(entries) == len(pins(name))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"://|^\s*-{1,2}(index|extra|find|trusted)|(^|\s)/\w", text, re.MULTILINE)


def test_set_up_installs_the_pins_and_asks_nothing_of_later_releases() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    (install,) = re.findall(r"^INSTALL := (.*)$", makefile, re.MULTILINE)
    installed = re.findall(r"^\t@?\$\(INSTALL\) (.*)$", makefile, re.MULTILINE)

    assert "--no-deps" in install.split()
    assert installed == [
        "--require-hashes -r constraints-run.txt", "--no-build-isolation -e .", "--require-hashes -r constraints-dev.txt"
    ]  # fmt: skip
    assert len(re.findall(r"\bpip install\b", makefile)) == 2  # the other one makes the tool of `make lock`


def test_a_run_waits_for_what_a_run_needs_and_the_tests_for_everything() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    needs = dict(re.findall(r"^(run|lint|\$\(BUILT\)|\$\(RUNS\)): (.*)$", makefile, re.MULTILINE))

    assert needs == {
        "run": "$(RUNS)",
        "lint": "$(BUILT)",
        "$(RUNS)": "pyproject.toml constraints-run.txt",
        "$(BUILT)": "$(RUNS) constraints-dev.txt",
    }
