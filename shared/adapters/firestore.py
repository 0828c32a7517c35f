"""The document store on Firestore. Knows the official client, and alone renders field-path tuples for it (A20)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore_v1.field_path import FieldPath as ClientFieldPath
from google.cloud.firestore_v1.types import Document as ClientDocument

from shared.adapters.document_rules import check_document_path, check_query, check_writes
from shared.errors import DocumentExists, DocumentMissing, InvalidInput, Unavailable, VersionChanged
from shared.ports import Create, Document, FieldPath, Path, Update, Value, Where, Write

_ATTEMPT_SECONDS = 10.0
_REPEATABLE = (
    api.Aborted,
    api.ServiceUnavailable,
    api.ResourceExhausted,
    api.DeadlineExceeded,
    api.InternalServerError,
)
"""What reads and blind updates are tried again after: they may well be carried out twice."""
_NOTHING_DONE = (api.Aborted,)
"""What conditional commits are tried again after: only ABORTED says that nothing was written. After any other answer a
repeat could meet its own first success and report it as somebody else's."""


class FirestoreDocuments:
    """A `DocumentStore` on a Firestore database (Native mode). Safe for threads, as the client is.

    Args:
        client: the client of that database.
        patience_seconds: how long one call is tried before `Unavailable`; far below the 600 s that a push request may
            take, since the caller then answers 503 and the message comes again.
    """

    def __init__(self, client: firestore.Client, *, patience_seconds: float = 30.0) -> None:
        self._client = client
        self._repeatedly = _retry(_REPEATABLE, patience_seconds)
        self._certainly = _retry(_NOTHING_DONE, patience_seconds)

    def get(self, path: Path) -> Document | None:
        """See `DocumentStore.get`."""
        check_document_path(path)
        with _translated("read"):
            found = self._read(path)
        if found is None:
            return None
        return Document(path, _Map(ClientDocument.pb(found).fields), found.update_time.rfc3339())

    def _read(self, path: Path) -> ClientDocument | None:
        """Ask for a document as the client's own `get` does, without its snapshot.

        A snapshot copies every value twice, deeply: for a shard of a large batch that takes three times as long as all
        the rest of the reading, and every completion reads one.
        """
        client = self._client
        answers = client._firestore_api.batch_get_documents(  # noqa: SLF001 - the client's own connection has no public name
            request={"database": client._database_string, "documents": [_name(client, path)]},  # noqa: SLF001 - as above
            metadata=client._rpc_metadata,  # noqa: SLF001 - as above
            retry=self._repeatedly,
            timeout=_ATTEMPT_SECONDS,
        )
        for answer in answers:
            if "found" in answer:
                return answer.found  # type: ignore[no-any-return]  # the message class is untyped
            if "missing" in answer:
                return None
        raise Unavailable("document store: read: an answer without a document")

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """See `DocumentStore.commit`."""
        check_writes(writes)
        batch = _Batch(self._client)
        for write in writes:
            reference = self._client.document(*write.path)
            if isinstance(write, Create):
                batch.create(reference, _to_client(write.fields))
            else:
                batch.update_fields(reference, write)
        is_blind = all(isinstance(write, Update) and write.if_version is None for write in writes)
        with _translated("commit"), _commit_translated(writes):
            results = batch.commit(retry=self._repeatedly if is_blind else self._certainly, timeout=_ATTEMPT_SECONDS)
        # Of a write that changed nothing it is the time of the last one that did
        # (https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#writeresult).
        return [result.update_time.rfc3339() for result in results]

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """See `DocumentStore.query`."""
        check_query(collection, where, limit=limit)
        query: Any = self._client.collection(*collection)
        for condition in where:
            query = query.where(
                filter=firestore.FieldFilter(_render((condition.field,)), condition.op, condition.value)
            )
        if where:
            # Firestore orders by document id last, in the direction of the order before it.
            query = query.order_by(_render((where[0].field,)), direction=firestore.Query.DESCENDING)
        if limit is not None:
            query = query.limit(limit)
        with _translated("query"):
            snapshots = list(query.stream(retry=self._repeatedly, timeout=_ATTEMPT_SECONDS))
        return [_document((*collection, snapshot.id), snapshot) for snapshot in snapshots]


