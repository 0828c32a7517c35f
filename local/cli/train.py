"""`tipoff train`: a folder of past games becomes a model file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from local.cli.options import date_option, json_option, max_input_option
from local.cli.terminal import Terminal, errors_table, print_json


@click.command(short_help="Train a model on past games.")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of CSV files, as `tipoff run` takes it; lines are used too, if there are enough.",
)
@max_input_option
@date_option("--until", required=True, help="First date that the model does not learn from.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="MODEL.json", help="File to write."
)
@json_option
def train(*, data: Path, max_bytes: int, until: date, out: Path, as_json: bool) -> int:
    """Train the ridge, the library of similar games, the spread and the calibration on games before a date.

    The same files and date give the same bytes. The printed figures are of games that the measured model had not seen.

    \b
    Examples:
      tipoff train --data DIR --until 2025-10-01 --out model.json
      tipoff run --data DIR --game-date 2026-01-30 --model model.json

    Exits 0 when the file is written, 2 when the call or the inputs are mistaken.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    # Imported here so that --help answers at once.
    from local.one_machine.past_games import DAY_ZERO, read_past_games  # noqa: PLC0415 - as said above
    from shared.errors import InvalidInput  # noqa: PLC0415 - as said above
    from worker.model import write_document  # noqa: PLC0415 - as said above
    from worker.train import train as train_model  # noqa: PLC0415 - as said above

    if not out.parent.is_dir():
        raise InvalidInput("--out", f"{out.parent} is not a folder; make it first, or name another one")
    console = Terminal(stderr=as_json, highlight=False)
    with console.status("reading games"):
        past = read_past_games(data, until=until, max_bytes=max_bytes)
    with console.status(f"training on {len(past.logs):,} player-games"):
        document = train_model(past.logs, past.lines, until=until, day_zero=DAY_ZERO, is_simulated=past.is_simulated)
    try:
        out.write_text(write_document(document), encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--out", f"{out} cannot be written: {error.strerror}") from error
    shown = document.model_dump(include={"model_version", "feature_version", "trained_on", "calibration", "metrics"})
    if as_json:
        print_json(shown | {"file": str(out)})
        return 0
    console.print(errors_table(shown["metrics"]["walk_forward"]))
    calibration = document.calibration
    source = f"from {calibration.lines:,} lines" if calibration.lines else "as shipped, since there are too few lines"
    console.print(f"Calibration {calibration.method}: slope {calibration.slope}, {source}")
    console.print(f"Model {document.model_version} written to {out}")
    return 0
