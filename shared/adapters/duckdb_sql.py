"""Turns BigQuery SQL text into DuckDB's: sqlglot's transpilation, with the differences mended that it leaves.

Knows the two dialects and nothing of connections. The same text always gives the same statement, so results are cached;
a construct that cannot be carried over faithfully is refused, never approximated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from shared.adapters.fitting import NO_TYPE, parameter_type
from shared.errors import QueryRefused
from shared.ports import Parameters

_NUMERIC = exp.DataType.build("DECIMAL(38, 9)", dialect="duckdb")
_JSON_UTC = r'"(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?)\+00"'


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement in DuckDB's dialect.

    `tables` are the tables it names (CTEs left out), `parameters` the names it uses; `creates` is the table that a
    CREATE TABLE makes and `options` its OPTIONS, each a query of the one `value`.
    """

    text: str
    is_query: bool
    tables: tuple[str, ...]
    parameters: frozenset[str]
    creates: str | None
    changes_tables: bool
    options: Mapping[str, Statement]


def translate(sql: str, parameters: Parameters) -> Statement:
    """Translate one statement; the parameters give their types only.

    Raises:
        QueryRefused: the text is no single BigQuery statement, uses what DuckDB cannot do alike, or a parameter's
            Python type has no BigQuery type.
    """
    return _translate(sql, tuple(sorted((name, parameter_type(name, value)) for name, value in parameters.items())))


@functools.lru_cache(maxsize=512)
def _translate(sql: str, types: tuple[tuple[str, str], ...]) -> Statement:
    try:
        parsed = [tree for tree in sqlglot.parse(sql, read="bigquery") if isinstance(tree, exp.Expression)]
        if len(parsed) != 1:
            raise QueryRefused(f"expected one statement, found {len(parsed)}")
        options = {name: _statement(value, dict(types), {}) for name, value in _take_options(parsed[0])}
        return _statement(parsed[0], dict(types), options)
    except SqlglotError as error:
        raise QueryRefused(f"not a statement of BigQuery SQL that DuckDB can run: {error}") from error


def _statement(tree: exp.Expression, types: Mapping[str, str], options: Mapping[str, Statement]) -> Statement:
    used = frozenset(parameter.name for parameter in tree.find_all(exp.Parameter))
    if missing := sorted(used - types.keys()):
        raise QueryRefused(f"query parameter @{missing[0]} is not given")
    tables = _tables(tree)
    _refuse_unlike(tree)
    _rewrite(tree, types)
    made = tree.find(exp.Table) if isinstance(tree, exp.Create) and tree.kind == "TABLE" else None
    return Statement(
        text=tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE),
        is_query=isinstance(tree, exp.Query),
        tables=tables,
        parameters=used,
        creates=made.name if made else None,
        changes_tables=isinstance(tree, exp.Create | exp.Drop | exp.Alter),
        options=options,
    )


def _tables(tree: exp.Expression) -> tuple[str, ...]:
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    return tuple(dict.fromkeys(t.name for t in tree.find_all(exp.Table) if t.name and t.name not in common))


def _take_options(tree: exp.Expression) -> Iterator[tuple[str, exp.Expression]]:
    """Remove a CREATE's OPTIONS (DuckDB has none), giving each as a query of its value."""
    properties = tree.args.get("properties") if isinstance(tree, exp.Create) else None
    for option in list(properties.expressions) if properties else []:
        if type(option) is exp.Property:
            option.pop()
            yield option.name.lower(), exp.select(exp.alias_(option.args["value"].copy(), "value"))


def _refuse_unlike(tree: exp.Expression) -> None:
    """Refuse what DuckDB would run and BigQuery would not, or would run otherwise."""
    for cast in tree.find_all(exp.Cast):
        if cast.args["to"].find(exp.DataTypeParam):
            raise QueryRefused(
                f"parameterized types are not allowed in CAST expressions: {cast.sql(dialect='bigquery')}"
            )
    for unnest in tree.find_all(exp.Unnest):
        if unnest.args.get("offset"):
            raise QueryRefused("UNNEST ... WITH OFFSET counts from 1 in the embedded warehouse and from 0 in BigQuery")


# --- what sqlglot leaves --------------------------------------------------------------------------------------


def _rewrite(tree: exp.Expression, types: Mapping[str, str]) -> None:
    """Mend the tree in place, innermost nodes first, so that a wrapped node holds mended ones."""
    for node in reversed(list(tree.find_all(exp.Parameter, exp.In, *_MENDS))):
        if isinstance(node, exp.Parameter):
            mended = _typed_parameter(node, types)
        elif isinstance(node, exp.In):
            mended = _in_parameter(node)
        else:
            mended = _MENDS.get(type(node), _as_it_is)(node)
        if mended is not node:
            node.replace(mended)


def _as_it_is(node: exp.Expression) -> exp.Expression:
    return node


def _typed_parameter(node: exp.Parameter, types: Mapping[str, str]) -> exp.Expression:
    """Give a parameter BigQuery's type for it, or DuckDB would guess one (an empty list, a short decimal)."""
    kind = types[node.name]
    if kind == NO_TYPE:
        return node
    to = _NUMERIC.copy() if kind == "NUMERIC" else exp.DataType.build(kind, dialect="bigquery")
    return exp.Cast(this=node.copy(), to=to)


def _in_parameter(node: exp.In) -> exp.Expression:
    """`x IN UNNEST(@p)` as a semi-join: sqlglot's form looks through the whole list for every row."""
    unnest = node.args.get("unnest")
    inner = unnest.expressions[0] if unnest else None
    if not isinstance(inner, exp.Cast) or not isinstance(inner.this, exp.Parameter):
        return node
    elements = exp.select(exp.Anonymous(this="unnest", expressions=[inner.copy()]))
    return exp.In(this=node.this.copy(), query=exp.Subquery(this=elements))


