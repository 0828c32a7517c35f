"""A small simulated day through a deployed system, on dates that nobody plays on, and what of its laws could be seen.

Decides what is done, what is looked at and what counts as seen. Where the coordinator and the tables are is the caller's.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from local.one_machine.coordinator_client import CoordinatorClient
from local.one_machine.csv_inputs import INPUT_TABLES
from local.one_machine.faulty_day import (
    Clock,
    FaultyDay,
    Messages,
    Pause,
    ReadLines,
    View,
    has_ended,
    law_of_trace,
    wait_for,
)
from local.one_machine.input_bound import MAX_INPUT_MB, MIB
from local.one_machine.law import Law, LawVerdict, judged
from local.one_machine.loading import StageFile, load_into
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas import names, tables
from schemas.tables import Row
from shared.errors import Conflict, InvalidInput
from shared.ports import Warehouse

YEARS_AWAY = 73
SCRATCH_FROM = date(2098, 1, 1)
"""From here on all rows are ours; no season is planned so far ahead."""
SCRATCH_DATE = SAMPLE_GAME_DATE.replace(year=SAMPLE_GAME_DATE.year + YEARS_AWAY)
_TABLES = (*INPUT_TABLES, names.PREDICTIONS_TABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The day, over a coordinator and its tables.

    Args:
        stranger: sends a request with a header `Authorization`, or none, past all that the client adds.
        job_bytes: bytes that a job processed; None where that is not known.
        messages, clock, read_lines: see `faulty_day`; None where there are none to be had.
        patience_seconds: how long a batch may take.
    """

    client: CoordinatorClient
    warehouse: Warehouse
    stage: StageFile
    stranger: Callable[[str, str, str | None], int]
    job_bytes: Callable[[str], int | None]
    patience_seconds: float
    messages: Messages | None = None
    clock: Clock | None = None
    read_lines: ReadLines | None = None
    pause: Pause = time.sleep

    def run(self) -> Iterator[Law]:
        """Run the day and tell of each law as soon as it is known; in the end the scratch rows are deleted.

        Raises:
            InvalidInput: there are rows on the scratch dates already.
            TipoffError: the day cannot go on.
        """
        self._refuse_foreign_rows()
        yield from self._strangers()
        try:
            yield from self._day()
        finally:
            clean(self.warehouse)
        yield self._is_clean()

    # --- strangers --------------------------------------------------------------------------------------------

    def _strangers(self) -> Iterator[Law]:
        for name, method, path in (
            ("missing and forged tokens are refused", "GET", "/batches"),
            ("a push without Pub/Sub's token is refused", "POST", "/complete"),
        ):
            answers = {
                who: self.stranger(method, path, token) for who, token in (("none", None), ("forged", _forged()))
            }
            saw = ", ".join(f"{who}: {status}" for who, status in answers.items())
            if all(status in (401, 403) for status in answers.values()):
                yield Law(name, LawVerdict.SEEN, saw)
            elif not self._checks_tokens():
                yield Law(name, LawVerdict.NOT_SHOWN, f"tokens are not checked here ({saw})")
            else:
                yield Law(name, LawVerdict.BROKEN, saw)

    def _checks_tokens(self) -> bool:
        """Whether this is a deployed service: one on loopback lets everybody in, and serves loopback alone."""
        return not self.client.is_local

    # --- the day ----------------------------------------------------------------------------------------------

    def _day(self) -> Iterator[Law]:
        self._load()
        key = f"acceptance-{uuid.uuid4()}"
        batch_id, first = self._start(key)
        again_id, again = self._start(key)
        same = (first, again) == (202, 200) and batch_id == again_id
        yield judged("a repeated start makes no second batch", same, f"{first}, then {again} for batch {again_id}")
        view = self._wait(batch_id)
        yield from self._of_the_batch(view)
        yield self._of_staging(view)
        yield self._of_pruning(view)
        before = self._rows()
        yield from self._again(batch_id, before)
        yield from self._newer(before)
        yield law_of_trace(batch_id, self.read_lines, pause=self.pause)
        faulty = FaultyDay(
            client=self.client,
            messages=self.messages,
            clock=self.clock,
            start=lambda policy: self._start(f"acceptance-{uuid.uuid4()}", policy)[0],
            staged=self._staged,
            pause=self.pause,
            patience_seconds=self.patience_seconds,
        )
        yield from faulty.run(rows=view["rows"]["staged"])

    def _of_the_batch(self, view: View) -> Iterator[Law]:
        players = view["players"]
        counted = sum(players[kind] for kind in ("predicted", "skipped", "failed", "silent"))
        saw = f"{view['state']}; {', '.join(f'{count} {kind}' for kind, count in players.items())}"
        yield judged("the day is COMPLETE", view["state"] == "COMPLETE", saw)
        yield judged("each expected player is counted once", counted == players["expected"] > 0, saw)
        rows = view["rows"]
        whole = rows["staged"] == rows["inserted"] + rows["updated"] + rows["unchanged"] > 0
        yield judged("staged rows are those that were merged", whole, f"{rows}")

    def _of_staging(self, view: View) -> Law:
        staged = self._staged(view)
        saw = f"{staged} distinct rows of the batch are staged"
        return judged("what was appended is visible", staged == view["rows"]["staged"], saw)

    def _staged(self, view: View) -> int:
        table = names.staging_table(view["schema_version"])
        planned_on = datetime.fromisoformat(view["planned_at"]).date()
        (found,) = self.warehouse.query(staged_text(table, planned_on, view["batch_id"]))
        return int(str(found["ids"]))

    def _of_pruning(self, view: View) -> Law:
        name = "the MERGE reads one partition of the predictions"
        processed = self.job_bytes(view["merges"][-1]["job_id"])
        whole = self.warehouse.estimate(WHOLE)
        if not processed or not whole:
            return Law(name, LawVerdict.NOT_SHOWN, "the warehouse counts no bytes here")
        (others,) = self.warehouse.query(OTHERS)
        saw = f"{processed:,} bytes; the whole table has {whole:,}"
        if not others["rows"]:
            return Law(name, LawVerdict.NOT_SHOWN, f"the table has no other date yet ({saw})")
        return judged(name, processed < whole, saw)

    def _again(self, batch_id: str, before: list[Row]) -> Iterator[Law]:
        try:
            said = str(self.client.post(f"/batches/{batch_id}/consolidate", {"force": False})["report"])
        except Conflict as conflict:
            said = str(conflict)
        is_same = self._rows() == before
        yield judged("consolidating again changes nothing", is_same, f"{said}; {len(before)} rows as before")

    def _newer(self, before: list[Row]) -> Iterator[Law]:
        batch_id, _ = self._start(f"acceptance-{uuid.uuid4()}")
        view, rows = self._wait(batch_id), self._rows()
        ids = [row["prediction_id"] for row in rows]
        saw = f"batch {batch_id}: {view['rows']}"
        same = [row["prediction_id"] for row in before] == ids and view["rows"]["inserted"] == 0
        yield judged("a newer batch updates every row and doubles none", same and len(set(ids)) == len(ids), saw)

    # --- steps ------------------------------------------------------------------------------------------------

    def _refuse_foreign_rows(self) -> None:
        for table in _TABLES:
            if self.warehouse.columns(table) is None:
                raise InvalidInput("--dataset", f"there is no table {table}; `tipoff schema apply` makes it")
            if rows := self._count(table):
                problem = f"has {rows:,} rows on {SCRATCH_FROM} or later, left by a run that was killed; add --clean"
                raise InvalidInput(table, problem)

    def _load(self) -> None:
        with tempfile.TemporaryDirectory(prefix="tipoff-") as scratch:
            folder = Path(scratch)
            write(folder)
            for file in folder.glob("*.csv"):
                file.write_text(_moved(file.read_text(encoding="utf-8")), encoding="utf-8")
            load_into(self.warehouse, self.stage, folder=folder, max_bytes=MAX_INPUT_MB * MIB)

    def _start(self, key: str, policy: dict[str, int] | None = None) -> tuple[str, int]:
        body = {"game_date": SCRATCH_DATE.isoformat(), "policy": policy or {}}
        answer = self.client.ask("POST", "/start", body=body, headers={"Idempotency-Key": key})
        if answer.status not in (200, 202):
            raise Conflict(f"/start answered {answer.status}: {answer.detail}")
        return str(answer.body["batch_id"]), answer.status

    def _wait(self, batch_id: str) -> View:
        return wait_for(self.client, batch_id, has_ended, pause=self.pause, seconds=self.patience_seconds)

    def _rows(self) -> list[Row]:
        return self.warehouse.query(ROWS)

    def _count(self, table: str) -> int:
        (found,) = self.warehouse.query(scratch_text(table))
        return int(str(found["n"]))

    def _is_clean(self) -> Law:
        left = {table: rows for table in _TABLES if (rows := self._count(table))}
        return judged(
            "nothing of the day is left in the tables",
            not left,
            str(left or "no row; plan, staging and ledger end by themselves"),
        )


