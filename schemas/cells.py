"""What one value of a GoogleSQL type may be: the boundary where foreign scalars become plain ones or are refused (E2).

Knows no table, no column name and no null: those are `schemas.tables`'s. Never learns numpy: a scalar of any array
library is recognised by its empty `shape` and its `item()`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import NoReturn, TypeAlias

Scalar: TypeAlias = bool | int | float | str | Decimal | date | datetime
Check: TypeAlias = Callable[[object], Scalar]
"""Returns the value as a plain Python one; raises `Unfit`."""

_NUMBERS = (int, float, Decimal)
_INT64 = range(-(2**63), 2**63)
_EXACT_AS_FLOAT = range(-(2**53), 2**53 + 1)
_UNBOUNDED_NUMERIC = (38, 9)


class Unfit(ValueError):
    """A value does not fit; the text says what would."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The values that a column takes beyond its type: a closed range, or a list of allowed texts (E5)."""

    column: str
    minimum: int = 0
    maximum: int = 0
    allowed: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The limit in words, e.g. `from 0 to 100`."""
        return f"one of {', '.join(self.allowed)}" if self.allowed else f"from {self.minimum} to {self.maximum}"


def checker(type_name: str, precision: int | None, scale: int | None, limit: Limit | None = None) -> Check:
    """Make the check for values of a type, once, so that checking many values is cheap.

    NUMERIC values come back with exactly the column's scale and are never rounded (BigQuery rounds silently);
    TIMESTAMP values come back in UTC.

    Raises:
        ValueError: the type is none of those a declared table may use.
    """
    if type_name == "NUMERIC":
        check = _numeric(*((precision, scale or 0) if precision is not None else _UNBOUNDED_NUMERIC))
    elif type_name in _CHECKS:
        check = _CHECKS[type_name]
    else:
        raise ValueError(
            f"type {type_name!r} is not known; a declared column is NUMERIC or one of {', '.join(_CHECKS)}"
        )
    return check if limit is None else _limited(check, limit)


def _plain(value: object) -> object:
    """Unwrap a numpy scalar, and a text or number of a subclass (an enum's member, say)."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def _string(value: object) -> str:
    text = value if type(value) is str else _plain(value)
    if type(text) is not str:
        raise Unfit("STRING (a text)")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit("STRING (a text that UTF-8 can hold: no lone surrogates)") from None
    return text


def _int64(value: object) -> int:
    number = value if type(value) is int else _plain(value)
    if type(number) is not int or number not in _INT64:
        raise Unfit("INT64 (a whole number of 64 bits; neither a float nor a bool)")
    return number


def _float64(value: object) -> float:
    number = value if type(value) is float else _plain(value)
    if type(number) is int and number in _EXACT_AS_FLOAT:
        return float(number)
    if type(number) is not float or not math.isfinite(number):
        raise Unfit("FLOAT64 (a finite number; not NaN, not infinity, not a bool)")
    return number + 0.0  # a zero has one sign, so that equal cells are of the same bytes


def _bool(value: object) -> bool:
    flag = value if type(value) is bool else _plain(value)
    if type(flag) is not bool:
        raise Unfit("BOOL (True or False; not a number)")
    return flag


def _date(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unfit("DATE (a date without a time)")
    return value


def _timestamp(value: object) -> datetime:
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise Unfit("TIMESTAMP (a time with its time zone)")
    return value.astimezone(UTC)


def _json(value: object) -> str:
    text = value if type(value) is str else _plain(value)
    try:
        if type(text) is str and _STRICT_JSON.decode(_string(text)) is not None:
            return text
    except ValueError:
        pass
    raise Unfit("JSON (a text that parses as JSON without NaN; not 'null', which is no SQL NULL: leave the column out)")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_STRICT_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _numeric(precision: int, scale: int) -> Check:
    unit = Decimal(1).scaleb(-scale)
    zero = Decimal(0).quantize(unit)
    # Quantizing traps both a digit too many before the point (more than `prec` in all) and a rounding.
    exactly = Context(prec=precision, traps=[InvalidOperation, Inexact])
    words = f"NUMERIC({precision}, {scale}), at most {precision - scale} digits before the point and {scale} after it"

    def check(value: object) -> Decimal:
        number = value if type(value) is Decimal else _decimal(value)
        try:
            exact = number.quantize(unit, None, exactly)
        except Inexact:
            raise Unfit(f"{words}; round before, the warehouse would do it silently") from None
        except InvalidOperation:
            raise Unfit(words) from None
        if exact.is_nan():
            raise Unfit(words)
        return exact or zero  # the warehouse has no negative zero

    return check


def _decimal(value: object) -> Decimal:
    number = _plain(value)
    if type(number) is int:
        return Decimal(number)
    if type(number) is float:
        return Decimal(repr(number))
    if isinstance(number, Decimal):
        return number
    raise Unfit("NUMERIC (a Decimal, int or float; not a bool)")


def _limited(check: Check, limit: Limit) -> Check:
    allowed = frozenset(limit.allowed)
    low, high = Decimal(limit.minimum), Decimal(limit.maximum)

    def check_allowed(value: object) -> Scalar:
        if (text := check(value)) not in allowed:
            raise Unfit(limit.words)
        return text

    def check_range(value: object) -> Scalar:
        try:
            number = check(value)
        except Unfit as unfit:
            raise Unfit(f"{unfit}; {limit.words}") from None
        if not isinstance(number, _NUMBERS) or not low <= number <= high:
            raise Unfit(limit.words)
        return number

    return check_allowed if allowed else check_range


_CHECKS: dict[str, Check] = {
    "STRING": _string,
    "INT64": _int64,
    "FLOAT64": _float64,
    "BOOL": _bool,
    "DATE": _date,
    "TIMESTAMP": _timestamp,
    "JSON": _json,
}

TYPES = frozenset({"NUMERIC", *_CHECKS})
"""The types that a declared table may use."""
