"""The consolidation's SQL texts and what their answers mean: built from the declared columns, by name, as pure functions.

The counting query and the MERGE share one source, so what is counted is what is done (B19), and the check after a
MERGE is the same counting query again: everything staged is there and nothing is left to do. Must never learn how SQL
is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from typing import Literal

from coordinator.rules.entries import Delivery, Snapshot
from coordinator.rules.sql_text import indent, listed, union
from schemas import digest, names
from schemas.messages import RowCounts
from schemas.tables import Column, Row
from shared.errors import VerificationRefused
from shared.ports import Parameters

KEPT_ON_UPDATE = "created_at"
COUNTED_ON_UPDATE = "prediction_version"
KEY = ("game_date", "prediction_id")
NEVER = "TIMESTAMP '1970-01-01 00:00:00+00'"


@dataclass(frozen=True, slots=True)
class StagingTable:
    """The staging table of one schema version and the declared columns that it really has."""

    version: int
    live: frozenset[str]

    @property
    def name(self) -> str:
        """The table's name."""
        return names.staging_table(self.version)

    @property
    def parameter(self) -> str:
        """The name of the array parameter that holds the deliveries whose rows in this table count."""
        return f"deliveries_v{self.version}"


def rows_of_batch(version: int, batch_id: str, planned_at: datetime) -> str:
    """The staged rows of a batch in one version's table. Its partition and cluster are named by literals, so that no other
    is read."""
    planned_on = planned_at.astimezone(UTC).date().isoformat()
    batch = f"`_planned_on` = DATE '{planned_on}' AND `_batch_id` = '{names.check_batch_id(batch_id)}'"
    return f"FROM `{names.staging_table(version)}` WHERE {batch}"


@dataclass(frozen=True, kw_only=True)
class Consolidation:
    """Everything that the texts depend on; the players and deliveries are parameters and not part of the text."""

    game_date: date
    planned_at: datetime
    batch_id: str
    kind: Literal["root", "redrive"]
    columns: tuple[Column, ...]
    """The target's declared columns, in order."""
    staging: tuple[StagingTable, ...]
    snapshot: Snapshot

    @property
    def date_literal(self) -> str:
        """The game date as the texts write it, so that partitions are pruned (B8)."""
        return f"DATE '{self.game_date.isoformat()}'"

    @cached_property
    def source(self) -> str:
        """The rows that count, copies removed, and the older active rows that the batch retires.

        A player's rows are `overtaken` where a newer batch has spoken for him: it left newer rows, or says so in the ledger
        (it skipped him and left none). So are they where the batch was planned after his game had begun and he has active
        rows from before: what was predicted at tip-off is neither replaced nor retired, since grades are of that. Overtaken
        rows are neither inserted nor updated, whatever their ids.
        """
        return _source(self)

    @property
    def parameters(self) -> Parameters:
        """A root speaks for the whole date except its missing players, a redrive only for its own."""
        named = self.snapshot.missing if self.kind == "root" else self.snapshot.spoken_for
        return {
            **self.deliveries,
            "planned_at": self.planned_at,
            "batch_id": self.batch_id,
            "players": named,
            "overtaken": sorted(self.snapshot.overtaken),
        }

    @property
    def deliveries(self) -> Mapping[str, Sequence[str]]:
        """The parameters that say which rows count."""
        predicted = self.snapshot.predicted.values()
        return {
            table.parameter: sorted(one.delivery for one in predicted if one.schema_version == table.version)
            for table in self.staging
        }

    def counting(self, table: StagingTable) -> str:
        """The table's rows that count: a delivery does so in the version that the ledger names, and in no other."""
        staged = rows_of_batch(table.version, self.batch_id, self.planned_at)
        return f"{staged} AND `_delivery` IN UNNEST(@{table.parameter})"