def clean(warehouse: Warehouse) -> None:
    """Delete the scratch rows of every table that has any."""
    for table in _TABLES:
        warehouse.query(deletion_text(table))


# --- the statements -------------------------------------------------------------------------------------------


def staged_text(table: str, planned_on: date, batch_id: str) -> str:
    """Write the query for how many distinct rows of a batch are staged: `ids`."""
    return (
        f"SELECT COUNT(DISTINCT `prediction_id`) AS `ids` FROM `{table}` "
        f"WHERE `{tables.PLANNED_ON_COLUMN}` = DATE '{planned_on}' AND `{tables.BATCH_COLUMN}` = '{batch_id}'"
    )


WHOLE = f"SELECT * FROM `{names.PREDICTIONS_TABLE}`"
"""All of the predictions; only ever estimated."""
OTHERS = f"SELECT COUNT(*) AS `rows` FROM `{names.PREDICTIONS_TABLE}` WHERE `game_date` < DATE '{SCRATCH_FROM}'"
"""How many predictions are of real dates."""
ROWS = (
    f"SELECT `prediction_id`, `updated_at`, `is_active` FROM `{names.PREDICTIONS_TABLE}` "
    f"WHERE `game_date` = DATE '{SCRATCH_DATE}' ORDER BY `prediction_id`"
)
"""The scratch date's predictions, in order."""


def scratch_text(table: str) -> str:
    """Write the query for how many scratch rows a table has: `n`."""
    return f"SELECT COUNT(*) AS `n` FROM `{table}` WHERE `game_date` >= DATE '{SCRATCH_FROM}'"


def deletion_text(table: str) -> str:
    """Write the statement that deletes the scratch rows of a table, and no others."""
    return f"DELETE FROM `{table}` WHERE `game_date` >= DATE '{SCRATCH_FROM}'"


def _moved(text: str) -> str:
    """The sample season's files, on other dates, with games and players of their own."""
    later = re.sub(r"\b(20\d\d)(?=-\d\d-\d\d)", lambda year: str(int(year[1]) + YEARS_AWAY), text)
    return re.sub(r"(?m)(?<=,)9000(?=\d{3},)", "9999", re.sub(r"\b00925(?=\d{5}\b)", "00999", later))


def _forged() -> str:
    """A token that somebody wrote himself, with what Cloud Run leaves in the place of a signature."""
    parts = (
        {"alg": "RS256", "kid": "forged", "typ": "JWT"},
        {"iss": "https://accounts.google.com", "email": "x@example.com"},
    )
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*coded, "SIGNATURE_REMOVED_BY_GOOGLE"])
