"""One CSV file, read as text and checked against a declared table, set-wise: decides what a well-formed cell is.

Knows how a file can be broken and where; knows nothing of folders or of what the tables mean. The file is first held
in a temporary table of text columns, so that only a file with a bad cell pays for finding it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TextIO

import duckdb

from schemas.tables import Column, TableSchema
from shared.errors import InvalidInput

_SHOWN_CHARACTERS = 60
_READ_AT_ONCE_BYTES = 2**20
_CONTROL_CHARACTERS = r"[\p{Cc}\x{2028}-\x{202E}\x{2066}-\x{2069}]"
"""What a terminal may take for a command, or shows in another order than it is read."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How cells of a type are cast, when they are sound, in DuckDB's SQL with `@` for the cell and `#` for its cast, and what
    a person is told to write."""

    cast: str
    is_sound: str
    expected: str


_FORMS = {
    "STRING": _Form("@", f"NOT regexp_matches(@, '{_CONTROL_CHARACTERS}')", "text without control characters"),
    "DATE": _Form(
        "TRY_CAST(@ AS DATE)",
        r"regexp_full_match(@, '\d{4}-\d{2}-\d{2}') AND # IS NOT NULL",
        "a date such as 2026-01-30",
    ),
    # A cast alone would round 12.6; comparing accepts 12.0, which spreadsheets write for a column with gaps.
    "INT64": _Form("TRY_CAST(@ AS BIGINT)", "# = TRY_CAST(@ AS DOUBLE)", "a whole number such as 23"),
    "FLOAT64": _Form("TRY_CAST(@ AS DOUBLE)", "isfinite(#)", "a number such as 0.5238"),
    "BOOL": _Form("LOWER(@) IN ('1', 'true')", "LOWER(@) IN ('1', '0', 'true', 'false')", "1 or 0 (or true or false)"),
    "TIMESTAMP": _Form(
        "TRY_CAST(@ AS TIMESTAMPTZ)",
        r"regexp_matches(@, '^\d{4}-\d{2}-\d{2}[T ]') AND # IS NOT NULL",
        "a UTC time such as 2026-01-31T00:10:00Z",
    ),
}


def _form(column: Column) -> _Form:
    if column.type != "NUMERIC":
        return _FORMS[column.type]
    precision, scale = (column.precision, column.scale or 0) if column.precision else (38, 9)
    return _Form(
        f"TRY_CAST(@ AS DECIMAL({precision}, {scale}))",
        "# = TRY_CAST(@ AS DECIMAL(38, 9))",
        f"a number with at most {precision - scale} digits before the point and {scale} after it",
    )


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A checked file, held as text in the temporary table `raw` of the cursor that read it, in the file's order."""

    name: str
    raw: str
    rows: int
    size_bytes: int
    """Of its text, unpacked."""
    present: frozenset[str]
    """Declared columns that the file has."""
    extra: tuple[str, ...]
    """Its other columns, which are not read."""


def stage(
    cursor: duckdb.DuckDBPyConnection, *, path: Path, schema: TableSchema, scratch: Path, raw: str, max_bytes: int
) -> StagedFile:
    """Read and check one file, plain or gzip, into the temporary table `raw`; a repeat replaces that table.

    Header names are compared without case or surrounding spaces. An empty cell is NULL.

    Args:
        cursor: keeps `raw` for as long as it is open.
        path: the file.
        schema: the declared columns.
        scratch: a folder for the unpacked file.
        raw: name for the temporary table.
        max_bytes: the most that its text may have; no more is unpacked.

    Raises:
        InvalidInput: the file cannot be read, or names the file, its column, data row (1-based) and value at fault.
    """
    unpacked = scratch / f"{raw}.csv"
    size_bytes = _unpack(path, unpacked, max_bytes)
    header = _header(path.name, unpacked)
    _check_header(path.name, header, schema)
    wanted = [column.name for column in schema.columns if column.name in header]
    try:
        cursor.execute(_read_sql(raw, header, wanted), [str(unpacked)])
    except duckdb.Error as error:
        raise _unreadable(path.name, unpacked, len(header)) from error
    checked = [column for column in schema.columns if column.name in wanted]
    staged = StagedFile(
        name=path.name,
        raw=raw,
        rows=int(_scalar(cursor, f"SELECT COUNT(*) FROM {raw}")),
        size_bytes=size_bytes,
        present=frozenset(wanted),
        extra=tuple(name or "(unnamed)" for name in header if name not in wanted),
    )
    _check_cells(cursor, staged, checked, unpacked)
    return staged


def typed_select(staged: StagedFile, columns: Sequence[Column]) -> str:
    """The SELECT that gives a staged file's rows as typed columns; a column the file lacks is NULL."""
    cells = (
        f"{_typed(column)} AS {column.name}" if column.name in staged.present else f"NULL AS {column.name}"
        for column in columns
    )
    return f"SELECT {', '.join(cells)} FROM {staged.raw}"