def staging_check(job: Consolidation) -> str:
    """One row per staged delivery: its distinct ids, their digest (as `schemas.digest` has it), and its foreign rows."""
    return f"""\
SELECT
  `_delivery`,
  `_version`,
  COUNT(DISTINCT `prediction_id`) AS `distinct_rows`,
  {digest.IN_SQL} AS `digest`,
  COUNTIF(`game_date` != {job.date_literal}) AS `of_another_date`,
  COUNTIF(`updated_at` IS NULL OR `updated_at` != @planned_at) AS `of_another_batch`
FROM (
{
        indent(
            union(
                f"SELECT `_delivery`, {table.version} AS `_version`, `prediction_id`, `game_date`, `updated_at` "
                f"{job.counting(table)}"
                for table in job.staging
            )
        )
    }
)
GROUP BY `_delivery`, `_version`"""


def staging_check_parameters(job: Consolidation) -> Parameters:
    """What `staging_check` needs."""
    return {**job.deliveries, "planned_at": job.planned_at}


def judge_staging(found: Sequence[Row], expected: Mapping[str, Delivery]) -> None:
    """Compare what is staged with what the ledger says of each player.

    Raises:
        VerificationRefused: a delivery is absent or incomplete, holds other ids, or rows of another date or batch;
            names players and figures.
    """
    problems = [f"{player}: {problem}" for player, problem in staging_problems(found, expected).items()]
    if problems:
        more = f" (and {len(problems) - 5} more players)" if len(problems) > 5 else ""
        raise VerificationRefused("staging does not hold what the ledger says: " + "; ".join(problems[:5]) + more)


def staging_problems(found: Sequence[Row], expected: Mapping[str, Delivery]) -> Mapping[str, str]:
    """Tell what is wrong with the staged rows of each player for whom they are not what the ledger says."""
    staged = {(row["_delivery"], row["_version"]): row for row in found}
    judged = {
        player: _staging_problem(staged.get((delivery.delivery, delivery.schema_version)), delivery)
        for player, delivery in sorted(expected.items())
    }
    return {player: problem for player, problem in judged.items() if problem is not None}


def _staging_problem(row: Row | None, delivery: Delivery) -> str | None:
    if row is None:
        return f"no rows of delivery {delivery.delivery} in {names.staging_table(delivery.schema_version)}"
    if row["of_another_date"]:
        return f"{row['of_another_date']} rows of another game date"
    if row["of_another_batch"]:
        return f"{row['of_another_batch']} rows not stamped with this batch's planned_at"
    if row["distinct_rows"] != delivery.rows:
        return f"{row['distinct_rows']} distinct rows staged, {delivery.rows} in the ledger"
    return "the staged prediction ids are not the ledger's" if row["digest"] != delivery.digest else None


def count(job: Consolidation) -> str:
    """What the MERGE would do, from the MERGE's own source: one row of counts."""
    return count_statement(job.source, date_literal=job.date_literal)


def count_statement(source_text: str, *, date_literal: str) -> str:
    """Count what `merge_statement` would do with the same source."""
    return f"""\
SELECT
  COUNTIF(NOT S.`retire`) AS `staged`,
  COUNT(DISTINCT IF(S.`retire`, NULL, S.`prediction_id`)) AS `distinct_ids`,
  COUNTIF(NOT S.`retire` AND NOT S.`overtaken` AND T.`prediction_id` IS NULL) AS `inserted`,
  COUNTIF(NOT S.`retire` AND NOT S.`overtaken` AND T.`prediction_id` IS NOT NULL AND {_NEWER}) AS `updated`,
  COUNTIF(NOT S.`retire` AND (S.`overtaken` OR T.`prediction_id` IS NOT NULL AND NOT {_NEWER})) AS `unchanged`,
  COUNTIF(S.`retire`) AS `superseded`,
  COUNTIF(S.`retire` AND NOT S.`has_prop_line` AND S.`is_staged_for`) AS `replaced`,
  (SELECT COUNT(*) FROM `{names.PREDICTIONS_TABLE}` WHERE `game_date` = {date_literal} AND `is_active`) AS `active`
FROM (
  SELECT
    `retire`,
    `overtaken`,
    `prediction_id`,
    `updated_at`,
    `has_prop_line`,
    MAX(IF(`retire`, 0, 1)) OVER (PARTITION BY `player_lookup`) = 1 AS `is_staged_for`
  FROM (
{indent(source_text, 4)}
  )
) AS S
LEFT JOIN (
  SELECT `prediction_id`, `updated_at` FROM `{names.PREDICTIONS_TABLE}` WHERE `game_date` = {date_literal}
) AS T ON T.`prediction_id` = S.`prediction_id`"""


