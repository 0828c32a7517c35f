"""The ledger's rules: how a player stands, which rows count, what is late, and how a batch would end."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.documents import entry_of
from coordinator.rules.entries import AnyOutcome, TooManyMissing, ending, take_snapshot
from coordinator.rules.lifecycle import Event
from schemas.messages import FailureCode, PlayerCounts, SkipReason
from shared.settings import Policy
from tests.plan_inputs import PLANNED_AT
from tests.stand.ledger import a_shard, failed, predicted, skipped

P = "o.g.-anunoby"

# --- how a player stands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "stands"),
    [
        ([], "silent"),
        ([failed(P)], "failed"),
        ([skipped(P)], "skipped"),
        ([predicted(P)], "predicted"),
        ([failed(P), skipped(P)], "skipped"),
        ([failed(P), predicted(P)], "predicted"),
        ([skipped(P), predicted(P)], "predicted"),
        ([failed(P), skipped(P), predicted(P)], "predicted"),
    ],
)
def test_a_player_stands_where_his_best_answer_is_whatever_came_first(outcomes: list[AnyOutcome], stands: str) -> None:
    for order in permutations(outcomes):
        snapshot = take_snapshot([a_shard([P], order)])

        found = {
            "predicted": set(snapshot.predicted),
            "skipped": set(snapshot.skipped),
            "failed": set(snapshot.failed),
            "silent": set(snapshot.silent),
        }
        assert {name for name, players in found.items() if players} == {stands}
        assert found[stands] == {P}


def test_counts_are_sizes_of_named_sets() -> None:
    outcomes: list[AnyOutcome] = [
        predicted("a"),
        predicted("a", by="worker-2"),
        failed("a"),
        skipped("b"),
        failed("b"),
        failed("c"),
    ]

    snapshot = take_snapshot([a_shard("abcd", outcomes * 3)])

    assert snapshot.players == PlayerCounts(expected=4, predicted=1, skipped=1, failed=1, silent=1)
    assert snapshot.missing == ("c", "d")
    assert snapshot.spoken_for == ("a", "b")


def test_an_answer_of_somebody_unexpected_counts_nowhere() -> None:
    shard = a_shard("a", [predicted("x"), skipped("y"), failed("z")])

    assert take_snapshot([shard]).players == PlayerCounts(expected=1, predicted=0, skipped=0, failed=0, silent=1)
    assert not shard.is_settled
    assert not shard.late


def test_a_shard_is_settled_when_nobody_of_it_is_silent() -> None:
    assert not a_shard("ab", [predicted("a")]).is_settled
    assert a_shard("ab", [predicted("a"), failed("b")]).is_settled


# --- which rows count -----------------------------------------------------------------------------------------


def test_of_two_deliveries_the_higher_schema_versions_counts() -> None:
    old, new = predicted(P, by="worker-9", version=1), predicted(P, by="worker-1", version=2)

    for order in ([old, new], [new, old]):
        snapshot = take_snapshot([a_shard([P], order)])
        assert snapshot.predicted[P].delivery == new.delivery
        assert snapshot.answered_twice == {P}


def test_of_two_deliveries_the_one_that_a_merge_carries_counts_whatever_comes_later() -> None:
    old, new = predicted(P, version=1), predicted(P, by="worker-2", version=2)

    snapshot = take_snapshot([a_shard([P], [old, new], carried={P: old.delivery}, merged={P: old.delivery})])

    assert snapshot.predicted[P].delivery == old.delivery
    assert not snapshot.late


OUTCOMES = st.lists(
    st.one_of(
        st.builds(
            predicted,
            st.sampled_from("abc"),
            by=st.sampled_from(["worker-1", "worker-2"]),
            version=st.just(2),
        ),
        st.builds(skipped, st.sampled_from("abc"), st.sampled_from(SkipReason)),
        st.builds(failed, st.sampled_from("abc"), st.sampled_from(FailureCode)),
    ),
    max_size=12,
)


@given(outcomes=OUTCOMES, chance=st.randoms())
def test_the_snapshot_is_the_same_in_any_order_and_repetition(outcomes: list[AnyOutcome], chance: Random) -> None:
    other = [*outcomes, *outcomes]
    chance.shuffle(other)

    assert take_snapshot([a_shard("abcd", outcomes)]) == take_snapshot([a_shard("abcd", other)])


def test_deliveries_and_rows_are_those_that_count() -> None:
    two: list[AnyOutcome] = [
        predicted("a", rows=2),
        predicted("a", by="worker-2", rows=2),
        predicted("b", rows=5),
        skipped("c"),
    ]

    snapshot = take_snapshot([a_shard("abc", two)])

    assert snapshot.rows == 7
    assert snapshot.deliveries == tuple(sorted(one.delivery for one in snapshot.predicted.values()))
    assert len(snapshot.deliveries) == 2


# --- what is late ---------------------------------------------------------------------------------------------


def test_a_player_is_late_until_a_merge_of_his_rows_is_noted() -> None:
    outcomes: list[AnyOutcome] = [predicted("a"), predicted("b"), skipped("c")]

    before = take_snapshot([a_shard("abc", outcomes)])
    between = take_snapshot([a_shard("abc", outcomes, merged={"a": predicted("a").delivery})])

    assert before.late == {"a", "b"}
    assert between.late == {"b"}


def test_a_late_player_names_his_shard() -> None:
    shards = [a_shard("ab", [predicted("a")], number=0), a_shard("cd", [predicted("d")], number=7)]

    assert take_snapshot(shards).shard_of == {"a": 0, "d": 7}


# --- what an outcome writes -----------------------------------------------------------------------------------


def test_an_outcome_is_one_entry_under_its_kind_player_and_answer() -> None:
    delivery = predicted(P).delivery

    assert entry_of(predicted(P), at=PLANNED_AT)[0] == ("predicted", P, delivery)
    assert entry_of(skipped(P), at=PLANNED_AT)[0] == ("skipped", P, "listed_out")
    assert entry_of(failed(P, FailureCode.EXPIRED), at=PLANNED_AT)[0] == ("failed", P, "expired")


def test_a_detail_without_end_is_cut() -> None:
    outcome = failed(P).model_copy(update={"detail": "x" * 10_000})

    _, entry = entry_of(outcome, at=PLANNED_AT)

    assert isinstance(entry, dict)
    assert entry["detail"] == "x" * 500


# --- how a batch would end ------------------------------------------------------------------------------------


def counts(predicted: int, skipped: int = 0, failed: int = 0, silent: int = 0) -> PlayerCounts:
    expected = predicted + skipped + failed + silent
    return PlayerCounts(expected=expected, predicted=predicted, skipped=skipped, failed=failed, silent=silent)


POLICY = Policy(tolerated_failed_share=0.05, tolerated_silent_share=0.1)


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("players", [counts(0), counts(100), counts(0, skipped=100), counts(60, skipped=40)])
def test_a_batch_without_failed_and_silent_players_ends_whole(players: PlayerCounts, *, forced: bool) -> None:
    assert ending(players, POLICY, forced=forced) is Event.MERGED_WHOLE


@pytest.mark.parametrize(
    ("players", "end"),
    [
        (counts(90, silent=10), Event.MERGED_IN_PART),
        (counts(89, silent=11), TooManyMissing("11 of 100 players are silent; the policy tolerates 10.0%")),
        (counts(95, failed=5), Event.MERGED_IN_PART),
        (counts(94, failed=6), TooManyMissing("6 of 100 players are failed; the policy tolerates 5.0%")),
        (counts(85, failed=5, silent=10), Event.MERGED_IN_PART),
        (counts(84, failed=6, silent=10), TooManyMissing("6 of 100 players are failed; the policy tolerates 5.0%")),
        (counts(84, failed=5, silent=11), TooManyMissing("11 of 100 players are silent; the policy tolerates 10.0%")),
        (counts(0, failed=1), TooManyMissing("1 of 1 players are failed; the policy tolerates 5.0%")),
    ],
)
def test_the_shares_of_the_policy_decide_how_it_ends(players: PlayerCounts, end: Event | TooManyMissing) -> None:
    assert ending(players, POLICY) == end


@pytest.mark.parametrize("players", [counts(0, silent=1), counts(0, failed=100), counts(1, failed=50, silent=49)])
def test_a_persons_force_ends_it_in_part_whoever_is_missing(players: PlayerCounts) -> None:
    assert ending(players, POLICY, forced=True) is Event.MERGED_IN_PART


def test_a_policy_that_tolerates_everything_is_never_refused() -> None:
    lenient = Policy(tolerated_failed_share=1, tolerated_silent_share=1)

    assert ending(counts(0, failed=3, silent=7), lenient) is Event.MERGED_IN_PART


def test_a_policy_that_tolerates_nothing_refuses_one() -> None:
    strict = Policy(tolerated_failed_share=0, tolerated_silent_share=0)

    end = ending(counts(999, silent=1), strict)

    assert isinstance(end, TooManyMissing)


# --- whether an ended batch has more to say -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "merged", "missing_at_end", "has_news"),
    [
        ([predicted("a")], ["a"], 1, False),
        ([predicted("a"), failed("b")], ["a"], 1, False),
        ([predicted("a"), skipped("b")], ["a"], 1, True),
        ([predicted("a"), predicted("b")], ["a"], 1, True),
        ([predicted("a"), predicted("b")], ["a", "b"], 0, False),
        ([predicted("a"), skipped("b")], ["a"], 0, False),
        ([skipped("a"), skipped("b")], [], 2, True),
    ],
)
def test_an_ended_batch_has_news_of_unmerged_rows_and_of_players_no_longer_missing(
    outcomes: list[AnyOutcome], merged: list[str], missing_at_end: int, *, has_news: bool
) -> None:
    shard = a_shard("ab", outcomes, merged={player: predicted(player).delivery for player in merged})

    assert take_snapshot([shard]).has_news(missing_at_end=missing_at_end) is has_news
