"""Every alert watches a metric that exists, and every metric counts a line that the coordinator really writes."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coordinator.app import create_app
from coordinator.usecases.grade import LAST_DAYS
from shared import logs
from shared.errors import InputsIncomplete, QueryRefused, TipoffError, Unavailable
from shared.settings import Policy
from tests.flow.test_accuracy import intervals
from tests.flow.test_completeness import a_week
from tests.incidents.test_f2_f4_junk import FullDocuments
from tests.plan_inputs import GAME_DATE, League, a_log
from tests.provision_stand import DEPLOY, Provisioning, flags_of
from tests.stand.front import Front
from tests.stand.ledger import a_skip
from tests.stand.world import PLAYERS, Stand, a_league

OURS = "logging.googleapis.com/user/"
SERVICE = "tipoff-coordinator"


def contents(folder: str) -> dict[str, dict[str, Any]]:
    """The JSON files of a folder by name."""
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted((DEPLOY / folder).glob("*.json"))
    }


METRICS, ALERTS, OBJECTIVES = contents("metrics"), contents("alerts"), contents("slos")
BURN_RATE = r'select_slo_burn_rate\("projects/PROJECT/services/tipoff/serviceLevelObjectives/([\w-]+)", "86400s"\)'


def conditions(filter_text: str) -> list[list[tuple[str, set[str]]]]:
    """A filter as a conjunction of disjunctions of (field, allowed values): all of the language that ours use."""
    value = r'(?:"[^"]*"|\((?:"[^"]*"(?: OR )?)+\))'
    one = rf"[\w.]+={value}"
    clauses = re.findall(rf"\((?:{one}(?: OR )?)+\)|{one}", filter_text)
    assert " AND ".join(clauses) == filter_text, "write the filter more simply, or widen this reader"
    return [
        [(field, set(re.findall(r'"([^"]*)"', values))) for field, values in re.findall(rf"([\w.]+)=({value})", clause)]
        for clause in clauses
    ]


def matches(filter_text: str, line: dict[str, Any]) -> bool:
    """Whether Cloud Logging would keep a line of the coordinator for a filter: our JSON fields become `jsonPayload`."""
    known = {"resource.type": "cloud_run_revision", "resource.labels.service_name": SERVICE}
    known |= {f"jsonPayload.{name}": value for name, value in line.items()}
    return all(any(known.get(field) in values for field, values in clause) for clause in conditions(filter_text))


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service writes, by its own formatter."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    logs.configure(service="coordinator", revision="r1", project="demo-project", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def counted(stream: io.StringIO) -> dict[str, int]:
    """How many of the lines so far each metric counts."""
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return {name: sum(matches(metric["filter"], line) for line in lines) for name, metric in METRICS.items()}


def test_a_good_day_counts_its_batch_and_alarms_nobody(stand: Stand, written: io.StringIO) -> None:
    stand.run()
    stand.coordinator.sweeper.sweep()

    seen = counted(written)
    assert (seen["tipoff-batch-planned"], seen["tipoff-batch-stuck"], seen["tipoff-consolidation-refused"]) == (1, 0, 0)


def test_a_good_day_is_on_time(stand: Stand, written: io.StringIO) -> None:
    stand.run()

    seen = counted(written)
    assert (seen["tipoff-batch-ended"], seen["tipoff-batch-late"], seen["tipoff-batch-will-be-late"]) == (1, 0, 0)


def test_a_failed_batch_and_one_after_its_deadline_are_late(stand: Stand, written: io.StringIO) -> None:
    stand.run(players=PLAYERS[:1], policy=Policy(deadline_minutes=30, tolerated_silent_share=0))
    stand.pass_time(timedelta(minutes=31))
    stand.coordinator.sweeper.sweep()
    assert (counted(written)["tipoff-batch-ended"], counted(written)["tipoff-batch-late"]) == (1, 1)

    stand.run("another", policy=Policy(deadline_minutes=30, tolerated_silent_share=1), players=PLAYERS[:1])
    stand.pass_time(timedelta(minutes=60))
    stand.coordinator.sweeper.sweep()
    assert (counted(written)["tipoff-batch-ended"], counted(written)["tipoff-batch-late"]) == (2, 2)


def test_a_batch_that_will_miss_its_deadline_is_told_before_it_does(stand: Stand, written: io.StringIO) -> None:
    batch = stand.run(players=PLAYERS[:1], policy=Policy(deadline_minutes=20))
    stand.pass_time(timedelta(minutes=8))
    stand.coordinator.sweeper.sweep()

    assert counted(written)["tipoff-batch-will-be-late"] == 1
    told = [one.text for one in stand.coordinator.diagnosis.explain(batch.batch_id).sentences]
    assert any("1 player has answered so far, 0.1 a minute" in text for text in told)
    assert any("in 16 minutes), which is too late for its deadline" in text for text in told)


@pytest.mark.parametrize(("is_loaded", "late"), [(True, 0), (False, 1)])
def test_noon_tells_whether_every_row_is_graded(stand: Stand, written: io.StringIO, is_loaded: bool, late: int) -> None:
    stand.run()
    if is_loaded:
        stand.load(played())
    stand.now = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)  # noon in US Eastern
    app = create_app(stand.coordinator, guard=lambda _header, _callers: None)

    assert app.test_client().post("/grade", json={}).status_code == 200

    assert (counted(written)["tipoff-noon"], counted(written)["tipoff-noon-late"]) == (1, late)


@pytest.mark.parametrize(("trouble", "noons"), [(QueryRefused("no"), 1), (Unavailable("asleep"), 0)])
def test_noon_counts_a_date_that_was_refused_as_late_and_waits_where_the_call_comes_again(
    stand: Stand, written: io.StringIO, trouble: TipoffError, noons: int
) -> None:
    stand.run()
    stand.load(played())
    stand.now = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)  # noon in US Eastern

    class Troubled:
        """The warehouse, where the MERGE of grades meets trouble."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.warehouse, name)

        def estimate(self, _sql: str, _parameters: object) -> int:
            raise trouble

    grader = stand.new_coordinator("two", warehouse=Troubled()).grader
    today = date(2026, 1, 31)

    assert [one.game_date for one in grader.grade_what_is_there(today - LAST_DAYS, today).refused] == [GAME_DATE]

    assert (counted(written)["tipoff-noon"], counted(written)["tipoff-noon-late"]) == (noons, noons)


