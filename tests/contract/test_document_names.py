"""The contract of `DocumentStore` on what may be stored under which name: kept exactly, or refused by every store alike."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput, VersionChanged
from shared.ports import FIELD_PATH_BYTES, Create, DocumentStore, FieldPath, Path, Update, Where, check_field_path
from tests.documents_kit import fields_of, make, read

# --- names ----------------------------------------------------------------------------------------------------

AWKWARD = st.sampled_from([*".`\\/'\"-_ ~*[]$#\r\n\x00é😀a0", "__", ".`", "\\`", "`.`"])
NAMES = st.one_of(
    st.text(max_size=30),
    st.lists(AWKWARD, max_size=12).map("".join),
    st.text(st.characters(categories=["Cs", "L"]), max_size=3),
    st.builds(str.__mul__, st.sampled_from(["a", ".", "`", "\\", "é", "😀"]), st.integers(300, 1_500)),
)
KEPT = [
    "o.g.-anunoby", "p.j.-washington", "de'aaron-fox", "nikola-jokić", "a.b.c", ".", "..", "/", "`", "``", "\\", "a\\",
    "a\\\\", "\\`", "`.`", "*", "~", "[]", " ", "\n", "\x00", "__", "___", "__a", "a__", "__name", "0", "é" * 700, "a" * 1400,
]  # fmt: skip
REFUSED = [
    "", "__x__", "____", "_____", "__name__", "__type__", "__a.b__", "__\n__", "a\r", "\r\n", "\ud800", "a\udfff", "a" * 1500,
    "é" * 750, "😀" * 400,
]  # fmt: skip


def is_refused(path: FieldPath) -> bool:
    try:
        check_field_path(path)
    except InvalidInput:
        return True
    return False


def check_name(documents: DocumentStore, path: Path, name: str) -> None:
    """Every place that a name can take either keeps it exactly or refuses it; which, is `check_field_path`'s word."""
    entry = ("predicted", name, "0123456789abcdef")
    for write in (
        Update(path, {entry: {"rows": 7}}),
        Update(path, {("expected", name): True}),
        Update(path, {("map",): {name: {"a": 1}}}),
        Create((*path, "made", uuid.uuid4().hex), {"expected": {name: {"b": {}}}, "e": {}}),
    ):
        if is_refused((*entry, "rows")) and is_refused(("e", name)):
            with pytest.raises(InvalidInput):
                documents.commit([write])
        elif not is_refused((*entry, "rows")):
            documents.commit([write])
            found = fields_of(documents, write.path)
            kept = found["expected"] if isinstance(write, Create) else found[next(iter(write.fields))[0]]
            assert name in kept
    if not is_refused((*entry, "rows")):
        found = fields_of(documents, path)
        assert found["predicted"][name] == {"0123456789abcdef": {"rows": 7}}
        assert found["expected"][name] is True
        assert found["map"] == {name: {"a": 1}}
        assert found.keys() == {"predicted", "expected", "map"}


@pytest.mark.parametrize("name", KEPT, ids=ascii)
def test_a_name_is_kept_exactly(documents: DocumentStore, batches: Path, name: str) -> None:
    assert not is_refused(("predicted", name, "0123456789abcdef", "rows"))

    check_name(documents, make(documents, (*batches, "b1")), name)


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: ascii(name[:8]))
def test_a_name_that_firestore_cannot_hold_is_refused_everywhere(
    documents: DocumentStore, batches: Path, name: str
) -> None:
    path = make(documents, (*batches, "b1"))

    check_name(documents, path, name)

    assert is_refused((name,))
    assert fields_of(documents, path) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
@example(name="a\\")
@example(name="`")
def test_any_name_is_kept_exactly_or_refused(documents: DocumentStore, batches: Path, name: str) -> None:
    check_name(documents, make(documents, (*batches, uuid.uuid4().hex)), name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(NAMES, min_size=1, max_size=5).map(tuple))
@example(path=("a\\", "b c", "`", "d.e"))
def test_any_field_path_leads_to_its_value_or_is_refused(
    documents: DocumentStore, batches: Path, path: FieldPath
) -> None:
    document = make(documents, (*batches, uuid.uuid4().hex))

    if is_refused(path):
        with pytest.raises(InvalidInput):
            documents.commit([Update(document, {path: 7})])
        assert fields_of(documents, document) == {}
        return
    documents.commit([Update(document, {path: 7})])

    found: Any = fields_of(documents, document)
    for segment in path:
        assert list(found) == [segment]
        found = found[segment]
    assert found == 7


