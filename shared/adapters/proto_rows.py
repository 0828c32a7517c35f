"""Rows as the Storage Write API takes them: protobuf messages of a type made from the table's columns.

Knows which wire type each column type travels as
(https://cloud.google.com/bigquery/docs/supported-data-types): NUMERIC and JSON as text, DATE as days and TIMESTAMP as
microseconds since 1970. An absent or null cell is left out, which the API reads as NULL (REPEATED: empty).

The API takes Arrow's record batches too. They were no smaller and no faster to make for a slice's rows, and their library
would add 170 MB to each image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]  # it ships no types
from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from schemas.tables import Cell, Column

_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIRE_TYPES = {
    "STRING": FieldDescriptorProto.TYPE_STRING,
    "INT64": FieldDescriptorProto.TYPE_INT64,
    "FLOAT64": FieldDescriptorProto.TYPE_DOUBLE,
    "BOOL": FieldDescriptorProto.TYPE_BOOL,
    "NUMERIC": FieldDescriptorProto.TYPE_STRING,
    "DATE": FieldDescriptorProto.TYPE_INT32,
    "TIMESTAMP": FieldDescriptorProto.TYPE_INT64,
    "JSON": FieldDescriptorProto.TYPE_STRING,
}
_LABELS = {
    "REQUIRED": FieldDescriptorProto.LABEL_REQUIRED,
    "NULLABLE": FieldDescriptorProto.LABEL_OPTIONAL,
    "REPEATED": FieldDescriptorProto.LABEL_REPEATED,
}


def row_descriptor(columns: Sequence[Column]) -> DescriptorProto:
    """Describe the message type of a table's rows: one field per column, of the column's name."""
    fields = [
        FieldDescriptorProto(name=c.name, number=number, type=_WIRE_TYPES[c.type], label=_LABELS[c.mode])
        for number, c in enumerate(columns, start=1)
    ]
    return DescriptorProto(name="Row", field=fields)


def serialized_rows(fitted: Sequence[tuple[Column, Sequence[Cell]]]) -> list[bytes]:
    """Serialize rows, given by columns whose cells fit them (`fitting.fitted_columns`)."""
    message_class = _message_class(tuple(column for column, _ in fitted))
    names = [column.name for column, _ in fitted]
    wire = zip(*(_wire_cells(column, cells) for column, cells in fitted), strict=True)
    return [
        message_class(
            **{name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
        ).SerializeToString()
        for row in wire
    ]


def chunked(rows: Sequence[bytes], *, max_bytes: int) -> Iterator[Sequence[bytes]]:
    """Cut serialized rows, in order, into pieces of at most `max_bytes`; a larger single row is a piece of its own."""
    start, size = 0, 0
    for index, row in enumerate(rows):
        if index > start and size + len(row) > max_bytes:
            yield rows[start:index]
            start, size = index, 0
        size += len(row)
    if rows:
        yield rows[start:]


@functools.lru_cache(maxsize=64)
def _message_class(columns: tuple[Column, ...]) -> Callable[..., Any]:
    file = FileDescriptorProto(name="row.proto", package="tipoff", syntax="proto2")
    file.message_type.append(row_descriptor(columns))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message_class: Callable[..., Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName("tipoff.Row"))
    return message_class


def _wire_cells(column: Column, cells: Sequence[Cell]) -> Sequence[Any]:
    to_wire = _TO_WIRE.get(column.type)
    if to_wire is None:
        return cells
    if column.mode == "REPEATED":
        return [[to_wire(each) for each in cell] if isinstance(cell, list) else cell for cell in cells]
    return [None if cell is None else to_wire(cell) for cell in cells]


def _days(cell: Any) -> int:
    return (cell - _EPOCH_DAY).days  # type: ignore[no-any-return]  # the column says that it is a date


def _microseconds(cell: Any) -> int:
    since = cell - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds  # type: ignore[no-any-return]  # and here a time


_TO_WIRE: Mapping[str, Callable[[Any], Any]] = {
    "NUMERIC": lambda cell: format(cell, "f") if not isinstance(cell, int) else str(cell),
    "DATE": _days,
    "TIMESTAMP": _microseconds,
}
