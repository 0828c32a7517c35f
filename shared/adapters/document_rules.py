"""What every document store refuses before it writes or asks: whatever Firestore cannot hold, so that all hold the same.

Knows Firestore's bounds (https://firebase.google.com/docs/firestore/quotas). Must never learn how documents are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from shared.errors import InvalidInput
from shared.ports import Create, FieldPath, Path, Value, Where, Write, check_field_path

_WRITES = 500
_ID_BYTES = 1_500
_LEVELS = 20
_INT64 = range(-(2**63), 2**63)


def check_document_path(path: Path) -> None:
    """Refuse what is not a document's path (collection and id in turn). Raises `InvalidInput`."""
    if not path or len(path) % 2:
        raise InvalidInput("document path", f"{path!r:.80} is not collection and id in turn")
    _check_ids(path)


def check_query(collection: Path, where: Sequence[Where], *, limit: int | None) -> None:
    """Refuse a query that one of the stores could not answer in the port's order. Raises `InvalidInput`."""
    if len(collection) % 2 == 0:
        raise InvalidInput("collection path", f"{collection!r:.80} does not end with a collection")
    _check_ids(collection)
    if limit is not None and limit < 1:
        raise InvalidInput("limit", f"{limit} is less than 1; leave it out to read all")
    for condition in where:
        check_field_path((condition.field,))
        if condition.op not in ("==", ">=", "<"):
            raise InvalidInput("condition", f"{condition.op!r} is not one of ==, >= and <")
        # Firestore would order by that field too, and differently from the port's promise.
        if condition.op != "==" and condition.field != where[0].field:
            raise InvalidInput(
                "condition", f"{condition.field} {condition.op}: compare the first condition's field only"
            )
        _check_operand(condition)


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a commit that one of the stores would not take. Raises `InvalidInput`."""
    if len(writes) > _WRITES:
        raise InvalidInput("commit", f"{len(writes)} writes are over {_WRITES}; split them")
    if len({write.path for write in writes}) < len(writes):
        raise InvalidInput("commit", "two writes name the same document; put their fields into one")
    for write in writes:
        check_document_path(write.path)
        for path, value in _fields_by_path(write):
            check_field_path(path)
            _check_value(value, path, level=len(path))


def _fields_by_path(write: Write) -> Iterable[tuple[FieldPath, Value]]:
    if isinstance(write, Create):
        return [((name,), value) for name, value in write.fields.items()]
    if not write.fields:
        raise InvalidInput("update", f"of {'/'.join(write.path)} sets no field")
    for path in write.fields:
        if any(path[:length] in write.fields for length in range(1, len(path))):
            raise InvalidInput("update", f"{path!r:.80} lies inside another path of the same update")
    return write.fields.items()


def _check_value(value: Value, path: FieldPath, *, level: int) -> None:
    if level > _LEVELS:
        raise InvalidInput("document field", f"{path!r:.80} is nested more than {_LEVELS} levels deep")
    match value:
        case Mapping():
            for name, inner in value.items():
                if not isinstance(name, str):
                    raise InvalidInput("document field", f"{path!r:.80} has the key {name!r:.40}; keys are text")
                check_field_path((*path, name))
                _check_value(inner, (*path, name), level=level + 1)
        case list() | tuple():
            for inner in value:
                if isinstance(inner, list | tuple):
                    raise InvalidInput("document field", f"{path!r:.80} is a list in a list; put a map between them")
                _check_value(inner, path, level=level + 1)
        case _:
            _check_scalar(value, path)


def _check_scalar(value: Value, path: FieldPath) -> None:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise InvalidInput("document field", f"{path!r:.80} is text that is not valid UTF-8") from error
        case None | bool() | float():
            pass
        case int():
            if value not in _INT64:
                raise InvalidInput("document field", f"{path!r:.80} is {value}, beyond 64 bits")
        case datetime():
            if value.utcoffset() is None:
                raise InvalidInput("document field", f"{path!r:.80} is a time without a zone; give it in UTC")
        case _:
            raise InvalidInput(
                "document field", f"{path!r:.80} is of type {type(value).__name__}, which is not storable"
            )


def _check_operand(condition: Where) -> None:
    value = condition.value
    if not isinstance(value, bool | int | float | str | datetime) and not (value is None and condition.op == "=="):
        raise InvalidInput("condition", f"{condition.field} {condition.op} {value!r:.40}: compare with one plain value")
    _check_scalar(value, (condition.field,))


def _check_ids(path: Path) -> None:
    for part in path:
        reserved = len(part) >= 4 and part.startswith("__") and part.endswith("__")
        if not part or "/" in part or part in (".", "..") or reserved:
            raise InvalidInput(
                "document path", f"{part!r:.80} cannot be an id (empty, '.', '..', '__x__' or with a slash)"
            )
        try:
            size = len(part.encode())
        except UnicodeEncodeError as error:
            raise InvalidInput("document path", f"{part!r:.80} is not valid UTF-8") from error
        if size > _ID_BYTES:
            raise InvalidInput("document path", f"{part!r:.80} is over {_ID_BYTES} bytes")
