"""The API's description holds for the real service: every route is in it, and nothing that it allows meets a 5xx or an
answer that it does not tell."""

from __future__ import annotations

import re

from coordinator.routes.exchange import Caller
from coordinator.routes.openapi import OPERATIONS, document
from schemas import names
from shared.errors import CallerRefused
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front
from tests.stand.world import Stand

UNKNOWN = names.batch_id(GAME_DATE, "never started")
EXAMPLES = 6
"""Per route and way of asking; all of them together stay under half a minute."""


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
    assert front.asked == [frozenset({Caller.ADMIN, Caller.VIEWER})]
    front.refusal = CallerRefused("not listed")
    assert front.get("/openapi.json").status_code == 403


def test_every_reference_leads_somewhere() -> None:
    found = document(version="v")

    wanted = set(re.findall(r"'#/components/schemas/(\w+)'", repr(found)))

    assert wanted <= found["components"]["schemas"].keys()
    assert wanted >= {"BatchView", "SweepAnswer", "Gaps", "Explanation", "PolicyChanges", "Problem"}
