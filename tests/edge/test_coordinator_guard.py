"""Who may call which of the coordinator's routes; what its health checks and `/sweep` tell; errors as problem documents."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.routes.exchange import Caller
from schemas import names
from schemas.messages import FailureCode
from shared.errors import CallerRefused, NotAuthorised, TipoffError, Unavailable
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front, Outage, assert_problem
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")

READERS = {Caller.ADMIN, Caller.VIEWER}
CALLERS = {
    ("POST", "/start"): {Caller.SCHEDULER, Caller.ADMIN},
    ("POST", "/sweep"): {Caller.SCHEDULER, Caller.ADMIN},
    ("POST", "/complete"): {Caller.PUSH},
    ("POST", "/dead-letter"): {Caller.PUSH},
    ("GET", "/schema"): READERS,
    ("GET", "/openapi.json"): READERS,
    ("GET", "/"): READERS,
    ("GET", "/dashboard/batches/<batch_id>"): READERS,
    ("GET", "/dashboard/batches/<batch_id>/gaps"): READERS,
    ("GET", "/dashboard/schema"): READERS,
    ("GET", "/dashboard/accuracy"): READERS,
    ("GET", "/dashboard/season"): READERS,
    ("GET", "/dashboard/dates/<game_date>"): READERS,
    ("GET", "/dashboard/player"): READERS,
    ("GET", "/dashboard/batches/<batch_id>/diff"): READERS,
    ("POST", "/grade"): {Caller.SCHEDULER, Caller.ADMIN},
    ("GET", "/accuracy"): READERS,
    ("GET", "/season"): READERS,
    ("GET", "/batches/<batch_id>/diff"): READERS,
    ("GET", "/batches/<batch_id>/player"): READERS,
    ("POST", "/dashboard/sweep"): {Caller.ADMIN},
    ("POST", "/dashboard/batches/<batch_id>/<action>"): {Caller.ADMIN},
    ("GET", "/batches"): READERS,
    ("GET", "/batches/<batch_id>"): READERS,
    ("GET", "/batches/<batch_id>/explain"): READERS,
    ("GET", "/batches/<batch_id>/gaps"): READERS,
    ("POST", "/batches/<batch_id>/consolidate"): {Caller.ADMIN},
    ("POST", "/batches/<batch_id>/redrive"): {Caller.ADMIN},
    ("POST", "/batches/<batch_id>/cancel"): {Caller.ADMIN},
    ("PATCH", "/batches/<batch_id>/policy"): {Caller.ADMIN},
}
OPEN_TO_ALL = {("GET", "/health"), ("GET", "/ready")}


def routes(front: Front) -> set[tuple[str, str]]:
    """Method and path of every route but Flask's own static files."""
    return {
        (method, rule.rule)
        for rule in front.app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


# --- guard ----------------------------------------------------------------------------------------------------


def test_every_route_but_the_health_checks_asks_the_guard_first_and_for_the_right_callers(front: Front) -> None:
    asked: dict[tuple[str, str], set[Caller]] = {}
    front.refusal = NotAuthorised("no token")

    for method, path in sorted(routes(front)):
        front.asked.clear()
        answer = front.client.open(
            path.replace("<batch_id>", BATCH_ID), method=method, data=b"{", content_type="application/json"
        )
        if front.asked:
            assert_problem(answer, 401)
            asked[method, path] = set().union(*front.asked)

    assert asked == CALLERS
    assert routes(front) - asked.keys() == OPEN_TO_ALL


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(NotAuthorised("no token"), 401), (CallerRefused("not listed"), 403), (Unavailable("no certificates"), 503)],
)
def test_whoever_the_guard_refuses_changes_nothing(
    stand: Stand, front: Front, refusal: TipoffError, status: int
) -> None:
    front.start()
    before = [stand.documents.query(("batches",)), stand.documents.query(("batches", BATCH_ID, "shards"))]
    front.refusal = refusal

    assert_problem(front.start(key="another-key"), status, str(refusal))
    assert_problem(front.complete(a_failure(BATCH_ID, PLAYERS[0])), status)
    assert_problem(front.post("/sweep"), status)
    assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True}), status)

    assert [stand.documents.query(("batches",)), stand.documents.query(("batches", BATCH_ID, "shards"))] == before
    assert stand.events() == []


# --- /sweep ---------------------------------------------------------------------------------------------------