def count_parameters(job: Consolidation) -> Parameters:
    """What `count` needs."""
    return {name: value for name, value in job.parameters.items() if name != "batch_id"}


@dataclass(frozen=True, slots=True)
class Counted:
    """An answer of the counting query; `active` rows of the date stood in the target.

    Of the rows that are superseded, `replaced` ones were on a line that no sportsbook had offered, and the same player's
    staged rows take their place: when the lines come in, all of a morning's estimates go that way.
    """

    rows: RowCounts
    distinct_ids: int
    active: int
    replaced: int = 0

    @property
    def retired_share(self) -> float:
        """The share of the date's active rows that are retired, where those that are replaced count on neither side."""
        active = self.active - self.replaced
        return (self.rows.superseded - self.replaced) / active if active else 0.0


def read_count(found: Sequence[Row]) -> Counted:
    """Read the counting query's one row."""
    row = {name: int(str(value)) for name, value in found[0].items()}
    return Counted(RowCounts.model_validate(row), row["distinct_ids"], row["active"], row["replaced"])


def judge_count(counted: Counted, snapshot: Snapshot, *, max_retired_share: float, confirmed: bool) -> float | None:
    """Check the counts before a MERGE.

    Returns:
        None when the MERGE may run; else the share of the date's active rows that it would retire, which is above the
        policy's and not confirmed (B9).

    Raises:
        VerificationRefused: the rows that the MERGE would read are not the ledger's, or an id is staged by two deliveries
            or stands in the table twice.
    """
    rows = counted.rows
    if surplus := rows.staged - counted.distinct_ids:
        # Each delivery was checked by itself, so rows beyond the ledger's come from the join with the target.
        if rows.staged > snapshot.rows:
            raise VerificationRefused(
                f"the predictions table holds staged prediction ids more than once ({surplus} rows too many); "
                "delete the copies there"
            )
        raise VerificationRefused(
            f"{surplus} prediction ids are staged by more than one delivery; one source row per prediction is allowed"
        )
    if rows.staged != snapshot.rows or rows.staged != rows.inserted + rows.updated + rows.unchanged:
        raise VerificationRefused(
            f"{rows.staged} distinct rows staged, {snapshot.rows} in the ledger, "
            f"{rows.inserted} + {rows.updated} + {rows.unchanged} to insert, update and leave"
        )
    share = counted.retired_share
    return share if share > max_retired_share and not confirmed else None


def judge_result(counted: Counted, snapshot: Snapshot) -> None:
    """Check the state after a MERGE: every staged id is in the target, none older than staged, nobody's older row left.

    Raises:
        VerificationRefused: one of these does not hold.
    """
    rows = counted.rows
    if rows.staged != snapshot.rows or rows.inserted or rows.updated or rows.superseded:
        raise VerificationRefused(
            f"after the MERGE {rows.inserted} staged rows are not in the predictions table, {rows.updated} are older "
            f"there, {rows.superseded} older rows are still active; {rows.staged} of {snapshot.rows} rows are staged"
        )


def merge(job: Consolidation) -> str:
    """The one atomic statement, every column named on both sides (B1, B2, B6, B7). A second run changes nothing."""
    return merge_statement(job.source, columns=job.columns, date_literal=job.date_literal)


