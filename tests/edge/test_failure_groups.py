"""Failures are told in groups of one cause, and a group is redriven by one button or command."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from coordinator.operator.failures import cause_of, failure_groups
from local.one_machine.serving import serving
from schemas.messages import Failed, FailureCode
from shared.settings import Policy
from tests.stand.front import Front, assert_problem
from tests.stand.world import PLAYERS, Stand
from tests.terminal import Terminal

BAD = "ValueError: {}: points_line '24.{}' of 2026-01-30 is beyond 99.5"
OTHER = "KeyError: `{}` has no team"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("KeyError: 'ann' of ann has no team", "KeyError: 'bob' of ann has no team"),
        ("refused row 3 of 12 at 2026-01-30T10:00:00Z", "refused row 11 of 60 at 2026-01-31T11:30:00Z"),
        ("tipoff-worker-00003-abc gave the request up after 20 deliveries", "tipoff-worker-00007-xyz gave the request up after 5 deliveries"),
    ],
)  # fmt: skip
def test_a_cause_has_neither_names_nor_numbers(one: str, another: str) -> None:
    assert cause_of(one, "ann") == cause_of(another, "ann")
    assert cause_of(one, "ann") != cause_of("something else", "ann")


@pytest.fixture
def batch_id(stand: Stand) -> str:
    """A batch whose three players failed of two causes, within its tolerance."""
    batch = stand.start(policy=Policy(tolerated_failed_share=1)).batch
    for number, (player, said) in enumerate(zip(PLAYERS, (BAD, BAD, OTHER), strict=True)):
        stand.pass_time(timedelta(minutes=1))
        detail = said.format(player, number)
        stand.record(Failed(batch_id=batch.batch_id, player_lookup=player, worker_revision="worker-1",
                            code=FailureCode.PREDICTION_ERROR, detail=detail))  # fmt: skip
    return batch.batch_id


def test_failures_of_one_cause_are_one_group_with_count_time_and_example(stand: Stand, batch_id: str) -> None:
    first, second = failure_groups(stand.coordinator.ledger.shards(batch_id))

    assert (first.count, first.players, first.code) == (2, list(PLAYERS[:2]), "prediction_error")
    assert first.cause == "ValueError: …: points_line … of … is beyond …"
    assert first.example == f"{PLAYERS[0]}: {BAD.format(PLAYERS[0], 0)}"
    assert first.first_seen == stand.now - timedelta(minutes=2)
    assert (second.count, second.cause) == (1, "KeyError: … has no team")
    assert first.fingerprint != second.fingerprint


def test_a_group_is_redriven_alone(stand: Stand, batch_id: str) -> None:
    front = Front(stand)
    fingerprint = failure_groups(stand.coordinator.ledger.shards(batch_id))[0].fingerprint

    answer = front.post(f"/batches/{batch_id}/redrive", {"group": fingerprint}, headers={"Idempotency-Key": "k"})

    child = stand.coordinator.ledger.shards(answer.get_json()["batch_id"])
    assert answer.status_code == 202
    assert {player for shard in child for player in shard.expected} == set(PLAYERS[:2])


def test_an_unknown_group_is_refused_with_the_known_ones(stand: Stand, batch_id: str) -> None:
    known = [group.fingerprint for group in failure_groups(stand.coordinator.ledger.shards(batch_id))]

    assert_problem(Front(stand).post(f"/batches/{batch_id}/redrive", {"group": "0" * 10}), 409, ", ".join(known))


def test_the_page_has_a_button_for_each_group(stand: Stand, batch_id: str) -> None:
    front = Front(stand)
    page = front.get(f"/dashboard/batches/{batch_id}").get_data(as_text=True)
    assert "Redrive these 2" in page
    (form,) = re.findall(r"<form [^>]*>(?:(?!</form>).)*Redrive these 2", page, re.DOTALL)
    fields = dict(re.findall(r'name="(form_token|once|group)" value="([^"]+)"', form))

    pressed = front.client.post(f"/dashboard/batches/{batch_id}/redrive", data=fields)

    assert pressed.status_code == 303
    child = pressed.headers["Location"].rpartition("/")[2]
    assert stand.batch(child).expected_count == 2


def test_the_commands_tell_the_groups_and_redrive_one(
    stand: Stand, batch_id: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Front(stand).app) as url:
        terminal = Terminal(url, capsys, monkeypatch)
        told = terminal.run("status", batch_id).out
        (command,) = re.findall(r"2 × prediction_error: ValueError.*?tipoff (redrive \S+ --group \w+)", told, re.DOTALL)
        answer = terminal.json(*command.split(), "--yes")

    assert answer["expected"] == 2
