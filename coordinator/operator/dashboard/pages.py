"""What the dashboard's pages show: views and explanations turned into words, bars and short lists.

Pure, so that templates only place what stands here. Must never learn how a page is served or an action carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from coordinator.operator.actions import Action
from coordinator.operator.explaining import Explanation
from coordinator.operator.gaps import Gaps
from coordinator.operator.histogram import AnswerTimes
from coordinator.operator.views import BatchSummary, BatchView, ShardView
from coordinator.rules.lifecycle import LIVE
from schemas.messages import PlayerCounts

NAMES_LISTED = 200
"""So many names of a group are on the page; the rest is a number."""
SHARDS_LISTED = 60
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 480, 120
TONES = {"COMPLETE": "good", "EMPTY": "good", "PARTIAL": "warn", "FAILED": "bad", "CANCELLED": "idle"}
"""How a state looks; live ones are busy."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar, in percent of its length."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Players by how they stand, as a bar and in words."""

    parts: tuple[Part, ...]
    text: str
    percent: int
    """Share that has an outcome, rounded down, so that 100 means everybody."""


@dataclass(frozen=True, slots=True)
class Row:
    """One batch in the list."""

    batch_id: str
    state: str
    tone: str
    kind: str
    planned: str
    bar: Bar | None
    rows: str
    reason: str


@dataclass(frozen=True, slots=True)
class Day:
    """A game date's batches, newest first."""

    game_date: date
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A batch that needs a person, and why."""

    batch_id: str
    game_date: date
    why: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """The page of all batches."""

    needs: tuple[Need, ...]
    days: tuple[Day, ...]
    chosen: date | None
    refresh_seconds: int
    """0 where nothing on the page is expected to change by itself."""


@dataclass(frozen=True, slots=True)
class Group:
    """Players of one kind: the first names with what is known of each, and how many more there are."""

    title: str
    meaning: str
    count: int
    names: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the histogram, placed on a ground of `HISTOGRAM_WIDTH` by `HISTOGRAM_HEIGHT`."""

    label: str
    players: int
    x: float
    middle: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long outcomes took."""

    columns: tuple[Column, ...]
    median: str
    slowest: str


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One shard."""

    number: int
    bar: Bar
    expected: int
    silent: int
    failed: int
    published: str
    publishes: int


@dataclass(frozen=True, slots=True)
class Button:
    """One admin action as a form: `slug` names it in the form's address."""

    slug: str
    label: str
    effect: str
    command: str
    confirm: str | None
    minutes: int | None
    """The deadline that the policy's form begins with."""


@dataclass(frozen=True, slots=True)
class BatchPage:
    """The page of one batch."""

    view: BatchView
    tone: str
    title: str
    headline: str
    sentences: tuple[str, ...]
    buttons: tuple[Button, ...]
    bar: Bar
    figures: tuple[tuple[str, int], ...]
    groups: tuple[Group, ...]
    histogram: Histogram | None
    shards: tuple[ShardRow, ...]
    shards_more: int
    timeline: tuple[tuple[str, str, str], ...]
    refresh_seconds: int


def list_page(batches: Sequence[BatchView | BatchSummary], *, chosen: date | None, now: datetime) -> ListPage:
    """Lay the list out: game dates newest first, their batches by plan, newest first.

    Args:
        batches: live ones as whole views, whose counts are of this moment.
    """
    ordered = sorted(batches, key=lambda batch: (batch.game_date, batch.planned_at), reverse=True)
    days = [(day, list(same)) for day, same in groupby(ordered, key=lambda batch: batch.game_date)]
    return ListPage(
        needs=tuple(need for _, same in days for need in _needs(same, now)),
        days=tuple(Day(day, _long_date(day), tuple(_row(batch, now) for batch in same)) for day, same in days),
        chosen=chosen,
        refresh_seconds=_refresh_seconds(*(batch for batch in ordered if batch.state in LIVE)),
    )


def batch_page(view: BatchView, explanation: Explanation, *, now: datetime) -> BatchPage:
    """Lay one batch out."""
    rows = view.rows
    by_need = sorted(view.shards, key=lambda shard: (not (shard.silent or shard.failed), shard.shard))
    return BatchPage(
        view=view,
        tone=TONES.get(view.state, "busy"),
        title=_long_date(view.game_date),
        headline=_headline(explanation),
        sentences=tuple(sentence.text for sentence in explanation.sentences if sentence.action is None),
        buttons=tuple(_button(action) for action in explanation.actions),
        bar=bar(view.players),
        figures=(
            ("rows staged", rows.staged),
            ("inserted", rows.inserted),
            ("updated", rows.updated),
            ("unchanged", rows.unchanged),
            ("superseded", rows.superseded),
        ),
        groups=tuple(group for group in _groups(view) if group.count),
        histogram=_histogram(view.answer_times),
        shards=tuple(_shard(shard, now) for shard in by_need[:SHARDS_LISTED]),
        shards_more=max(0, len(by_need) - SHARDS_LISTED),
        timeline=tuple((clock_time(one.at), ago(one.at, now), one.text) for one in view.timeline),
        refresh_seconds=_refresh_seconds(view) if view.state in LIVE else 0,
    )


def bar(players: PlayerCounts) -> Bar:
    """Draw how players stand."""
    counts = {"predicted": players.predicted, "skipped": players.skipped, "failed": players.failed}
    counts["silent"] = players.silent
    parts, start = [], 0.0
    for kind, count in counts.items():
        width = 100 * count / players.expected if players.expected else 0.0
        if count:
            parts.append(Part(kind, round(start, 3), round(width, 3)))
        start += width
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    answered = players.expected - players.silent
    percent = 100 * answered // players.expected if players.expected else 100
    return Bar(tuple(parts), f"{said} of {players.expected:,}" if said else "nobody is expected", percent)


