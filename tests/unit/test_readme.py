"""The README says what is so: its configuration, columns, options, targets and paths are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from coordinator.rules.lifecycle import Status
from local.cli.main import commands
from local.one_machine.inputs import INPUT_TABLES
from schemas import tables
from shared.settings import CoordinatorSettings, SettingRow, WorkerSettings, describe
from worker.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE_BY_RUNNING = (".tipoff", ".venv")


def section(title: str) -> str:
    """The text under one heading."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return str(found)


def rows(text: str, *, header: str) -> list[list[str]]:
    """The cells of the table whose header begins so, without backticks."""
    (body,) = re.findall(rf"^\| {re.escape(header)}.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in body.splitlines()]


def targets() -> set[str]:
    """The targets of the Makefile that are commands."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())


def test_the_configuration_table_is_that_of_the_settings() -> None:
    of_worker, of_coordinator = describe(WorkerSettings), describe(CoordinatorSettings)
    both = {row.name for row in of_worker} & {row.name for row in of_coordinator}

    def shown(row: SettingRow, reader: str) -> list[str]:
        return [row.name, reader, "required" if row.required else row.default or "empty", row.meaning]

    listed = rows(section("Configuration"), header="variable")
    assert listed == [
        *(shown(row, "both") for row in of_worker if row.name in both),
        *(shown(row, "worker") for row in of_worker if row.name not in both),
        *(shown(row, "coordinator") for row in of_coordinator if row.name not in both),
    ]


def test_the_columns_of_the_csv_files_are_the_declared_ones() -> None:
    listed = {
        file.removesuffix("*"): (required.split(", "), optional.split(", "))
        for file, required, optional in rows(section("Your own data"), header="file")
    }

    assert listed == {
        table: (
            [column.name for column in tables.load(table).columns if column.mode == "REQUIRED"],
            [column.name for column in tables.load(table).columns if column.mode != "REQUIRED"],
        )
        for table in INPUT_TABLES
    }


def options_of(*named: str) -> set[str]:
    """The options of commands."""
    parameters = [parameter for name in named for parameter in commands.commands[name].params]
    found = {option for parameter in parameters if isinstance(parameter, click.Option) for option in parameter.opts}
    return {option for option in found if option.startswith("--")}


def test_every_option_of_run_is_explained_and_none_that_does_not_exist() -> None:
    assert {name for name, _meaning in rows(section("The command"), header="option")} == options_of("run")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) <= options_of(*commands.commands)


def test_every_command_and_make_target_that_is_mentioned_exists() -> None:
    assert {"run"} <= set(re.findall(r"\btipoff ([a-z]+)\b", README)) <= commands.commands.keys()
    assert {"run", "test", "bench"} <= set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets()


def test_every_state_that_is_mentioned_exists() -> None:
    states = {status.value for status in Status} | {"EMPTY"}

    assert set(re.findall(r"\b(COMPLETE|PARTIAL|FAILED|EMPTY|RUNNING|CANCELLED)\b", README)) <= states
    assert {status for status, _meaning in rows(section("The command"), header="exit status")} == {"0", "1", "2", "130"}


def test_every_prediction_system_is_listed_in_order() -> None:
    listed = [name for name, _meaning in rows(section("The predictions, honestly"), header="system")]

    assert listed == list(SYSTEMS)


def paths() -> list[str]:
    """Every path of the project that the README names, in a link or in backticks."""
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    quoted = re.findall(r"`((?:[\w.-]+/)+[\w.*-]*|Dockerfile\.\w+|Makefile)`", README)
    return sorted({path for path in (*linked, *quoted) if not path.startswith(MADE_BY_RUNNING)})


@pytest.mark.parametrize("path", paths())
def test_every_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_package_and_folder_of_tests_is_listed() -> None:
    listed = {folder.removesuffix("/"): what for folder, what in rows(section("What is where"), header="folder")}

    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    kinds = {file.parent.name for file in (ROOT / "tests").glob("*/test_*.py")}
    assert packages | {"bench", "tests"} <= listed.keys()
    assert [kind for kind in kinds if kind not in listed["tests"]] == []
