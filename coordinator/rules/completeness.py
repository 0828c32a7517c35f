"""Decides whether the inputs of a game date are whole enough to plan on, and what of them is lacking, in sentences.

A plan on stale inputs looks like any other, so what is lacking is shown wherever the batch is. Must never learn how the
facts are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import cast

from schemas.tables import Row

FRESH = timedelta(days=7)
"""Box scores older than this before a date are stale while games are played."""
IN_SEASON = timedelta(days=14)
"""So long after the newest box scores a date without games is no surprise only if the schedule goes on; the longest pause of a
season, around the All-Star game, is a week."""
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What there is for a game date: counts of rows and games, and the past week's games without box scores by name."""

    game_date: date
    newest_box_scores: date | None
    past_games: int
    """Scheduled in the seven days before."""
    without_box_scores: tuple[str, ...]
    games: int
    later_games: int
    """Scheduled in the fourteen days after."""
    lines: int
    reports: int

    @property
    def share(self) -> float | None:
        """Of the past week's scheduled games, the share that has box scores; None where none was scheduled."""
        return 1 - len(self.without_box_scores) / self.past_games if self.past_games else None

    def is_below(self, least: float) -> bool:
        """Whether fewer of the past week's games have box scores than a policy asks for."""
        return self.share is not None and self.share < least

    @property
    def is_stale(self) -> bool:
        """Whether box scores are lacking that should be there by now."""
        return bool(self.without_box_scores) or self.age is None or self.age > FRESH

    @property
    def age(self) -> timedelta | None:
        """How long before the date the newest box scores are of; None where there are none."""
        return None if self.newest_box_scores is None else self.game_date - self.newest_box_scores

    @property
    def is_suspiciously_empty(self) -> bool:
        """Whether the date has no games though it seems to lie in a season: the inputs may be missing, not the games."""
        return not self.games and not self.later_games and (self.age is None or self.age <= IN_SEASON)

    def gaps(self) -> tuple[str, ...]:
        """Say what is lacking, the gravest first; nothing where the inputs are whole."""
        return tuple(self._gaps())

    def _gaps(self) -> Iterator[str]:
        if self.without_box_scores:
            count, named = len(self.without_box_scores), ", ".join(self.without_box_scores[:_NAMED])
            more = f" and {count - _NAMED} more" if count > _NAMED else ""
            yield f"{count} of {self.past_games} games of the last 7 days have no box scores: {named}{more}."
        if self.newest_box_scores is None:
            yield "There are no box scores before the date."
        elif self.age is not None and self.age > FRESH:
            yield f"The newest box scores are of {self.newest_box_scores}, {self.age.days} days before the date."
        if not self.games:
            yield "No game of the date is scheduled."
        if not self.later_games:
            yield "No game of the two weeks after the date is scheduled."
        if self.games and not self.lines:
            yield "There is no points line for the date, so every line is estimated."
        if self.games and not self.reports:
            yield "There is no injury report for the date, so nothing is known of who is absent."


@cache
def completeness_query() -> str:
    """Give the query for the facts of `@game_date` (its only parameter); read by `read_completeness`."""
    return files("coordinator.rules").joinpath("completeness.sql").read_text(encoding="utf-8")


def read_completeness(game_date: date, rows: Sequence[Row]) -> Completeness:
    """Read the answer of `completeness_query`."""
    counts = {str(row["fact"]): cast("int", row["row_count"]) for row in rows}
    named = [(row["fact"], str(row["name"])) for row in rows if row["name"] is not None]
    return Completeness(
        game_date=game_date,
        newest_box_scores=next((date.fromisoformat(name) for fact, name in named if fact == "newest_box_scores"), None),
        without_box_scores=tuple(name for fact, name in named if fact == "game_without_box_scores"),
        **{fact: counts[fact] for fact in ("past_games", "games", "later_games", "lines", "reports")},
    )