def played() -> League:
    """The league after its game of the date, in which everybody played."""
    league = a_league()
    tonight = [
        a_log(str(player), days_ago=0, game_id=str(league.games[0]["game_id"]), opponent="OKC") for player in (1, 2, 3)
    ]
    return replace(league, logs=[*league.logs, *tonight])


def test_the_dashboard_shows_every_metric_that_is_provisioned() -> None:
    text = (DEPLOY / "dashboard.json").read_text(encoding="utf-8")

    assert set(re.findall(r"user/([\w-]+)", text)) == METRICS.keys()


def test_what_was_made_before_is_brought_up_to_date(tmp_path: Path) -> None:
    provisioning = Provisioning(tmp_path)
    provisioning.run()
    provisioning.calls()
    provisioning.values["ALERT_EMAIL"] = "others@example.com"

    done = provisioning.run()

    assert done.returncode == 0, done.stderr
    calls = provisioning.calls()
    (channel,) = [call for call in calls if {"channels", "update"} <= {*call}]
    (board,) = [call for call in calls if {"dashboards", "update"} <= {*call}]
    assert "--update-channel-labels=email_address=others@example.com" in channel
    replaced = json.loads(flags_of(board)["config"])
    assert replaced.pop("etag") == f"tag-of-{board[4]}"
    assert replaced == json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))
    assert not [call for call in calls if "create" in call and {"channels", "dashboards", "policies"} & {*call}]


def test_a_repeated_start_is_no_second_batch(stand: Stand, written: io.StringIO) -> None:
    stand.start()
    stand.start()

    assert counted(written)["tipoff-batch-planned"] == 1


def test_a_refused_consolidation_and_the_batch_that_it_leaves_are_counted(stand: Stand, written: io.StringIO) -> None:
    stand.run(players=PLAYERS[:1], policy=Policy(deadline_minutes=30, tolerated_silent_share=0))
    stand.pass_time(timedelta(minutes=31))
    stand.coordinator.sweeper.sweep()

    seen = counted(written)
    assert seen["tipoff-consolidation-refused"] == 1
    assert seen["tipoff-batch-stuck"] == 1


def test_a_batch_that_meets_trouble_again_and_again_is_counted(stand: Stand, written: io.StringIO) -> None:
    stand.start()
    stand.warehouse.drop("_plan_" + stand.coordinator.views.batches()[0].batch_id)
    stand.pass_time(timedelta(minutes=20))
    for _ in range(4):
        stand.coordinator.sweeper.sweep()

    assert counted(written)["tipoff-batch-stuck"] == 4


def test_a_start_on_stale_inputs_and_an_empty_batch_in_the_season_are_counted(
    stand: Stand, written: io.StringIO
) -> None:
    stand.load(a_week(lacking=2))
    with pytest.raises(InputsIncomplete):
        stand.start()
    assert counted(written)["tipoff-inputs-incomplete"] == 1

    stand.load(League(logs=(), games=()))
    stand.start()
    assert counted(written)["tipoff-inputs-incomplete"] == 2


def test_an_outcome_that_the_store_refuses_is_counted(stand: Stand, written: io.StringIO) -> None:
    batch_id = stand.start().batch.batch_id
    front = Front(stand, stand.new_coordinator("one", documents=FullDocuments(stand.documents)))

    front.complete(a_skip(batch_id, PLAYERS[0]))

    assert counted(written)["tipoff-outcome-not-storable"] == 1