def merge_statement(source_text: str, *, columns: Sequence[Column], date_literal: str) -> str:
    """Merge a source of these columns, `retire` and `overtaken` into the predictions table; what it retires takes @batch_id."""
    updates, inserted, values = _written(tuple(column.name for column in columns))
    return f"""\
MERGE INTO `{names.PREDICTIONS_TABLE}` AS T
USING (
{indent(source_text)}
) AS S
ON T.`game_date` = {date_literal} AND T.`prediction_id` = S.`prediction_id`
WHEN MATCHED AND S.`retire` THEN
  UPDATE SET
    `is_active` = FALSE,
    `superseded_by` = @batch_id
WHEN MATCHED AND NOT S.`retire` AND NOT S.`overtaken` AND {_NEWER} THEN
  UPDATE SET
{updates}
WHEN NOT MATCHED AND NOT S.`retire` AND NOT S.`overtaken` THEN
  INSERT (
    {inserted}
  )
  VALUES (
    {values}
  )"""


@lru_cache(maxsize=8)
def _written(columns: tuple[str, ...]) -> tuple[str, str, str]:
    """What an update sets, and an insert's columns and values."""
    left = (*KEY, KEPT_ON_UPDATE, COUNTED_ON_UPDATE)
    replaced = [f"    `{name}` = S.`{name}`" for name in columns if name not in left]
    replaced.append(f"    `{COUNTED_ON_UPDATE}` = T.`{COUNTED_ON_UPDATE}` + 1")
    inserted = ",\n    ".join(f"`{name}`" for name in columns)
    return ",\n".join(replaced), inserted, ",\n    ".join(f"S.`{name}`" for name in columns)


_ACTIVE_AT_TIPOFF = "P.`updated_at` < G.`tipoff_at` AND G.`tipoff_at` <= @planned_at"
_NEWER = f"S.`updated_at` > COALESCE(T.`updated_at`, {NEVER})"


def _source(job: Consolidation) -> str:
    columns = listed(f"`{column.name}`" for column in job.columns)
    spoken_for = "NOT IN" if job.kind == "root" else "IN"
    return f"""\
SELECT
  FALSE AS `retire`,
  `player_lookup` IN UNNEST(@overtaken) OR `player_lookup` IN (
    SELECT P.`player_lookup`
    FROM `{names.PREDICTIONS_TABLE}` AS P
    LEFT JOIN `scheduled_games` AS G ON G.`game_id` = P.`game_id` AND G.`game_date` = {job.date_literal}
    WHERE P.`game_date` = {job.date_literal} AND (
      COALESCE(P.`updated_at`, {NEVER}) > @planned_at OR P.`is_active` AND {_ACTIVE_AT_TIPOFF}
    )
  ) AS `overtaken`,
{columns}
FROM (
{indent(union(_staged(job, table) for table in job.staging))}
)
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY `prediction_id`, `_delivery` ORDER BY `updated_at`) = 1
UNION ALL
SELECT
  TRUE AS `retire`,
  FALSE AS `overtaken`,
{columns}
FROM `{names.PREDICTIONS_TABLE}` AS P
WHERE `game_date` = {job.date_literal}
  AND `is_active`
  AND COALESCE(`updated_at`, {NEVER}) < @planned_at
  AND `player_lookup` {spoken_for} UNNEST(@players)
  AND NOT EXISTS (
    SELECT 1 AS `begun` FROM `scheduled_games` AS G
    WHERE G.`game_id` = P.`game_id` AND G.`game_date` = {job.date_literal} AND {_ACTIVE_AT_TIPOFF}
  )
  AND `prediction_id` NOT IN (
{indent(union(f"SELECT `prediction_id` {job.counting(table)}" for table in job.staging), 4)}
  )"""


def _staged(job: Consolidation, table: StagingTable) -> str:
    cells = [
        f"`{column.name}`" if column.name in table.live else f"{absent(column)} AS `{column.name}`"
        for column in job.columns
    ]
    return f"""\
SELECT
{listed([*cells, "`_delivery`"])}
{job.counting(table)}"""


def absent(column: Column) -> str:
    """What stands for a column that a version lacks: a typed NULL; a REPEATED column is empty, never null."""
    # The bare type: BigQuery refuses a precision in a CAST, and the column written to has it anyway.
    return f"CAST([] AS ARRAY<{column.type}>)" if column.mode == "REPEATED" else f"CAST(NULL AS {column.type})"
