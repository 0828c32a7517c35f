"""F12: whatever is asked of the API, the answer is one that its description tells."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from coordinator.app import create_app
from coordinator.operator.bodies import DATE_PATTERN
from coordinator.routes.exchange import Caller
from coordinator.routes.openapi import OPERATIONS, document
from schemas import names
from shared.errors import NotAuthorised
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front
from tests.stand.world import PLAYERS, Stand

pytestmark = pytest.mark.xdist_group("description")  # its tests share a service that was lived in

TOKEN = "Bearer a-sound-token"
PUSHES = ("/complete", "/dead-letter")
UNKNOWN = names.batch_id(GAME_DATE, "never started")
EXAMPLES = 10
"""Per route and way of asking; all of them together stay under half a minute."""


def sound_tokens_only(authorization: str | None, _callers: frozenset[Caller]) -> None:
    if authorization != TOKEN:
        raise NotAuthorised("the token does not verify")


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The files of a service that has a merged, an ended and a live batch, and their ids beside one of none."""
    folder = tmp_path_factory.mktemp("lived-in")
    with closing(Stand(folder)) as stand:
        whole = stand.run("first").batch_id
        partial = stand.run("second", players=PLAYERS[:1]).batch_id
        stand.coordinator.consolidator.consolidate(partial, forced=True)
        live = stand.start("third").batch.batch_id
    return folder, [whole, partial, live, UNKNOWN]


def described_for(front: Front, batch_ids: list[str], path: str) -> dict[str, Any]:
    """One path's description, in which batch ids are those that a test knows."""
    found: dict[str, Any] = front.get("/openapi.json").get_json()
    found["paths"] = {path: found["paths"][path]}
    for operation in found["paths"][path].values():
        for parameter in operation["parameters"]:
            if parameter["name"] == "batch_id":
                parameter["schema"] = {"type": "string", "enum": batch_ids}
    return found


def test_f12_every_operation_has_a_name_of_its_own_and_every_body_an_example_that_it_allows() -> None:
    operations = [one for path in document(version="v")["paths"].values() for one in path.values()]

    assert len({one["operationId"] for one in operations}) == len(operations)
    for described in OPERATIONS:
        if described.body is not None:
            told = document(version="v")["paths"][described.path][described.method]["requestBody"]
            described.body.model_validate_json(json.dumps(told["content"]["application/json"]["example"]))
            assert told["required"] == (described.path in PUSHES)


@pytest.mark.parametrize("path", ["/start", "/batches", "/health"])
def test_f12_a_method_that_a_path_has_not_is_answered_with_those_that_it_has(stand: Stand, path: str) -> None:
    answer = Front(stand).client.open(path, method="TRACE")

    assert answer.status_code == 405
    assert {"GET", "POST"} & set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    ("date", "status"), [("1945-12-31", 422), ("1946-01-01", 200), ("2100-12-31", 200), ("2101-01-01", 422)]
)
def test_f12_dates_have_the_bounds_that_are_described(stand: Stand, date: str, status: int) -> None:
    assert Front(stand).get(f"/batches?game_date={date}").status_code == status
    assert bool(re.search(DATE_PATTERN, date)) == (status == 200)


RELATED = {
    "/accuracy": {"from", "to", "system"},
    "/season": {"from", "to"},
    "/grade": {"from", "to", "game_date"},
}
"""What must fit other values, the calendar or the grades that there are, which no JSON Schema can say; asked without these,
the routes are held to all checks."""


def ways_of_asking() -> list[tuple[str, GenerationMode]]:
    """Every path of the API, kept to and, where there is anything to keep to, not kept to."""
    api = [one for one in OPERATIONS if not one.is_page]
    loose = {one.path for one in api if one.body or one.query or one.headers or "{" in one.path}
    kept_to = [(path, GenerationMode.POSITIVE) for path in sorted({one.path for one in api})]
    return kept_to + [(path, GenerationMode.NEGATIVE) for path in sorted(loose)]


@pytest.mark.parametrize(("path", "mode"), ways_of_asking())
def test_f12_whatever_is_asked_is_answered_as_the_description_says(
    lived_in: tuple[Path, list[str]], tmp_path: Path, path: str, mode: GenerationMode
) -> None:
    folder, batch_ids = lived_in
    with closing(Stand(tmp_path, like=folder)) as stand:
        asked_of(Front(stand), batch_ids, path, mode)


def asked_of(front: Front, batch_ids: list[str], path: str, mode: GenerationMode) -> None:
    """Ask a path again and again, and hold each answer to the description."""
    described = schemathesis.openapi.from_dict(described_for(front, batch_ids, path))
    described.app = create_app(front.coordinator, guard=sound_tokens_only)
    (operation,) = [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(case=cases)
    def ask(case: schemathesis.Case[Any]) -> None:
        # What a push cannot mean is acknowledged, lest it comes again for days (F3).
        excused: list[Any] = [negative_data_rejection] if path in PUSHES else []
        if {*(case.query or {}), *(case.body if isinstance(case.body, dict) else {})} & RELATED.get(path, set()):
            excused.append(positive_data_acceptance)
        case.call_and_validate(headers={"Authorization": TOKEN}, excluded_checks=excused)

    ask()