def test_a_grading_after_which_the_interval_drifts_is_counted(stand: Stand, written: io.StringIO) -> None:
    stand.run()
    intervals(stand, held=560, missed=40)

    stand.coordinator.grader.grade(GAME_DATE, GAME_DATE)

    assert counted(written)["tipoff-interval-drifts"] == 1


def access_line(path: str, status: int) -> None:
    """What gunicorn logs of a request, as gunicorn hands it over."""
    atoms = {
        "m": "POST",
        "U": path,
        "s": str(status),
        "L": "0.1",
        "B": 2,
        "a": "Google-Cloud-Scheduler",
        "h": "-",
        "H": "HTTP/1.1",
    }
    logging.getLogger("gunicorn.access").info("%(m)s", atoms)


def test_a_sweep_counts_when_it_has_answered_and_only_then(stand: Stand, written: io.StringIO) -> None:
    app = create_app(stand.coordinator, guard=lambda _header, _callers: None)
    access_line("/sweep", app.test_client().post("/sweep").status_code)
    access_line("/sweep", 503)
    access_line("/start", 200)

    assert counted(written)["tipoff-sweep"] == 1


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_watches_a_metric_or_an_objective_that_is_provisioned(name: str) -> None:
    (condition,) = ALERTS[name]["conditions"]
    watched = condition["conditionThreshold"]["filter"]
    if burnt := re.fullmatch(BURN_RATE, watched):
        assert burnt[1] in OBJECTIVES
        return
    found = re.search(r'metric.type="([^"]+)"', watched)

    assert found is not None
    metric = found[1]
    assert (
        metric.removeprefix(OURS) in METRICS or metric == "pubsub.googleapis.com/subscription/dead_letter_message_count"
    )


def ratio(objective: dict[str, Any]) -> tuple[str, str]:
    """The metrics of an objective: what is bad, and of what."""
    filters = objective["serviceLevelIndicator"]["requestBased"]["goodTotalRatio"]
    form = r'resource\.type="cloud_run_revision" AND metric\.type="logging\.googleapis\.com/user/([\w-]+)"'
    bad, total = (re.fullmatch(form, filters[name]) for name in ("badServiceFilter", "totalServiceFilter"))
    assert bad is not None
    assert total is not None
    return bad[1], total[1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_counts_the_bad_among_all_of_one_kind_of_line(name: str) -> None:
    bad, total = (METRICS[metric] for metric in ratio(OBJECTIVES[name]))

    assert len(conditions(bad["filter"])) == len(conditions(total["filter"])) + 1
    assert [one for one in conditions(total["filter"]) if one not in conditions(bad["filter"])] == []
    assert {metric["metricDescriptor"]["metricKind"] for metric in (bad, total)} == {"DELTA"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_has_an_alert_on_its_burn_rate(name: str) -> None:
    burnt = [
        re.fullmatch(BURN_RATE, alert["conditions"][0]["conditionThreshold"]["filter"]) for alert in ALERTS.values()
    ]

    assert name in [found[1] for found in burnt if found]


def test_every_metric_has_an_alert() -> None:
    watched = "".join(alert["conditions"][0]["conditionThreshold"]["filter"] for alert in ALERTS.values())
    judged = {metric for objective in OBJECTIVES.values() for metric in ratio(objective)}

    assert [name for name in METRICS if f'{OURS}{name}"' not in watched and name not in judged] == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_a_symptom_of_the_runbook(name: str) -> None:
    symptom = re.search(r'docs/runbook\.md, "([^"]+)"', ALERTS[name]["documentation"]["content"])
    runbook = (DEPLOY.parent / "docs" / "runbook.md").read_text(encoding="utf-8")

    assert symptom is not None
    assert f"## {symptom[1]}\n" in runbook


def test_silence_is_an_alarm_too() -> None:
    """A counter that nothing feeds has no points: without this, silence would never be noticed."""
    for name in ("no-batch-today", "sweep-silent"):
        threshold = ALERTS[name]["conditions"][0]["conditionThreshold"]
        assert threshold["comparison"] == "COMPARISON_LT"
        assert threshold["evaluationMissingData"] == "EVALUATION_MISSING_DATA_ACTIVE"


def test_the_window_of_no_batch_is_longer_than_a_day_and_no_longer_than_is_allowed() -> None:
    """A policy may look back 25 hours, its alignment and its duration taken together (Monitoring, "Alerting limits")."""
    threshold = ALERTS["no-batch-today"]["conditions"][0]["conditionThreshold"]

    seconds = [threshold["aggregations"][0]["alignmentPeriod"], threshold["duration"]]
    assert 24 * 3600 < sum(int(text.removesuffix("s")) for text in seconds) <= 90_000


def test_the_filters_name_the_service_that_is_deployed(tmp_path: Path) -> None:
    deployed = [command[3] for command in Provisioning(tmp_path).printed() if command[1:3] == ["run", "deploy"]]

    assert SERVICE in deployed
    for metric in METRICS.values():
        assert f'resource.labels.service_name="{SERVICE}"' in metric["filter"]
