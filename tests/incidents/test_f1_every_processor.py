"""F1: no published number depends on the processor's vector units or on the BLAS kernel that was chosen for it."""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from local.one_machine.csv_inputs import load_folder
from local.sample.season import SAMPLE_GAME_DATE, write
from shared.adapters.duckdb import DuckdbWarehouse
from tests.plan_inputs import PLANNED_AT, freeze, requests_of

pytestmark = pytest.mark.xdist_group("every_processor")  # its tests share what this machine publishes

ROOT = Path(__file__).parents[2]
CHOOSERS = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
FULL: dict[str, str] = {}


def python(*arguments: str, **chosen: str) -> str:
    """Run Python as on a machine of which nothing is switched off but what is chosen."""
    environment = {name: value for name, value in os.environ.items() if name not in CHOOSERS}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | chosen,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ).stdout


@pytest.fixture(scope="module")
def vector_units() -> list[str]:
    """Those beyond the least that numpy runs on, weakest first, that it found on this machine."""
    config = "import json, numpy; print(json.dumps(numpy.show_config(mode='dicts')['SIMD Extensions']))"
    return list(json.loads(python("-c", config)).get("found", []))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sample season's folder, and a file of the requests of its day."""
    season = tmp_path_factory.mktemp("season")
    write(season)
    warehouse = DuckdbWarehouse(":memory:", clock=lambda: PLANNED_AT)
    load_folder(warehouse, folder=season, game_date=SAMPLE_GAME_DATE)
    freeze(warehouse, game_date=SAMPLE_GAME_DATE)
    requests = tmp_path_factory.mktemp("day") / "requests.jsonl"
    requests.write_text("".join(f"{each.model_dump_json()}\n" for each in requests_of(warehouse).values()), "utf-8")
    warehouse.close()
    return season, requests


def published(inputs: tuple[Path, Path], chosen: dict[str, str]) -> list[str]:
    return python("-m", "tests.published_numbers", *map(str, inputs), **chosen).splitlines()


@pytest.fixture(scope="module")
def here(inputs: tuple[Path, Path]) -> list[str]:
    """What this machine publishes with everything that it has."""
    return published(inputs, FULL)


def test_f1_the_shipped_model_and_rows_of_every_system_are_what_is_compared(here: list[str]) -> None:
    shipped = files("worker").joinpath("model.json").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in here[len(shipped) :]]

    assert here[: len(shipped)] == shipped
    assert len(rows) > 500
    assert {"season_average", "moving_average", "similarity", "ridge", "ensemble", "market", "anchored"} == {
        row["system_id"] for row in rows
    }


@pytest.mark.parametrize("kept", [0, 1], ids=["baseline", "baseline and one step (AVX2)"])
def test_f1_fewer_vector_units_publish_the_same_bytes(
    inputs: tuple[Path, Path], here: list[str], vector_units: list[str], kept: int
) -> None:
    if len(vector_units) <= kept:
        pytest.skip(f"numpy finds no vector units here that can be switched off beyond {vector_units[:kept]}")

    assert published(inputs, {"NPY_DISABLE_CPU_FEATURES": " ".join(vector_units[kept:])}) == here


@pytest.mark.parametrize(("kernel", "needs"), [("Prescott", None), ("Haswell", "X86_V3"), ("SkylakeX", "X86_V4")])
def test_f1_every_blas_kernel_publishes_the_same_bytes(
    inputs: tuple[Path, Path], here: list[str], vector_units: list[str], kernel: str, needs: str | None
) -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"{kernel} is a kernel for x86-64, this is {platform.machine()}")
    if needs is not None and needs not in vector_units:
        pytest.skip(f"the processor lacks {needs}, which {kernel} needs")

    assert published(inputs, {"OPENBLAS_CORETYPE": kernel}) == here


# --- the operations whose last bits or order are the machine's own --------------------------------------------

OF_THE_MACHINE = {
    *("argpartition", "convolve", "corrcoef", "cov", "dot", "einsum", "erf", "exp", "inner", "linalg", "log", "matmul"),
    *("polyfit", "pow", "power", "tensordot", "vdot"),
}
SETTLED = {
    ("calibration.py", "exp"),
    ("calibration.py", "log"),
    ("distribution.py", "exp"),
    ("portable.py", "**"),
    ("portable.py", "erf"),
    ("scores.py", "log"),
}
"""Where it is decimal, or where what comes out is rounded before anything is decided by it or published."""


def of_the_machine() -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.BinOp(op=ast.MatMult()):
                    yield file.name, "@"
                case ast.BinOp(op=ast.Pow(), right=exponent) if ast.unparse(exponent) != "2":
                    yield file.name, "**"
                case ast.Attribute(value=ast.Name(id="np" | "math"), attr=name) if name in OF_THE_MACHINE:
                    yield file.name, name
                case ast.Call(func=ast.Attribute(attr="argsort"), keywords=keywords) if not any(
                    word.arg == "kind" and ast.unparse(word.value) == "'stable'" for word in keywords
                ):
                    yield file.name, "argsort that is not stable"


def test_f1_the_worker_uses_no_operation_that_differs_by_machine_but_where_it_is_rounded_away() -> None:
    assert set(of_the_machine()) == SETTLED


def test_f1_a_machine_of_many_processors_needs_no_more_memory() -> None:
    with closing(DuckdbWarehouse(":memory:")) as warehouse, warehouse.cursor() as cursor:
        found = cursor.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()

    assert found == (2, "286.1 MiB")