def _as_date(node: exp.Expression) -> exp.Expression:
    """A DATE plus an interval is a DATE in BigQuery, a timestamp in DuckDB."""
    return exp.Cast(this=node.copy(), to=exp.DataType.build("DATE"))


def _whole_units(node: exp.Expression) -> exp.Expression:
    """TIMESTAMP_DIFF counts whole units elapsed; sqlglot's DATE_DIFF would count the boundaries crossed."""
    unit = exp.Literal.string(node.text("unit").lower())
    return exp.Anonymous(this="date_sub", expressions=[unit, node.expression.copy(), node.this.copy()])


def _limited_array(node: exp.Expression) -> exp.Expression:
    """`ARRAY_AGG(x [IGNORE NULLS] ORDER BY y LIMIT n)`: DuckDB aggregates all, then cuts."""
    if isinstance(node.parent, exp.IgnoreNulls):
        return node
    whole = node.copy()
    aggregate = whole.find(exp.ArrayAgg)
    limit = aggregate.this if aggregate else None
    if aggregate is None or not isinstance(limit, exp.Limit):
        return node
    aggregate.set("this", limit.this)
    return exp.Anonymous(this="list_slice", expressions=[whole, exp.Literal.number(1), limit.expression])


def _gathered_once(node: exp.Expression) -> exp.Expression:
    """A struct of arrays in one order as one array of structs, taken apart again: DuckDB sorts each array for itself, and holds
    all of them, with their keys, in memory."""
    members = {member.name: member.expression for member in node.expressions if isinstance(member, exp.PropertyEQ)}
    arrays = [each.this for each in members.values() if isinstance(each, exp.ArrayAgg)]
    orders = [each for each in arrays if isinstance(each, exp.Order) and not isinstance(each.this, exp.Distinct)]
    if len(orders) < max(2, len(node.expressions)) or len({tuple(order.expressions) for order in orders}) > 1:
        return node
    entry = exp.Struct(expressions=[_member(name, each.this.this) for name, each in members.items()])
    order = [key.copy() for key in orders[0].expressions]
    entries = exp.ArrayAgg(this=exp.Order(this=entry, expressions=order))
    return exp.Struct(expressions=[_member(name, _each_ones(entries, name)) for name in members])


def _member(name: str, value: exp.Expression) -> exp.Expression:
    return exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy())


def _each_ones(entries: exp.Expression, name: str) -> exp.Expression:
    taken = exp.Dot(this=exp.to_identifier("entry"), expression=exp.to_identifier(name))
    return exp.Transform(
        this=entries.copy(), expression=exp.Lambda(this=taken, expressions=[exp.to_identifier("entry")])
    )


def _json_text(node: exp.Expression) -> exp.Expression:
    """Times inside TO_JSON_STRING as BigQuery writes them (`2026-01-30T17:00:00Z`), not as `2026-01-30 17:00:00+00`."""
    parts = [node.copy(), *map(exp.Literal.string, (_JSON_UTC, r'"\1T\2Z"', "g"))]
    return exp.Anonymous(this="regexp_replace", expressions=parts)


def _printf(node: exp.Expression) -> exp.Expression:
    """BigQuery's FORMAT takes `%d`, DuckDB's takes `{}`; its PRINTF is the one alike."""
    return exp.Anonymous(this="printf", expressions=[node.this.copy(), *(e.copy() for e in node.expressions)])


def _count_of_none(node: exp.Expression) -> exp.Expression:
    """COUNTIF over no rows is 0 in BigQuery, NULL in DuckDB; a COUNT may also have an OVER."""
    return exp.Count(this=exp.If(this=node.this.copy(), true=exp.Literal.number(1)))


def _full_numeric(node: exp.Expression) -> exp.Expression:
    """Bare NUMERIC holds 29 digits before and 9 behind the point; DuckDB's bare DECIMAL is (18, 3)."""
    return _NUMERIC.copy() if node.this == exp.DataType.Type.DECIMAL and not node.expressions else node


_WORK = ("joins", "laterals", "group", "having", "qualify", "distinct", "limit")


def _read_anew(node: exp.Expression) -> exp.Expression:
    """DuckDB keeps all of a CTE that is named twice; one that only picks rows and columns is cheaper to read again."""
    picked = node.this
    is_pick = isinstance(picked, exp.Select) and not any(picked.args.get(work) for work in _WORK)
    if is_pick and picked.find(exp.AggFunc, exp.Window, exp.Subquery) is None:
        node.set("materialized", False)
    return node


def _typed_null(node: exp.Expression) -> exp.Expression:
    """A NULL array is stored as the empty one in BigQuery; here a REPEATED column refuses NULL, so say it at once."""
    to = node.args["to"]
    if to.this == exp.DataType.Type.ARRAY and isinstance(node.this, exp.Null):
        return exp.Cast(this=exp.Array(expressions=[]), to=to.copy())
    return node


_MENDS: Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expression]] = {
    exp.CountIf: _count_of_none,
    exp.DateAdd: _as_date,
    exp.DateSub: _as_date,
    exp.DateTrunc: _as_date,
    exp.TimestampDiff: _whole_units,
    exp.ArrayAgg: _limited_array,
    exp.Struct: _gathered_once,
    exp.IgnoreNulls: _limited_array,
    exp.JSONFormat: _json_text,
    exp.Format: _printf,
    exp.DataType: _full_numeric,
    exp.Cast: _typed_null,
    exp.CTE: _read_anew,
}
