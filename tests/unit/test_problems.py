"""Every error of the tree has one status and one problem document."""

from __future__ import annotations

import pytest

from shared import errors
from shared.errors import Conflict, InvalidInput, MoveRefused, TipoffError
from shared.problems import headers_for, problem_of, problem_of_status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("game_date", "is no date; write 2026-01-30"), 422),
        (errors.MalformedMessage("no data"), 400),
        (errors.NotAuthorised("no token"), 401),
        (errors.CallerRefused("stranger"), 403),
        (errors.UnknownBatch("none such"), 404),
        (Conflict("a batch lives"), 409),
        (MoveRefused("it is COMPLETE"), 409),
        (errors.VerificationRefused("rows differ"), 409),
        (errors.ConfirmationNeeded("60% retired"), 409),
        (errors.Unavailable("no answer"), 503),
        (errors.LeaseLost("taken over"), 503),
        (errors.Transient("later"), 503),
        (errors.SchemaClash("types differ"), 500),
        (errors.QueryRefused("syntax"), 500),
        (errors.VersionChanged("disturbed"), 500),
        (errors.Permanent("never"), 500),
        (KeyError("points"), 500),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    answered, document = problem_of(error, instance="/start")

    assert answered == status
    assert document["status"] == status


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    _, document = problem_of(errors.UnknownBatch("no batch b1"), instance="/batches/b1")

    assert document == {
        "type": "urn:tipoff:problem:unknown-batch",
        "title": "No such batch",
        "status": 404,
        "detail": "no batch b1",
        "instance": "/batches/b1",
    }


def test_a_bad_value_is_named() -> None:
    _, document = problem_of(InvalidInput("game_date", "is no date"), instance="/start")

    assert document["field"] == "game_date"


def test_the_batch_in_the_way_is_named_when_it_is_known() -> None:
    _, named = problem_of(MoveRefused("it is COMPLETE", batch_id="b1"), instance="/")
    _, unnamed = problem_of(Conflict("it changed"), instance="/")

    assert named["batch_id"] == "b1"
    assert "batch_id" not in unnamed


def test_every_leaf_of_the_tree_is_told_from_the_others_where_a_caller_can_act() -> None:
    acted_on = [errors.NotAuthorised, errors.CallerRefused, errors.ConfirmationNeeded, errors.VerificationRefused]

    types = {problem_of(leaf("why"), instance="/")[1]["type"] for leaf in acted_on}

    assert len(types) == len(acted_on)


def test_no_error_of_the_tree_is_answered_as_unforeseen() -> None:
    tree = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TipoffError)]
    made = [kind("field", "why") if issubclass(kind, InvalidInput) else kind("why") for kind in tree]

    details = {problem_of(error, instance="/")[1]["detail"] for error in made if type(error) is not TipoffError}

    assert details == {"why", "field: why"}


def test_the_text_of_an_unforeseen_error_stays_inside() -> None:
    _, document = problem_of(KeyError("secret"), instance="/start")

    assert "secret" not in str(document)


def test_passing_trouble_says_when_to_come_again() -> None:
    assert headers_for(503) == {"Content-Type": "application/problem+json", "Retry-After": "10"}
    assert headers_for(401)["WWW-Authenticate"] == "Bearer"
    assert "Retry-After" not in headers_for(500)


def test_a_bare_status_needs_no_type() -> None:
    status, document = problem_of_status(405, detail="use POST", instance="/start")

    assert status == 405
    assert (document["type"], document["title"]) == ("about:blank", "Method Not Allowed")
