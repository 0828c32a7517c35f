"""The coordinator over a state folder, asked in this process by the same routes: a look at what a `tipoff run` left.

No worker runs and no message is delivered meanwhile: what is published waits in the folder for the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from http import HTTPStatus
from pathlib import Path

from coordinator.app import create_app
from coordinator.operator.differences import said
from coordinator.rules.comparing import Difference, Said, compare
from local.one_machine.coordinator_client import Answer, Ask, CoordinatorClient
from local.one_machine.stack import LocalParts, open_parts
from shared.errors import InvalidInput

_LEDGER = "ledger.sqlite"


@contextmanager
def client_of_state(state: Path, *, resuming: str) -> Iterator[CoordinatorClient]:
    """A client of the coordinator over a state folder, for the length of the block.

    Args:
        resuming: the command that goes on with what was left there. A refusal because of a batch that is not at its end
            names it, since no sweep comes by itself.

    Raises:
        InvalidInput: there is no ledger in the folder, or another process uses it.
    """
    with parts_of_state(state) as parts:
        # Nobody but this process can call it.
        client = create_app(parts.coordinator, guard=lambda _header, _callers: None).test_client()

        def send(ask: Ask) -> Answer:
            response = client.open(
                ask.path, method=ask.method, query_string=ask.query, json=ask.body, headers=dict(ask.headers)
            )
            body = response.get_json()
            if response.status_code == HTTPStatus.CONFLICT and is_live(body.get("batch_id")):
                body["detail"] += f"; nothing runs on a state folder by itself: `{resuming}` continues the batch"
            return Answer(response.status_code, body)

        def is_live(batch_id: str | None) -> bool:
            return batch_id is not None and parts.coordinator.ledger.batch(batch_id).is_live

        yield CoordinatorClient(send, runs=False)


@contextmanager
def parts_of_state(state: Path) -> Iterator[LocalParts]:
    """What a state folder with a ledger holds, opened for the length of the block. Raises as `client_of_state`."""
    with ExitStack() as opened:
        yield open_parts(home_of(state), opened)


def home_of(state: Path) -> Path:
    """The folder that holds a ledger: the state folder, or its sample season's, whichever was used last."""
    found = [folder for folder in (state, state / "simulated") if (folder / _LEDGER).exists()]
    if not found:
        raise InvalidInput(
            "--state",
            f"{state} holds no run yet; make one with `tipoff run`, or name another folder, or a coordinator with --url",
        )
    return max(found, key=lambda folder: (folder / _LEDGER).stat().st_mtime)


def compare_folders(shadowed: Path, shadow: Path, game_date: date) -> Difference:
    """Compare the newest batches of a date in the folders of a run and of its shadow.

    Raises:
        InvalidInput: one of them has none, or another process uses it.
        Conflict: the staging of one has ended.
    """
    return compare(_said(shadowed, game_date), _said(shadow, game_date))


def _said(home: Path, game_date: date) -> Said:
    with ExitStack() as opened:
        coordinator = open_parts(home, opened).coordinator
        found = coordinator.views.batches(game_date=game_date, limit=1)
        if not found:
            raise InvalidInput("--shadow", f"{home} has no batch of {game_date} to compare with; run the date first")
        return said(coordinator.ledger, coordinator.parts.warehouse, found[0].batch_id)
