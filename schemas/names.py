"""The ids and names both services derive: deterministic, so that doing a thing twice names it the same."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

_PREDICTION_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "predictions.tipoff")
BATCH_ID_PATTERN = "[0-9]{8}_[0-9a-f]{16}"
REVISION_PATTERN = "[0-9A-Za-z][0-9A-Za-z._+/-]{0,199}"
_BATCH_ID = re.compile(BATCH_ID_PATTERN)

PREDICTIONS_TABLE = "predictions"


def batch_id(game_date: date, idempotency_key: str) -> str:
    """The batch of a date and key: the same pair always gives the same id, other pairs never do (A9, A18)."""
    return f"{game_date.isoformat().replace('-', '')}_{_short_hash([game_date.isoformat(), idempotency_key])}"


def check_batch_id(text: str) -> str:
    """Return `text` when it has a batch id's form; it may then stand in table names and SQL text.

    Raises:
        ValueError: it has not.
    """
    if not _BATCH_ID.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a batch id (form: 20260130_0123456789abcdef)")
    return text


def game_date_of(of_batch: str) -> date:
    """The game date of a batch, which its id begins with.

    Raises:
        ValueError: it is no batch id.
    """
    return date.fromisoformat(check_batch_id(of_batch)[:8])


SIMULATED_MODEL = "simulated-"
"""How the version of a model begins that was trained on simulated games: its rows say nothing of real ones."""


def plan_table(of_batch: str) -> str:
    """The table that freezes a batch's requests."""
    return f"_plan_{check_batch_id(of_batch)}"


def staging_table(schema_version: int) -> str:
    """The permanent table that all workers of one schema version append to (B14)."""
    return f"_staging_v{schema_version:d}"


def delivery_id(of_batch: str, player_lookup: str, cells: Mapping[str, Sequence[object]]) -> str:
    """The delivery of a player's checked rows, given by columns: those that share it are identical, whoever made them
    (B15, F1)."""
    # A plain value's repr is the same on every machine, and cheap; a column that says one thing says it once.
    content = [
        (name, (column[0],) if column.count(column[0]) == len(column) else list(column), len(column))
        for name, column in sorted(cells.items())
    ]
    return _short_hash([of_batch, player_lookup, repr(content)])


def prediction_id(
    *, game_date: date, game_id: str, player_lookup: str, system_id: str, points_line: Decimal | None
) -> str:
    """The MERGE key of a prediction: UUIDv5 of the date, game, player, system and exact line (B4, B5, B16).

    24.5 and 25.0 are two lines; 25 and 25.0 are one. None is a prediction without a line.
    """
    line = None if points_line is None else f"{points_line:.1f}"
    return str(
        uuid.uuid5(_PREDICTION_NAMESPACE, _canonical([game_date.isoformat(), game_id, player_lookup, system_id, line]))
    )


def merge_job_id(of_batch: str, merge_no: int) -> str:
    """The warehouse job of a batch's n-th MERGE, in BigQuery's alphabet; no lease epoch in it (A16)."""
    return f"tipoff_merge_{check_batch_id(of_batch)}_{merge_no:d}"


def plan_drop_job_id(of_batch: str, planned_at: datetime) -> str:
    """The warehouse job that drops the plan of a batch id that was made at that time, and no later one of the id."""
    return f"tipoff_drop{plan_table(of_batch)}_{planned_at.astimezone(UTC):%Y%m%dT%H%M%S%f}"


@lru_cache(maxsize=1024)
def event_id(of_batch: str, state: str, merge_no: int) -> str:
    """The id of a `batch-finished` event: a repeat of the same news has the same id (A8)."""
    return str(uuid.uuid5(_PREDICTION_NAMESPACE, _canonical([of_batch, state, merge_no])))


def _short_hash(parts: list[str]) -> str:
    return hashlib.sha256(_canonical(parts).encode()).hexdigest()[:16]


def _canonical(parts: Sequence[str | int | None]) -> str:
    return _CANONICAL.encode(parts)


_CANONICAL = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
