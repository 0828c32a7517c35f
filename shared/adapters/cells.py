"""Decides whether rows fit a table's columns, before either warehouse sees them, so that both refuse the same rows.

A value is never made to fit: BigQuery rounds a NUMERIC silently, so a digit too many is refused here (E1, E2).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from schemas.tables import Cell, Column, Row
from shared.errors import QueryRefused

_INT64 = 2**63
_NUMERIC = (38, 9)

_PYTHON_TYPES: Mapping[str, tuple[tuple[type, ...], tuple[type, ...]]] = {
    "STRING": ((str,), ()),
    "JSON": ((str,), ()),
    "INT64": ((int,), (bool,)),
    "FLOAT64": ((float, int), (bool,)),
    "BOOL": ((bool,), ()),
    "NUMERIC": ((Decimal, int), (bool,)),
    "DATE": ((date,), (datetime,)),
    "TIMESTAMP": ((datetime,), ()),
}
"""For each column type the Python types it takes, and those of their subclasses that it does not."""


def fitted_columns(table: str, columns: Sequence[Column], rows: Sequence[Row]) -> list[tuple[Column, list[Cell]]]:
    """Turn rows into columns, in table order, leaving out columns that no row fills (but one, so that empty rows count).

    A REPEATED cell is always a list (absent is empty).

    Raises:
        QueryRefused: a row names a column that the table lacks, leaves a REQUIRED one empty, or holds a value that
            does not fit; names the row (from 1), the column and the value.
    """
    _refuse_unknown(table, {column.name for column in columns}, rows)
    fitted: list[tuple[Column, list[Cell]]] = []
    for column in columns:
        cells = [row.get(column.name) for row in rows]
        if column.mode == "REPEATED":
            cells = [[] if cell is None else cell for cell in cells]
            filled = any(cells)
        else:
            filled = not all(cell is None for cell in cells)
        if _has_misfit(column, cells):
            _refuse_first_misfit(table, column, cells)
        if filled or (not fitted and column is columns[-1]):
            fitted.append((column, cells))
    return fitted


def _refuse_unknown(table: str, known: set[str], rows: Sequence[Row]) -> None:
    for number, row in enumerate(rows, start=1):
        if not row.keys() <= known:
            names = ", ".join(sorted(row.keys() - known))
            raise QueryRefused(f"{table}, row {number}: the table has no column {names}")


def _has_misfit(column: Column, cells: Sequence[Cell]) -> bool:
    """Look at a whole column at once; 20,000 rows of 73 cells are too many for a call each."""
    if column.mode == "REPEATED":
        if not all(isinstance(cell, list) for cell in cells):
            return True
        flat: list[Cell] = [element for cell in cells if isinstance(cell, list) for element in cell]
        return None in flat or _has_misfit(Column(column.name, column.type), flat)
    types = set(map(type, cells))
    if type(None) in types:
        if column.mode == "REQUIRED":
            return True
        types.discard(type(None))
        cells = [cell for cell in cells if cell is not None]
    taken, but_not = _PYTHON_TYPES.get(column.type, ((), ()))
    if not all(issubclass(kind, taken) and not issubclass(kind, but_not) for kind in types):
        return True
    if column.type == "NUMERIC":
        return not _is_exact(column, cells)
    check = _VALUE_CHECKS.get(column.type)
    return check is not None and not check(cells)


def _refuse_first_misfit(table: str, column: Column, cells: Sequence[Cell]) -> None:
    for number, cell in enumerate(cells, start=1):
        if _has_misfit(column, [cell]):
            kind = f"{column.mode} {column.sql_type}"
            raise QueryRefused(f"{table}, row {number}: column {column.name} ({kind}) cannot hold {cell!r}"[:500])


# --- checks of the values of one type, all of them at once ----------------------------------------------------


def _is_text(cells: Sequence[Cell]) -> bool:
    try:
        "".join(map(str, cells)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_json(cells: Sequence[Cell]) -> bool:
    """Whether every text is JSON as the standard has it: Python would also take NaN and Infinity."""
    try:
        for text in set(map(str, cells)):
            json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return False
    return _is_text(cells)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _is_int64(cells: Sequence[Cell]) -> bool:
    numbers = [cell for cell in cells if isinstance(cell, int)]
    return not numbers or (min(numbers) >= -_INT64 and max(numbers) < _INT64)


def _is_finite(cells: Sequence[Cell]) -> bool:
    try:
        return all(math.isfinite(cell) for cell in cells if isinstance(cell, float | int))
    except OverflowError:
        return False


def _is_exact(column: Column, cells: Sequence[Cell]) -> bool:
    precision, scale = (column.precision, column.scale or 0) if column.precision else _NUMERIC
    bound = Decimal(10) ** (precision - scale)
    for cell in set(cells):
        number = Decimal(cell) if isinstance(cell, int) else cell
        if not isinstance(number, Decimal) or not number.is_finite() or not -bound < number < bound:
            return False
        _, digits, exponent = number.as_tuple()
        surplus = -scale - exponent if isinstance(exponent, int) else 0
        if surplus > 0 and any(digits[-surplus:]):
            return False
    return True


def _is_aware(cells: Sequence[Cell]) -> bool:
    return all(isinstance(cell, datetime) and cell.utcoffset() is not None for cell in cells)


_VALUE_CHECKS: Mapping[str, Callable[[Sequence[Cell]], bool]] = {
    "STRING": _is_text,
    "JSON": _is_json,
    "INT64": _is_int64,
    "FLOAT64": _is_finite,
    "TIMESTAMP": _is_aware,
}
