"""The ports: what the rules and use cases may ask of the world. These docstrings are the specification.

Every adapter passes the same contract suite (`tests/contract`). Nothing here imports a client library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeAlias

from schemas.tables import Column, FittedRows, Row
from shared.errors import InvalidInput

# --- documents ------------------------------------------------------------------------------------------------

Path: TypeAlias = tuple[str, ...]
"""Collection and document ids in turn: `("batches", "b1")` is a document, `("batches", "b1", "shards")` a collection."""

FieldPath: TypeAlias = tuple[str, ...]
"""Segments of a field path. A segment is taken literally, whatever it contains (A20); a dotted string is never a path."""

Value: TypeAlias = "None | bool | int | float | str | datetime | Sequence[Value] | Mapping[str, Value]"
"""What a document field may hold. Times are UTC with microseconds."""

FIELD_PATH_BYTES = 1_500
"""Firestore's bound on a whole field path (https://firebase.google.com/docs/firestore/quotas)."""


@dataclass(frozen=True, slots=True)
class Document:
    """One read of one document; `version` is opaque and only good for `Update.if_version`."""

    path: Path
    fields: Mapping[str, Value]
    version: str


@dataclass(frozen=True, slots=True)
class Create:
    """Make a document that must not exist yet."""

    path: Path
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Update:
    """Set some fields of a document that must exist, leaving all others as they are.

    Without `if_version` the update is blind: it commutes with updates of other fields and needs no read.
    With it, the commit is refused when the document changed in any way since that version was read.
    """

    path: Path
    fields: Mapping[FieldPath, Value]
    if_version: str | None = None


Write: TypeAlias = Create | Update


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on one top-level field; `op` is `==`, `>=` or `<`."""

    field: str
    op: str
    value: Value


class DocumentStore(Protocol):
    """Documents of nested maps, with atomic commits and field-level blind updates."""

    def get(self, path: Path) -> Document | None:
        """Read one document, strongly consistent; None when there is none.

        Raises:
            Unavailable: the store did not answer.
        """

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """Carry out all writes or none (at most 500, each of another document).

        An update makes the maps on its way, in the place of whatever else stands there. One that leaves every value
        as it was is no change: it keeps the document's version.

        Returns:
            For each write the version that its document then has.

        Raises:
            DocumentExists: a `Create` met a document.
            DocumentMissing: an `Update` met none.
            VersionChanged: an `if_version` is out of date, or its document is gone.
            InvalidInput: a field path (`check_field_path`), document path or value that Firestore cannot hold.
            Unavailable: the store did not answer; the commit may or may not have happened.
        """

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """Read the documents of a collection (not of its subcollections) that meet every condition.

        Ordered by the first condition's field and then by document id, both descending, which is the order that
        Firestore has an index for; without conditions by document id, ascending.

        Raises:
            InvalidInput: a path, condition or limit is unusable; `>=` and `<` go with the first condition's field only.
            Unavailable: the store did not answer.
        """


def check_field_path(path: FieldPath) -> None:
    """Refuse a field path that Firestore cannot hold, so that every adapter refuses the same ones.

    Raises:
        InvalidInput: it is a string; a segment is empty, of the reserved form `__x__`, not UTF-8, or has a carriage
            return; or the whole path, its segments joined by dots, reaches 1,500 bytes of UTF-8.
    """
    shown = f"{path!r:.80}"
    # The empty string is also in every string: text given in the place of a tuple is refused here too.
    if not path or "" in path:
        raise InvalidInput(
            "field path", f"{shown} has an empty segment or none; give every name at least one character"
        )
    for segment in path:
        if len(segment) >= 4 and segment.startswith("__") and segment.endswith("__"):
            raise InvalidInput(
                "field path", f"{shown}: names of the form __x__ are reserved by Firestore; choose another"
            )
        # Firestore's emulator reads it as a line feed: the update is acknowledged and the entry is not there.
        if "\r" in segment:
            raise InvalidInput("field path", f"{shown} has a carriage return, which Firestore would lose; remove it")
    try:
        size = len(".".join(path).encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("field path", f"{shown} has a lone surrogate; names must be valid UTF-8") from error
    if size >= FIELD_PATH_BYTES:
        raise InvalidInput("field path", f"{shown}... must stay under {FIELD_PATH_BYTES} bytes; shorten the name")


# --- warehouse ------------------------------------------------------------------------------------------------

Scalar: TypeAlias = None | bool | int | float | str | Decimal | date | datetime
Parameters: TypeAlias = Mapping[str, "Scalar | Sequence[str]"]
"""Named query parameters (`@name` in the text). A sequence is an ARRAY<STRING>; types follow from the Python types."""


class JobState(StrEnum):
    """Where a job id stands; BigQuery's own DONE says nothing about success, so it is split in two here."""

    ABSENT = "absent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One look at one job; `error` is the warehouse's own text when `state` is FAILED."""

    job_id: str
    state: JobState
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the dataset as the catalogue lists it."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What `create` needs: ordered columns, partitioning by a DATE column, an end of life, and labels (lower case).

    `partition_days`: so many days after its date a partition and its rows are gone. `needs_partition_filter`: a statement
    that names no partitions is refused (the embedded warehouse lets it be).
    """

    name: str
    columns: tuple[Column, ...]
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()
    partition_days: int | None = None
    needs_partition_filter: bool = False
    expires_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Jobs(Protocol):
    """Statements, spoken in BigQuery SQL with backticked table names of the one dataset."""

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement to its end and return its rows (column → Python value; NUMERIC as Decimal, times in UTC).

        Raises:
            TableMissing: a table is not there.
            QueryRefused: the statement or its data was refused.
            Unavailable: the warehouse did not answer, or refused a right; the text names it.
        """

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:
        """Dry-run a statement and return the bytes that it would process. Raises as `query`."""

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        """Start a statement under a job id and return at once.

        A job id runs at most once, ever: submitting a known one, whatever its state, changes nothing and is no error.
        A statement's own failure shows in `job`, not here.

        Raises:
            QueryRefused, TableMissing: the statement was refused at the door, without a job; the id is still free.
            Unavailable: the warehouse did not answer, or refused a right; the job may or may not have started.
        """

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:
        """Tell a job's state, waiting up to `wait` for a running one to end. An unknown id is ABSENT."""