def test_a_sweep_answers_with_what_it_found_and_did(stand: Stand, front: Front) -> None:
    assert front.post("/sweep").get_json() == {"dry_run": False, "batches": [], "graded": []}
    stand.requests.fail_next(1)
    front.start()

    repaired, nothing = front.post("/sweep"), front.post("/sweep")

    assert [repaired.status_code, nothing.status_code] == [200, 200]
    assert repaired.get_json()["batches"] == [
        {
            "batch_id": BATCH_ID,
            "verdict": "repaired",
            "state": "RUNNING",
            "did": ["published what was never published"],
            "why": "",
            "command": "",
        }
    ]
    assert [(one["verdict"], one["did"]) for one in nothing.get_json()["batches"]] == [("nothing", [])]


def test_a_sweep_that_met_passing_trouble_answers_503_so_that_it_is_called_again(stand: Stand, front: Front) -> None:
    stand.requests.fail_next(2)
    front.start()

    document = assert_problem(front.post("/sweep"), 503, BATCH_ID)

    assert [one["verdict"] for one in document["batches"]] == ["try_again"]
    assert front.post("/sweep").status_code == 200


def test_a_sweep_of_a_failed_batch_says_that_a_person_is_needed_and_why(front: Front) -> None:
    front.start()
    for player in PLAYERS:
        front.complete(a_failure(BATCH_ID, player, FailureCode.ROW_REFUSED))

    answer = front.post("/sweep")

    assert answer.status_code == 200, "calling again would not help"
    (swept,) = answer.get_json()["batches"]
    assert (swept["verdict"], swept["state"]) == ("needs_a_person", "FAILED")
    assert "3 of 3 players are failed" in swept["why"]
    assert swept["command"] == f"tipoff consolidate {BATCH_ID} --force"


def test_a_sweep_whose_document_store_is_down_answers_503(stand: Stand) -> None:
    documents = Outage(stand.documents)
    documents.goes_down()

    assert_problem(Front(stand, stand.new_coordinator("one", documents=documents)).post("/sweep"), 503)


# --- /health, /ready ------------------------------------------------------------------------------------------


def test_health_tells_the_revision_and_asks_nothing(stand: Stand) -> None:
    down = {name: Outage(getattr(stand, name)) for name in ("documents", "warehouse", "requests", "finished")}
    for one in down.values():
        one.goes_down()
    front = Front(stand, stand.new_coordinator("one", **down))

    answer = front.get("/health")

    assert answer.status_code == 200
    told = {"service": "coordinator", "status": "alive", "revision": "coordinator-1", "commit": "unknown"}
    assert answer.get_json() == told


def test_ready_when_every_dependency_answers(front: Front) -> None:
    answer = front.get("/ready")

    assert answer.status_code == 200
    assert (answer.get_json()["status"], answer.get_json()["revision"]) == ("ready", "coordinator-1")
    assert "configured" in answer.get_json()["logs"]


@pytest.mark.parametrize("part", ["documents", "warehouse", "requests", "finished"])
def test_ready_names_the_dependency_that_fails(stand: Stand, part: str) -> None:
    outage = Outage(getattr(stand, part))
    outage.goes_down()
    parts: dict[str, Any] = {part: outage}

    document = assert_problem(Front(stand, stand.new_coordinator("one", **parts)).get("/ready"), 503, part)

    assert document["failing"] == {part: "the service does not answer"}
    assert document["revision"] == "coordinator-1"


def test_ready_names_all_that_fail(stand: Stand) -> None:
    documents, warehouse = Outage(stand.documents), Outage(stand.warehouse)
    documents.goes_down()
    warehouse.goes_down()
    front = Front(stand, stand.new_coordinator("one", documents=documents, warehouse=warehouse))

    assert set(assert_problem(front.get("/ready"), 503)["failing"]) == {"documents", "warehouse"}


# --- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", f"/batches/{BATCH_ID}/explode", 404),
        ("GET", "/start", 405),
        ("GET", "/complete", 405),
        ("POST", "/health", 405),
        ("DELETE", f"/batches/{BATCH_ID}", 405),
    ],
)
def test_an_unknown_route_and_a_wrong_method_are_problem_documents(
    front: Front, method: str, path: str, status: int
) -> None:
    assert assert_problem(front.client.open(path, method=method), status)["instance"] == path


def test_what_nobody_foresaw_is_500_logged_with_its_traceback_and_not_told(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        """Fails in a way that no adapter may."""

        def query(self, *_: object, **__: object) -> None:
            raise ZeroDivisionError("secret detail")

    front = Front(stand, stand.new_coordinator("one", documents=Broken()))

    document = assert_problem(front.get("/batches"), 500)

    assert "secret" not in str(document)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
