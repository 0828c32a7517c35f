"""Make a player's rows once more and compare them with those that were written, cell by cell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coordinator.rules.comparing import plain_row
from schemas.messages import PredictionRequest
from worker.model import Model
from worker.rows import staged_rows


def replay_rows(evidence: Mapping[str, Any], model: Model) -> list[dict[str, str | None]]:
    """Name every cell that differs; a row that only one side has differs in its `prediction_id`.

    Args:
        evidence: what `/batches/{id}/player` answers.
    """
    version = int(evidence["schema_version"])
    request = PredictionRequest.model_validate(evidence["request"])
    rows = staged_rows([request], model, schema_version=version).rows.rows()
    made = (plain_row(row, version) for row in rows)
    now = {str(row["prediction_id"]): row for row in made}
    written = {str(row["prediction_id"]): row for row in evidence["rows"]}
    found: list[dict[str, str | None]] = []
    for prediction_id in sorted(now.keys() | written.keys()):
        one, other = written.get(prediction_id), now.get(prediction_id)
        if one is None or other is None:
            there, here = ("there" if row else "absent" for row in (one, other))
            found.append({"prediction_id": prediction_id, "column": "prediction_id", "written": there, "now": here})
            continue
        found += [
            {"prediction_id": prediction_id, "column": name, "written": one.get(name), "now": cell}
            for name, cell in other.items()
            if one.get(name) != cell
        ]
    return found