def gap_groups(gaps: Gaps) -> tuple[Group, ...]:
    """Every stage with somebody in it."""
    return tuple(
        group(stage.name.replace("_", " "), stage.meaning, {one.player: one.detail for one in stage.players})
        for stage in gaps.stages
        if stage.count
    )


def clock_time(at: datetime) -> str:
    """A moment, for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """How far a moment is away, in the one unit that tells most."""
    size = abs(now - at)
    if size < timedelta(seconds=1):
        return "now"
    count = lasting(size.total_seconds())
    return f"{count} ago" if at <= now else f"in {count}"


def lasting(seconds: float) -> str:
    """A length of time in the one unit that tells most."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def slug_of(action: Action) -> str:
    """The name of an action in the dashboard's addresses."""
    verb = action.path.rsplit("/", 1)[-1]
    return "force" if verb == "consolidate" and action.body == {"force": True} else verb


def _refresh_seconds(*live: BatchSummary) -> int:
    """The larger the batches, the rarer: every look reads their whole ledgers."""
    expected = sum(batch.expected for batch in live)
    return min(3 + expected // 2_000, 60) if live else 0


# --- the list -------------------------------------------------------------------------------------------------


def _row(batch: BatchView | BatchSummary, now: datetime) -> Row:
    counts = batch.players
    rows = batch.rows
    changed = rows.inserted + rows.updated
    return Row(
        batch_id=batch.batch_id,
        state=batch.state,
        tone=TONES.get(batch.state, "busy"),
        kind=batch.kind,
        planned=ago(batch.planned_at, now),
        bar=bar(counts) if counts else None,
        rows=f"{changed:,}" if rows.staged else "",
        reason=batch.reason if batch.state != "COMPLETE" else "",
    )


def _needs(same_day: Sequence[BatchView | BatchSummary], now: datetime) -> Iterator[Need]:
    """Only a date's newest batch asks for a person: a later one speaks for what an earlier one could not."""
    for number, batch in enumerate(same_day):
        if batch.late_refusal:
            yield Need(batch.batch_id, batch.game_date, f"a later round was refused: {batch.late_refusal}")
        elif number == 0 and batch.state == "FAILED":
            yield Need(batch.batch_id, batch.game_date, f"failed: {batch.reason}")
        elif batch.state in LIVE and batch.deadline_at < now:
            yield Need(batch.batch_id, batch.game_date, f"is past its deadline since {ago(batch.deadline_at, now)}")


def _long_date(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


# --- one batch ------------------------------------------------------------------------------------------------


def _headline(explanation: Explanation) -> str:
    """The headline without batch and state, which stand above it."""
    said = explanation.headline.split(f" is {explanation.state}: ", 1)[-1]
    return said[:1].upper() + said[1:]


def _button(action: Action) -> Button:
    minutes = (action.body or {}).get("deadline_minutes")
    return Button(
        slug=slug_of(action),
        label=action.label,
        effect=action.effect,
        command=action.command,
        confirm=action.confirm,
        minutes=int(minutes) if minutes is not None else None,
    )


def _groups(view: BatchView) -> Iterator[Group]:
    yield group("Silent", "published, and no outcome yet", view.silent)
    yield group("Failed", "could not be predicted", view.failed)
    yield group("Not merged", "predicted, and not (yet) in the predictions table", view.late)
    yield group("Skipped", "rightly not predicted", view.skipped)


def group(title: str, meaning: str, players: Collection[str] | Mapping[str, str]) -> Group:
    """A list of players, cut where it would be too long to read."""
    reasons = players if isinstance(players, Mapping) else {}
    listed = sorted(players)[:NAMES_LISTED]
    names = tuple((name, reasons.get(name, "").replace("_", " ")) for name in listed)
    return Group(title, meaning, len(players), names, len(players) - len(listed))


def _histogram(times: AnswerTimes) -> Histogram | None:
    if times.median_seconds is None or times.slowest_seconds is None:
        return None
    used = [number for number, bucket in enumerate(times.buckets) if bucket.players]
    shown = times.buckets[: max(used[-1] + 1, 4)]
    highest = max(bucket.players for bucket in shown)
    before = [0, *(bucket.up_to_seconds or 0 for bucket in times.buckets)]
    step = HISTOGRAM_WIDTH / len(shown)
    columns = tuple(
        Column(
            label=f"≤ {_short(bucket.up_to_seconds)}" if bucket.up_to_seconds else f"> {_short(before[number])}",
            players=bucket.players,
            x=round((number + 0.14) * step, 1),
            middle=round((number + 0.5) * step, 1),
            width=round(0.72 * step, 1),
            height=round(HISTOGRAM_HEIGHT * bucket.players / highest, 1),
        )
        for number, bucket in enumerate(shown)
    )
    return Histogram(columns, lasting(times.median_seconds), lasting(times.slowest_seconds))


def _short(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def _shard(shard: ShardView, now: datetime) -> ShardRow:
    counts = PlayerCounts(
        expected=shard.expected,
        predicted=shard.predicted,
        skipped=shard.skipped,
        failed=shard.failed,
        silent=shard.silent,
    )
    published = ago(shard.published_at, now) if shard.published_at else "not yet"
    return ShardRow(shard.shard, bar(counts), shard.expected, shard.silent, shard.failed, published, shard.publishes)
