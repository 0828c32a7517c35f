"""A program: trains on a season's folder and predicts a plan's requests, and writes down every number that comes out.

Run as `python -m tests.published_numbers SEASON_FOLDER REQUESTS_FILE`: the model document, then a line per row.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.one_machine.past_games import DAY_ZERO, read_past_games
from local.sample.season import SAMPLE_GAME_DATE
from schemas.messages import PredictionRequest
from worker import inputs
from worker.model import read_model, write_document
from worker.rows import staged_rows
from worker.train import train


def main(season: Path, requests: Path) -> None:
    """Write to the standard output."""
    past = read_past_games(season, until=SAMPLE_GAME_DATE)
    document = write_document(
        train(past.logs, past.lines, until=SAMPLE_GAME_DATE, day_zero=DAY_ZERO, is_simulated=past.is_simulated)
    )
    sys.stdout.write(document)
    model = read_model(document, name="the trained model")
    for line in requests.read_text(encoding="utf-8").splitlines():
        request = PredictionRequest.model_validate_json(line)
        if inputs.has_history(request):
            rows = staged_rows([request], model, schema_version=2).rows.rows()
            for row in rows:
                sys.stdout.write(json.dumps(row, default=str) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