def _unpack(path: Path, into: Path, max_bytes: int) -> int:
    """Write the file's text, in UTF-8 without a byte order mark, lines ending in a single newline; return its bytes."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file, into.open("wb") as out:
            for piece in _plain_text(path.name, _read_at_most(file, path.name, max_bytes)):
                out.write(piece.encode())
            return out.tell()
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InvalidInput(path.name, f"is not a sound gzip file ({error}); pack it again") from error
    except OSError as error:
        raise InvalidInput(
            path.name, f"cannot be read ({error.strerror}); check the file and its permissions"
        ) from error


def _plain_text(name: str, pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    lines = 1
    for piece in pieces:
        try:
            yield decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start)
            raise InvalidInput(name, f"line {line} is not UTF-8 text; save the file as UTF-8") from error
        lines += piece.count(b"\n")


def _read_at_most(file: BufferedIOBase, name: str, max_bytes: int) -> Iterator[bytes]:
    """Read to the end, in pieces of which the last is empty: a gzip file of a few MB may unpack to all of the memory (F9)."""
    left_bytes = max_bytes
    while piece := file.read(_READ_AT_ONCE_BYTES):
        left_bytes -= len(piece)
        if left_bytes < 0:
            problem = "with this file the input files hold more than they may in all; if it is as it should be, raise"
            raise InvalidInput(name, f"{problem} --max-input-mb")
        yield piece
    yield b""


def _header(name: str, text: Path) -> list[str]:
    with _opened(text) as lines:
        first = lines.readline()
    if not first.strip():
        raise InvalidInput(name, "has no header; the first line must name the columns, separated by commas")
    return [cell.strip().lower() for cell in next(csv.reader([first]))]


def _check_header(name: str, header: Sequence[str], schema: TableSchema) -> None:
    for column in schema.columns:
        if header.count(column.name) > 1:
            raise InvalidInput(name, f"column {column.name} is there twice; keep one")
        if column.mode == "REQUIRED" and column.name not in header:
            raise InvalidInput(
                name, f"column {column.name} is missing; add it, the file has {_shown(', '.join(header), 200)}"
            )


def _read_sql(raw: str, header: Sequence[str], wanted: Sequence[str]) -> str:
    # The reader's columns are named by position, so that no text of the file enters the statement.
    read = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(header)))
    kept = ", ".join(f"c{header.index(name)} AS {name}" for name in wanted)
    return (
        f"CREATE OR REPLACE TEMP TABLE {raw} AS SELECT {kept} FROM read_csv(?, columns={{{read}}}, header=true, "
        "auto_detect=false, delim=',', quote='\"', escape='\"', strict_mode=true)"
    )


def _unreadable(name: str, text: Path, width: int) -> InvalidInput:
    """Find what the reader stumbled over; only called when it did."""
    row = 0
    with _opened(text) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            next(reader)
            for cells in reader:
                row += bool(cells)
                if cells and len(cells) != width:
                    problem = f"has {len(cells)} values where the header names {width} columns"
                    return InvalidInput(name, f"data row {row} (line {reader.line_num}) {problem}; correct that row")
        except csv.Error as error:
            place = f"data row {row + 1} (line {reader.line_num})"
            return InvalidInput(name, f"{place} is not CSV ({error}); correct that row")
    return InvalidInput(
        name, "is not CSV as it should be: commas between values, double quotes around values with commas"
    )


def _check_cells(cursor: duckdb.DuckDBPyConnection, staged: StagedFile, columns: Sequence[Column], text: Path) -> None:
    first_bad = ", ".join(f"MIN(rowid) FILTER ({_is_bad(column)})" for column in columns)
    (found,) = cursor.execute(f"SELECT {first_bad} FROM {staged.raw}").fetchall()
    bad = [(row, column) for row, column in zip(found, columns, strict=True) if row is not None]
    if not bad:
        return
    row, column = min(bad, key=lambda each: int(each[0]))
    value = _scalar(cursor, f"SELECT {column.name} FROM {staged.raw} WHERE rowid = {row:d}")
    place = f"data row {row + 1} (line {_line_of(text, row + 1)}), column {column.name}"
    is_what = "is empty" if value is None else f"is {_shown(repr(value), _SHOWN_CHARACTERS)}"
    raise InvalidInput(staged.name, f"{place} {is_what}; expected {_expected(column, value)}")


def _is_bad(column: Column) -> str:
    missing = f"{column.name} IS NULL"
    malformed = f"({_is_sound(column)}) IS NOT TRUE"
    return f"{missing} OR {malformed}" if column.mode == "REQUIRED" else f"NOT ({missing}) AND {malformed}"


def _is_sound(column: Column) -> str:
    return _form(column).is_sound.replace("#", _typed(column)).replace("@", column.name)


def _typed(column: Column) -> str:
    return _form(column).cast.replace("@", column.name)


def _expected(column: Column, value: object) -> str:
    if column.type == "STRING" and value is None:
        return "a value; the column may not be empty"
    return _form(column).expected


def _line_of(text: Path, data_row: int) -> int:
    """The line on which a data row ends; rows and lines differ where a quoted value spans lines or lines are empty."""
    with _opened(text) as lines:
        reader = csv.reader(lines)
        next(reader)
        rows = (cells for cells in reader if cells)
        for _ in range(data_row):
            next(rows)
        return reader.line_num


def _opened(text: Path) -> TextIO:
    """The lines one by one, and only where the reader of the table ends them too."""
    return text.open(encoding="utf-8", newline="\n")


def _scalar(cursor: duckdb.DuckDBPyConnection, sql: str) -> Any:
    ((cell,),) = cursor.execute(sql).fetchall()
    return cell


def _shown(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}..."