@pytest.mark.parametrize("letter", ["a", ".", "`", "\\", "é"])
def test_the_longest_path_is_kept_and_one_byte_more_is_refused(
    documents: DocumentStore, batches: Path, letter: str
) -> None:
    room = FIELD_PATH_BYTES - 1 - len("predicted.") - len(".0")
    name = letter * (room // len(letter.encode()))
    name += "x" * (room - len(name.encode()))
    path = make(documents, (*batches, "b1"))

    documents.commit([Update(path, {("predicted", name, "0"): 1})])
    with pytest.raises(InvalidInput, match="1500 bytes"):
        documents.commit([Update(path, {("predicted", name + "y", "0"): 1})])

    assert fields_of(documents, path) == {"predicted": {name: {"0": 1}}}


# --- refused input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", ["a/b", ".", "..", "", "__x__", "\ud800", "x" * 1501, "é" * 751], ids=lambda bad: ascii(bad[:8])
)
def test_an_id_that_firestore_cannot_hold_is_refused(documents: DocumentStore, batches: Path, bad: str) -> None:
    with pytest.raises(InvalidInput):
        documents.commit([Create((*batches, bad), {})])
    with pytest.raises(InvalidInput):
        documents.get((*batches, bad))
    with pytest.raises(InvalidInput):
        documents.query((*batches, bad, "shards"))


@pytest.mark.parametrize("kept", ["...", "a.b", "__", "é" * 750, "😀", "`", " "], ids=lambda kept: ascii(kept[:8]))
def test_an_id_is_kept_exactly(documents: DocumentStore, batches: Path, kept: str) -> None:
    path = make(documents, (*batches, kept), {"n": 1})

    assert [document.path for document in documents.query(batches)] == [path]
    assert read(documents, path).path == path


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([[1]], "list in a list"),
        (2**63, "64 bits"),
        (datetime(2026, 1, 30), "UTC"),  # noqa: DTZ001  # a time without a zone is the point
        (date(2026, 1, 30), "date"),
        (b"bytes", "bytes"),
        ("\ud800", "UTF-8"),
        ({1: 2}, "keys are text"),
        ({"a": {"__x__": 1}}, "__x__"),
        ([{"": 1}], "empty"),
    ],
    ids=ascii,
)
def test_a_value_that_a_store_cannot_hold_is_refused(
    documents: DocumentStore, batches: Path, value: Any, problem: str
) -> None:
    path = make(documents, (*batches, "b1"))

    with pytest.raises(InvalidInput, match=problem):
        documents.commit([Update(path, {("field",): value})])
    with pytest.raises(InvalidInput, match=problem):
        documents.commit([Create((*batches, "b2"), {"field": value})])

    assert fields_of(documents, path) == {}


def test_maps_nest_20_levels_and_no_deeper(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"))

    documents.commit([Update(path, {tuple("abcdefghijklmnopqrst"): 1})])
    with pytest.raises(InvalidInput, match="20 levels"):
        documents.commit([Update(path, {tuple("abcdefghijklmnopqrstu"): 1})])


@pytest.mark.parametrize(
    "fields",
    [{}, {("a",): 1, ("a", "b"): 2}, {("a", "b", "c"): 1, ("a",): {}}, {"predicted": 1}],
    ids=["none", "inside", "around", "text for a path"],
)
def test_an_update_of_no_or_of_overlapping_fields_is_refused(
    documents: DocumentStore, batches: Path, fields: Any
) -> None:
    path = make(documents, (*batches, "b1"))

    with pytest.raises(InvalidInput):
        documents.commit([Update(path, fields)])


def test_two_writes_of_one_document_in_a_commit_are_refused(documents: DocumentStore, batches: Path) -> None:
    path = (*batches, "b1")

    with pytest.raises(InvalidInput, match="same document"):
        documents.commit([Create(path, {}), Update(path, {("n",): 1})])

    assert documents.get(path) is None


@pytest.mark.parametrize(
    ("where", "limit"),
    [
        ([Where("day", "!=", 1)], None),
        ([Where("", "==", 1)], None),
        ([Where("day", "==", [1])], None),
        ([Where("day", ">=", None)], None),
        ([Where("status", "==", 1), Where("day", ">=", 1)], None),
        ([], 0),
    ],
    ids=str,
)
def test_a_query_that_has_no_one_answer_is_refused(
    documents: DocumentStore, batches: Path, where: list[Where], limit: int | None
) -> None:
    with pytest.raises(InvalidInput):
        documents.query(batches, where, limit=limit)


def test_a_version_of_another_store_is_refused(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"))

    with pytest.raises((InvalidInput, VersionChanged)):
        documents.commit([Update(path, {("n",): 1}, if_version="not a version")])
