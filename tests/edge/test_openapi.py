"""The API's description holds for the real service: every route is in it, and nothing that it allows meets a 5xx or an
answer that it does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from coordinator.openapi import OPERATIONS, document
from coordinator.routes.exchange import Caller
from schemas import names
from shared.errors import CallerRefused
from tests.batch_stand import PLAYERS, Stand
from tests.coordinator_front import Front
from tests.plan_inputs import GAME_DATE

UNKNOWN = names.batch_id(GAME_DATE, "never started")
EXAMPLES = 6
"""Per route and way of asking; all of them together stay under half a minute."""


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with closing(Stand(tmp_path)) as stand:
        yield stand


def rules(front: Front) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in front.app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_described_and_every_description_is_of_a_route(stand: Stand) -> None:
    described = [(operation.method, operation.path) for operation in OPERATIONS]

    assert len(described) == len(set(described))
    assert set(described) == rules(Front(stand))


def test_the_description_is_served_to_those_who_may_use_the_api(stand: Stand) -> None:
    front = Front(stand)

    answer = front.get("/openapi.json")

    assert answer.get_json() == document(version="coordinator-1")
    assert front.asked == [frozenset({Caller.ADMIN})]
    front.refusal = CallerRefused("not listed")
    assert front.get("/openapi.json").status_code == 403


def test_every_reference_leads_somewhere() -> None:
    found = document(version="v")

    wanted = set(re.findall(r"'#/components/schemas/(\w+)'", repr(found)))

    assert wanted <= found["components"]["schemas"].keys()
    assert wanted >= {"BatchView", "SweepAnswer", "Gaps", "Explanation", "PolicyChanges", "Problem"}


# --- whatever the description allows --------------------------------------------------------------------------


def a_lived_in_front(stand: Stand) -> tuple[Front, list[str]]:
    """A service that has a merged, an ended and a live batch, and their ids beside one of none."""
    whole = stand.run("first").batch_id
    partial = stand.run("second", players=PLAYERS[:1]).batch_id
    stand.coordinator.consolidator.consolidate(partial, forced=True)
    live = stand.start("third").batch.batch_id
    return Front(stand), [whole, partial, live, UNKNOWN]


def described_for(front: Front, batch_ids: list[str], path: str) -> dict[str, Any]:
    """One path's description, in which batch ids are those that a test knows."""
    found: dict[str, Any] = front.get("/openapi.json").get_json()
    found["paths"] = {path: found["paths"][path]}
    for operation in found["paths"][path].values():
        for parameter in operation["parameters"]:
            if parameter["name"] == "batch_id":
                parameter["schema"] = {"type": "string", "enum": batch_ids}
    return found


CHECKED: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def ways_of_asking() -> list[tuple[str, GenerationMode]]:
    """Every path of the API, kept to and, where there is anything to keep to, not kept to."""
    api = [one for one in OPERATIONS if not one.is_page]
    loose = {one.path for one in api if one.body or one.query or one.headers or "{" in one.path}
    kept_to = [(path, GenerationMode.POSITIVE) for path in sorted({one.path for one in api})]
    return kept_to + [(path, GenerationMode.NEGATIVE) for path in sorted(loose)]


@pytest.mark.parametrize(("path", "mode"), ways_of_asking())
def test_whatever_is_asked_is_answered_as_the_description_says(stand: Stand, path: str, mode: GenerationMode) -> None:
    front, batch_ids = a_lived_in_front(stand)
    described = schemathesis.openapi.from_dict(described_for(front, batch_ids, path))
    described.app = front.app
    (operation,) = [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(case=cases)
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKED)

    ask()
