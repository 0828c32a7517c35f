"""The completion ledger's rules: which outcomes have a place in it, and what a set of shards says.

The ledger is a map that only grows. An outcome is one entry under (kind, player, answer), where the answer is the
delivery, reason or code that it names; so outcomes commute, repeat harmlessly and need no transaction, and two
revisions that answer for one player leave two entries instead of overwriting each other. Everything else is derived
here from the named sets: nothing is ever counted up (A7). Must never learn how entries are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.rules.lifecycle import Event
from schemas.messages import Failed, PlayerCounts, Predicted, Skipped
from shared.errors import MalformedMessage
from shared.settings import Policy

AnyOutcome = Predicted | Skipped | Failed


@dataclass(frozen=True, slots=True, order=True)
class Delivery:
    """The rows that count for a predicted player."""

    schema_version: int
    delivery: str
    rows: int
    digest: str
    fingerprint: str = ""
    """Of the columns that the worker wrote; empty where it did not tell."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a batch's expected players with all that was said of them.

    `predicted`, `skipped` and `failed` hold every answer of a player, `carried` the delivery that the first submitted
    MERGE took for him, `merged` the one that a verified MERGE left in the predictions table. Entries of players that are not expected are left out.
    """

    number: int
    expected: frozenset[str]
    predicted: Mapping[str, tuple[Delivery, ...]]
    skipped: Mapping[str, tuple[str, ...]]
    failed: Mapping[str, tuple[str, ...]]
    carried: Mapping[str, str]
    merged: Mapping[str, str]
    published_at: datetime | None
    publishes: int
    answered_at: Mapping[str, tuple[datetime, ...]]
    """When each answer of a player was recorded; for people, no rule reads it."""
    details: Mapping[str, Mapping[str, str]]
    """What was said of each failure of a player beyond its code, by the code."""

    @property
    def silent(self) -> frozenset[str]:
        """Expected players without any outcome."""
        return self.expected.difference(self.predicted, self.skipped, self.failed)

    @property
    def ordered(self) -> tuple[str, ...]:
        """The expected players in the order by which slices name them."""
        return tuple(sorted(self.expected))

    @property
    def is_settled(self) -> bool:
        """Whether every expected player has an outcome."""
        return not self.silent

    @property
    def late(self) -> frozenset[str]:
        """Predicted players whose rows are not yet in the predictions table."""
        return frozenset(player for player in self.predicted if self.merged.get(player) is None)


MAX_DELIVERIES = 8
"""Different deliveries that the ledger keeps of one player: revisions and retries make a few, only junk makes more."""


def check_outcome(outcome: AnyOutcome, shard: Shard) -> None:
    """Refuse, before anything is written, what the shard has no place for (F2). A repeat of an answer has one.

    Raises:
        MalformedMessage: the player is not expected, or has too many different deliveries already.
    """
    player = outcome.player_lookup
    if player not in shard.expected:
        raise MalformedMessage(f"the batch does not expect player {player!r}")
    if isinstance(outcome, Predicted):
        deliveries = {answer.delivery for answer in shard.predicted.get(player, ())}
        if outcome.delivery not in deliveries and len(deliveries) >= MAX_DELIVERIES:
            raise MalformedMessage(f"player {player!r} has {len(deliveries)} different deliveries already")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of a whole ledger: what a consolidation goes by, whatever is recorded meanwhile.

    A player stands where his best answer is: predicted before skipped before failed before silent.
    """

    predicted: Mapping[str, Delivery]
    skipped: Mapping[str, str]
    failed: Mapping[str, str]
    silent: frozenset[str]
    late: frozenset[str]
    answered_twice: frozenset[str]
    """Players predicted by more than one delivery, of which one counts."""
    shard_of: Mapping[str, int]
    """The shard of each late player."""
    overtaken: frozenset[str] = frozenset()
    """Players for whom a newer batch of the date has spoken: rows of theirs stay out of the predictions table."""

    @property
    def players(self) -> PlayerCounts:
        """How many stand where."""
        predicted, skipped, failed, silent = map(len, (self.predicted, self.skipped, self.failed, self.silent))
        expected = predicted + skipped + failed + silent
        return PlayerCounts(expected=expected, predicted=predicted, skipped=skipped, failed=failed, silent=silent)

    @property
    def missing(self) -> tuple[str, ...]:
        """Failed and silent players: the batch does not speak for them."""
        return tuple(sorted(self.failed.keys() | self.silent))

    def has_news(self, *, missing_at_end: int) -> bool:
        """Whether a batch that ended with so many missing players has more to say: rows that are not merged, or of a
        player who was missing (a late skip has no rows, but retires the older ones)."""
        return bool(self.late) or len(self.missing) < missing_at_end

    @property
    def spoken_for(self) -> tuple[str, ...]:
        """Players about whom the batch has something to say."""
        return tuple(sorted(self.predicted.keys() | self.skipped.keys()))

    @property
    def deliveries(self) -> tuple[str, ...]:
        """The deliveries whose rows count."""
        return tuple(sorted(delivery.delivery for delivery in self.predicted.values()))

    @property
    def rows(self) -> int:
        """Distinct staged rows that count."""
        return sum(delivery.rows for delivery in self.predicted.values())


def take_snapshot(shards: Iterable[Shard]) -> Snapshot:
    """Derive how every expected player stands."""
    predicted: dict[str, Delivery] = {}
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    silent: set[str] = set()
    late: dict[str, int] = {}
    twice: set[str] = set()
    for shard in shards:
        answered = shard.predicted.items()
        predicted |= {player: _counting(answers, shard.carried.get(player)) for player, answers in answered}
        twice |= {player for player, answers in answered if len(answers) > 1}
        skipped |= {player: answers[0] for player, answers in shard.skipped.items() if player not in shard.predicted}
        better = shard.predicted.keys() | shard.skipped.keys()
        failed |= {player: answers[0] for player, answers in shard.failed.items() if player not in better}
        silent |= shard.silent
        late |= dict.fromkeys(shard.late, shard.number)
    return Snapshot(predicted, skipped, failed, frozenset(silent), frozenset(late), frozenset(twice), late)


def _counting(answers: tuple[Delivery, ...], carried: str | None) -> Delivery:
    """Of several deliveries for a player the one that a MERGE already carries counts, since rows of one batch never
    replace one another; else the highest schema version's, then the greatest id: the same choice in whatever order
    they came."""
    return next((answer for answer in answers if answer.delivery == carried), answers[-1])


@dataclass(frozen=True, slots=True)
class TooManyMissing:
    """The batch cannot be consolidated within its policy."""

    reason: str


def ending(players: PlayerCounts, policy: Policy, *, forced: bool = False) -> Event | TooManyMissing:
    """Decide how a batch would end if it were consolidated from a snapshot: the event of a verified MERGE, or a refusal.

    `forced` is a person's word for consolidating what there is.
    """
    whole = players.failed == players.silent == 0
    if forced or whole:
        return Event.MERGED_WHOLE if whole else Event.MERGED_IN_PART
    for kind, count, share in (
        ("failed", players.failed, policy.tolerated_failed_share),
        ("silent", players.silent, policy.tolerated_silent_share),
    ):
        if count > share * players.expected:
            return TooManyMissing(f"{count} of {players.expected} players are {kind}; the policy tolerates {share:.1%}")
    return Event.MERGED_IN_PART
