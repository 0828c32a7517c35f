"""`make reliability`: measure, keep the figures in docs/reliability.json, and write docs/reliability.md from them.

Each part can be measured by itself; the others keep their figures. Nothing in the report is written by hand but the words
around the figures, which stand here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from tests.simulation import chaos, crash_matrix, killed_runs, load
from tests.simulation.__main__ import play_all, summary, unlogged
from tests.simulation.mutation import check_that_nothing_is_found_without_a_bug, find, mutants

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs/reliability.json"
REPORT = ROOT / "docs/reliability.md"
SECTIONS = ("simulation", "matrix", "mutants", "chaos", "killed", "load", "suite")

PROMISES: Sequence[tuple[str, str]] = (
    ("Every expected player ends in exactly one outcome, and none is hidden.", "simulation: conservation, acknowledged pushes; crash matrices"),
    ("No row is lost or doubled: the predictions table is what the ledger says and what a day without faults gives.", "simulation: the table at the end; crash matrices; chaos; killed runs"),
    ("One effective MERGE per number, and none that the ledger does not know.", "simulation: jobs; planted bugs"),
    ("An older batch never writes over a newer one.", "simulation: every MERGE, row by row"),
    ("A batch that was planned after the tip-off leaves what was active then as it is.", "simulation: every MERGE, row by row; `tests/contract/test_consolidation_tipoff.py`"),
    ("Downstream hears the true end at least once, and never anything that was not so.", "simulation: every `batch-finished` against what the batch was"),
    ("Nothing waits for ever: after the deadline and a few sweeps a batch has ended, or a person is asked by name.", "simulation: liveness, apart from safety"),
    ("A crash anywhere, and another one in the recovery from it, is finished by redelivery and sweeps.", "crash matrices, singles and pairs"),
    ("A killed run on one machine is resumed exactly.", "killed runs"),
    ("At overload nothing that was answered with success is lost.", "load"),
)  # fmt: skip

NOT_SHOWN = (
    (
        "No real Google project: Cloud Run, Firestore, Pub/Sub, BigQuery and their quotas are stood in for by the official emulators, "
        "local-bigquery and models that pass the same contract suites."
    ),
    "The Pub/Sub emulator is cut off and not killed; it keeps nothing.",
    (
        "Clocks of coordinators that differ by more than a lease and some minutes: a lease is judged by each machine's own clock, so that a "
        "takeover comes as much later as the clock of its former holder was fast. Safety does not rest on clocks."
    ),
    "A store or warehouse that loses what it has acknowledged.",
    (
        "A load that the table above does not name: one batch of 20,000 players on the emulators, or of 100,000 on one machine, is measured by "
        "`python -m tests.simulation.report load --players N`, and takes longer than a quarter of an hour where two processors run everything."
    ),
    "In the simulation the trained systems are stood in for by a few rows per player; what they predict is tested elsewhere.",
)


# --- measuring ------------------------------------------------------------------------------------------------


def measure_simulation(asked: argparse.Namespace) -> Mapping[str, Any]:
    """Play the seeds."""
    first, end = map(int, asked.seeds.split(":"))
    played = play_all(range(first, end), processes=os.cpu_count() or 1)
    click.echo(summary(played), err=True)
    return {
        "seeds": asked.seeds,
        "schedules": played.schedules,
        "failed": len(played.failures),
        "port_calls": played.effects,
        "kills": played.kills,
        "per_second_and_core": round(played.schedules / played.cpu_seconds, 1),
        "ends": dict(sorted(played.ends.items())),
    }


def measure_matrix(asked: argparse.Namespace) -> Mapping[str, Any]:
    """Try every fault, and every second one, or every n-th pair."""
    with unlogged():
        singles = crash_matrix.singles()
        pairs = crash_matrix.pairs(tuple(crash_matrix.Fault), tuple(crash_matrix.Fault), every=asked.every)
    return {
        "every": asked.every,
        "singles": {fault.value: [score.tried, len(score.failed or ())] for fault, score in singles.items()},
        "pairs": {
            f"{one.value} | {two.value}": [score.tried, len(score.failed or ())] for (one, two), score in pairs.items()
        },
    }


def measure_mutants(asked: argparse.Namespace) -> Mapping[str, Any]:
    """Look for every planted bug; with `--only` for those named, and the others keep what was found."""
    check_that_nothing_is_found_without_a_bug()
    found = json.loads(FIGURES.read_text(encoding="utf-8"))["mutants"]["figures"] if asked.only else {}
    wanted = [mutant for mutant in mutants() if not asked.only or mutant.name in asked.only]
    with ThreadPoolExecutor(os.cpu_count()) as each:  # a process each, which these wait for
        for one in each.map(partial(find, most=300), wanted):
            found[one.mutant.name] = {
                "bug": one.mutant.bug,
                "schedules": list(one.schedules),
                "by_suite": one.by_suite,
                "by": one.law.split(": ", 1)[-1] if one.schedules else one.law,
                "code": this_code(),
            }
            click.echo(f"{one.mutant.name}: {one.schedules or one.by_suite}", err=True)
    return {mutant.name: found[mutant.name] for mutant in mutants() if mutant.name in found}


def measure_chaos(asked: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    """Run days under faults on the emulated cloud."""
    return [asdict(cell) for cell in chaos.run(asked.minutes, asked.seed, _say)]


def measure_killed(asked: argparse.Namespace) -> Mapping[str, Any]:
    """Kill and resume `tipoff run`."""
    return asdict(killed_runs.run(asked.moments, asked.seed, _say))


def measure_load(asked: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    """Run the loads."""
    return [asdict(load.bursts()), asdict(load.overload()), asdict(load.a_batch(asked.players))]


def measure_suite(_asked: argparse.Namespace) -> Mapping[str, Any]:
    """Count the tests that the suite has, by what they are about."""
    areas = {
        "all": (),
        "who may call (auth)": ("-k", "auth or token or stranger or caller or guard"),
        "the API against its own description (fuzz)": ("tests/edge/test_openapi.py", "tests/incidents/test_f12_description.py"),
        "incidents": ("tests/incidents",),
        "contracts, on every adapter": ("tests/contract",),
    }  # fmt: skip
    return {area: _collected(arguments) for area, arguments in areas.items()}


def _collected(arguments: Sequence[str]) -> int:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return sum("::" in line for line in ran.stdout.splitlines())


def _say(text: str) -> None:
    click.echo(text, err=True)


# --- the report -----------------------------------------------------------------------------------------------


def rendered(figures: Mapping[str, Any]) -> str:
    """The whole report."""
    parts = [
        "# Reliability",
        (
            "Generated by `make reliability` from `docs/reliability.json`; a test compares the two. Any part can be measured again by "
            "itself: `python -m tests.simulation.report PART`. A part names the code that it was measured on, by a hash of the services' "
            f"packages, and says where that is other code than this report's, `{figures['code']}`."
        ),
        "## What is promised, and what shows it",
        _table(("promise", "shown by"), PROMISES),
        *(_SECTIONS[name]({**figures[name], "now": figures["code"]}) for name in SECTIONS if name in figures),
        "## What is not shown",
        "\n".join(f"- {one}" for one in NOT_SHOWN),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


def _machine(of: Mapping[str, Any]) -> str:
    measured = of["machine"]
    code = f"code `{of['code']}`" + ("" if of["code"] == of["now"] else ", **which has changed since**")
    system = f"{measured['processors']} processors, {measured['system']}, Python {measured['python']}, {measured['versions']}"
    return f"Measured on {code}; {system}."


def _simulation(of: Mapping[str, Any]) -> str:
    it = of["figures"]
    ends = ", ".join(f"{count:,} {state}" for state, count in it["ends"].items())
    return (
        "## Simulation of whole days\n\n"
        "The real use cases of both services run above in-memory ports, one thread of control for all instances; a seeded scheduler "
        "switches at every port call and delays, duplicates, reorders, refuses, lands late, pauses and kills. After the last fault "
        "sweeps alone must bring every batch to its end, and the laws of `tests/simulation/laws.py` and `table_laws.py` are judged at every commit, "
        "MERGE, message and answer, and at the end.\n\n"
        f"**{it['schedules']:,} schedules, {it['failed']} failed** (seeds {it['seeds']}; {it['port_calls']:,} port calls, "
        f"{it['kills']:,} instances killed; {it['per_second_and_core']} schedules a second of one core). "
        f"Batches ended: {ends}.\n\n"
        "`make simulate SEEDS=0:20000` plays them again; `python -m tests.simulation SEED` tells the story of one. "
        + _machine(of)
    )


def _matrix(of: Mapping[str, Any]) -> str:
    it = of["figures"]
    which = "every pair" if it["every"] == 1 else f"every {it['every']}th pair"
    singles = [(fault, tried, tried - failed) for fault, (tried, failed) in it["singles"].items()]
    pairs = [(*pair.split(" | "), tried, tried - failed) for pair, (tried, failed) in it["pairs"].items()]
    tried, exact = sum(row[-2] for row in pairs), sum(row[-1] for row in pairs)
    return (
        "## Crash matrices\n\nOne day, a fault at every port call (a kill at every effect), recovered by redelivery and sweeps; the "
        f"table must be that of the day without faults, row for row.\n\n{_table(('fault', 'places', 'exact'), singles)}\n\n"
        f"A second fault at every port call of the recovery from the first; {which}: {exact:,} of {tried:,} exact.\n\n"
        f"{_table(('first', 'then', 'tried', 'exact'), pairs)}\n\n{_machine(of)}"
    )


def _mutants(of: Mapping[str, Any]) -> str:
    it = of["figures"]
    by_simulation = [one for one in it.values() if one["schedules"]]
    by_suite = [one for one in it.values() if one["by_suite"]]
    rows = [
        (one["bug"], _median(one["schedules"]), one["by"][:110] if one["schedules"] else f"`{one['by'].split('::')[-1][:100]}`" if one["by_suite"] else "**nothing**")
        for one in it.values()
    ]  # fmt: skip
    older = sum(one["code"] != of["now"] for one in it.values())
    medians = [statistics.median(one["schedules"]) for one in by_simulation]
    return (
        "## Planted bugs\n\nEach bug is put into a copy of the code, where the simulation (300 schedules, from up to three places of "
        "the seeds) or else a named part of the suite has to find it. A law that never holds, and a matrix that is compared with "
        "another day, show in the suite that the harness can fail.\n\n"
        f"**{len(by_simulation) + len(by_suite)} of {len(it)} found**: {len(by_simulation)} by the simulation, after "
        f"{statistics.median(medians):g} schedules in the median, {len(by_suite)} by the suite alone.\n\n"
        f"{_table(('planted bug', 'schedules (median)', 'what noticed it'), rows)}\n\n{_machine(of)} "
        f"{older} of them were last looked for in other code than that of this report."
    )


def _median(schedules: Sequence[int]) -> str:
    return f"{statistics.median(schedules):g}" if schedules else ""


def _chaos(of: Mapping[str, Any]) -> str:
    rows = [
        (one["fault"], one["days"], f"{one['rows']:,}", one["lost"], one["doubled"], one["not_ended"], _seconds(one["seconds"]))
        for one in of["figures"]
    ]  # fmt: skip
    head = ("fault", "days", "rows compared", "lost", "doubled", "not COMPLETE", "seconds to recover (median / most)")
    return (
        "## Chaos on real parts\n\nBoth services under gunicorn, with a second coordinator that sweeps, on the official Firestore and "
        "Pub/Sub emulators and local-bigquery; one fault at a seeded moment of each day, from before its start to after its end. Every "
        "cell of every row is compared with the undisturbed day.\n\n"
        f"{_table(head, rows)}\n\n{_machine(of)}"
    )


def _seconds(of: Sequence[float]) -> str:
    return f"{statistics.median(of):.1f} / {max(of):.1f}" if of else ""


def _killed(of: Mapping[str, Any]) -> str:
    it = of["figures"]
    return (
        "## Killed runs on one machine\n\n"
        f"`tipoff run` was killed (SIGKILL) at {it['tried']} seeded moments of its whole duration and run again with `--resume`: "
        f"**{it['exact']} of {it['tried']} exact**, row for row; {it['before_the_batch']} were killed before there was a batch to "
        f"resume and were run anew. {_machine(of)}"
    )


def _load(of: Mapping[str, Any]) -> str:
    rows = [
        (
            one["what"], f"{one['players']:,}", one["state"], f"{one['rows']:,}", one["lost"],
            ", ".join(f"{name} {taken}" for name, taken in one["megabytes"].items()),
            ", ".join(f"{count:,} × {status}" for status, count in one["answers"].items()) or "pushed by Pub/Sub",
        )
        for one in of["figures"]
    ]  # fmt: skip
    head = ("load", "players", "state", "rows", "lost", "most memory, MB", "answers to pushes")
    return f"## Load\n\n{_table(head, rows)}\n\n{_machine(of)}"


def _suite(of: Mapping[str, Any]) -> str:
    rows = [(area, f"{count:,}") for area, count in of["figures"].items()]
    return f"## The suite\n\n{_table(('about', 'tests'), rows)}"


_SECTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "simulation": _simulation,
    "matrix": _matrix,
    "mutants": _mutants,
    "chaos": _chaos,
    "killed": _killed,
    "load": _load,
    "suite": _suite,
}

MEASURES: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "simulation": measure_simulation,
    "matrix": measure_matrix,
    "mutants": measure_mutants,
    "chaos": measure_chaos,
    "killed": measure_killed,
    "load": measure_load,
    "suite": measure_suite,
}


def this_machine() -> Mapping[str, Any]:
    """What the figures were measured on."""
    packages = ("google-cloud-firestore", "google-cloud-pubsub", "google-cloud-bigquery", "duckdb", "greenlet")
    return {
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def this_code(root: Path = ROOT) -> str:
    """A short hash of the services' packages, whatever commit they are in."""
    files = (path for package in _SERVICES for path in (root / package).rglob("*") if path.suffix in _CODE)
    told = "".join(f"{path.relative_to(root)} {path.read_text(encoding='utf-8')}" for path in sorted(files))
    return hashlib.sha256(told.encode()).hexdigest()[:10]


_SERVICES = ("coordinator", "worker", "shared", "schemas")
_CODE = (".py", ".sql", ".json")


def keep(part: str | None = None, figures: Any = None) -> None:
    """Write the report anew, with these figures of a part if one is given."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    code = this_code()
    if part is not None:
        kept[part] = {"code": code, "machine": this_machine(), "figures": figures}
    ordered = {"code": code, **{name: kept[name] for name in SECTIONS if name in kept}}
    FIGURES.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    REPORT.write_text(rendered(ordered), encoding="utf-8")


def main() -> int:
    """Measure some parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.report", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help=f"of {', '.join(SECTIONS)}; all when none is named; `page` measures nothing"
    )
    parser.add_argument("--seeds", default="0:100000")
    parser.add_argument("--only", nargs="*", help="look for these planted bugs only")
    parser.add_argument("--every", type=int, default=1, help="try every n-th pair of faults")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--players", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = timedelta(seconds=os.times().elapsed)
    if asked.parts == ["page"]:
        keep()
        return 0
    for part in asked.parts or SECTIONS:
        keep(part, MEASURES[part](asked))
        _say(f"{part}: {timedelta(seconds=os.times().elapsed) - began}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