class _Batch(firestore.WriteBatch):
    """A batch whose updates name their fields by segments.

    The client's own `update` takes rendered strings and parses them again, wrongly where a segment ends in a backslash
    and a later one needs quoting: it then splits them at the dots without a word. `set` with merge paths takes
    `FieldPath` objects, and lacks only the precondition, which is added here.
    """

    def update_fields(self, reference: firestore.DocumentReference, update: Update) -> None:
        """Add an update of an existing document, or of the version that it names."""
        self.set(reference, _nested(update.fields), merge=[ClientFieldPath(*path) for path in update.fields])
        try:
            condition = {"exists": True} if update.if_version is None else {"last_update_time": update.if_version}
            self._client.write_option(**condition).modify_write(self._write_pbs[-1])
        except ValueError as error:
            raise InvalidInput("if_version", f"{update.if_version!r:.80} is no version of this store") from error


def _retry(errors: tuple[type[Exception], ...], patience_seconds: float) -> Retry:
    return Retry(predicate=if_exception_type(*errors), initial=0.1, maximum=5.0, timeout=patience_seconds)


def _name(client: firestore.Client, path: Path) -> str:
    return f"{client._database_string}/documents/{'/'.join(path)}"  # noqa: SLF001 - as above


def _render(path: FieldPath) -> str:
    return ClientFieldPath(*path).to_api_repr()


def _nested(fields: Mapping[FieldPath, Value]) -> dict[str, Any]:
    """The nested maps in which each path leads to its value; `check_writes` has seen to it that none is inside another."""
    root: dict[str, Any] = {}
    for path, value in fields.items():
        inner = root
        for segment in path[:-1]:
            inner = inner.setdefault(segment, {})
        inner[path[-1]] = _to_client(value)
    return root


def _to_client(value: Value | Mapping[str, Value]) -> Any:
    """The client knows a map only as `dict`."""
    if isinstance(value, Mapping):
        return {name: _to_client(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_to_client(inner) for inner in value]
    return value


def _document(path: Path, snapshot: firestore.DocumentSnapshot[Any]) -> Document:
    fields = {name: _from_client(value) for name, value in (snapshot.to_dict() or {}).items()}
    # With its nanoseconds: the real service's versions need all nine digits.
    return Document(path, fields, snapshot.update_time.rfc3339())


def _from_client(value: Any) -> Value:
    """Times come as the client's own subclass of `datetime`, which compares and prints otherwise."""
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), tzinfo=UTC)
    if isinstance(value, dict):
        return {name: _from_client(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_from_client(inner) for inner in value]
    return value  # type: ignore[no-any-return]  # the client is untyped


class _Map(Mapping[str, Value]):
    """A map of a protocol message, each value read when it is asked for.

    A completion reads a whole shard and asks for hardly more than its players' names: to read every value for it takes a
    hundred times as long, and the more players a batch has the longer its shards are.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Any) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Value:
        # Asked for a name that it has not, the message's own map would add it.
        if name not in self._fields:
            raise KeyError(name)
        return _decode(self._fields[name])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return repr(dict(self))


def _decode(value: Any) -> Value:
    """Of a protocol message; a store of ours never wrote a kind that has no case here."""
    match value.WhichOneof("value_type"):
        case "map_value":
            return _Map(value.map_value.fields)
        case "array_value":
            return [_decode(inner) for inner in value.array_value.values]
        case "timestamp_value":
            return value.timestamp_value.ToDatetime(UTC)  # type: ignore[no-any-return]  # as above
        case "null_value":
            return None
        case kind:
            return getattr(value, kind)  # type: ignore[no-any-return]  # as above


@contextmanager
def _commit_translated(writes: Sequence[Write]) -> Iterator[None]:
    is_guarded = any(isinstance(write, Update) and write.if_version is not None for write in writes)
    updates_blindly = any(isinstance(write, Update) and write.if_version is None for write in writes)
    try:
        yield
    except api.AlreadyExists as error:
        raise DocumentExists(f"document store: {error.message}") from error
    except api.NotFound as error:
        # A guarded update of a missing document is a changed version, whichever way the service words it.
        if updates_blindly or not is_guarded:
            raise DocumentMissing(f"document store: {error.message}") from error
        raise VersionChanged(f"document store: {error.message}") from error
    except api.FailedPrecondition as error:
        if is_guarded:
            raise VersionChanged(f"document store: {error.message}") from error
        raise


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except (api.InvalidArgument, api.FailedPrecondition, api.OutOfRange) as error:
        # A query that lacks its index is a failed precondition; the service's text names the index.
        raise InvalidInput("document store", f"{action} refused: {error.message}") from error
    except (api.GoogleAPIError, GoogleAuthError) as error:
        # Also what a person must mend (permissions, a database of another name): messages must wait for it, not vanish.
        raise Unavailable(f"document store: {action}: {error}") from error