class Tables(Protocol):
    """The dataset's tables."""

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        """Append rows: durable and visible to queries when this returns. A repeat appends copies.

        Columns that a row lacks become NULL (REPEATED: empty). Rows that were checked against the same columns before are
        not checked again.

        Raises:
            TableMissing: the table is not there.
            QueryRefused: a row does not fit the table; none was appended.
            Unavailable: not acknowledged, be it for want of a right; the rows may or may not be there.
        """

    def create(self, spec: TableSpec) -> None:
        """Create a table. One of that name, whatever its columns, is left as it is."""

    def columns(self, table: str) -> tuple[Column, ...] | None:
        """The live columns in table order (never from a cache), or None when there is no such table."""

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        """Add NULLABLE or REPEATED columns in one statement; those already there are left as they are."""

    def list_tables(self, prefix: str) -> list[Table]:
        """All tables whose name starts with `prefix`, by name."""

    def drop(self, table: str) -> None:
        """Drop a table. An absent one is no error."""


class Warehouse(Jobs, Tables, Protocol):
    """BigQuery, or the embedded stand-in that runs the same SQL text."""


# --- messages -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for a topic: UTF-8 JSON text and string attributes (trace, ids)."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


class Publisher(Protocol):
    """One topic."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish all messages and return when every one is durable with the topic.

        Raises:
            InvalidInput: a message that Pub/Sub cannot carry (empty, an attribute over 1,024 bytes); none is published.
            Unavailable: at least one is not; any of them may have been published (receivers absorb repeats).
        """

    def check(self) -> None:
        """Ask whether the topic is there and answers, for `/ready`. Raises `Unavailable` or `InvalidInput`."""
