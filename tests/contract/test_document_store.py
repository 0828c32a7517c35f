"""The contract of `DocumentStore`, over the embedded store and the official Firestore emulator alike.

Another adapter joins by becoming a parameter of the fixture `documents` in `tests/conftest.py`. What may be stored under
which name, and what is refused, is in `test_document_names.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.errors import DocumentExists, DocumentMissing, InvalidInput, VersionChanged
from shared.ports import Create, Document, DocumentStore, Path, Update, Value, Where
from tests.documents_kit import fields_of, make, read

NOON = datetime(2026, 1, 30, 17, 0, 0, 123456, tzinfo=UTC)
VALUES: list[Value] = [
    None, True, False, 0, 1, -(2**63), 2**63 - 1, 0.0, 1.0, 24.5, -0.0, 1e308, float("inf"), "", "Nikola Jokić", "\x00\n😀",
    NOON, datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    [], [1, "two", None, NOON], [{"a": [1]}], {}, {"nested": {"a.b": {"`": [True, {}]}}, "empty": {}},
]  # fmt: skip


# --- create, read, update -------------------------------------------------------------------------------------


def test_a_document_that_was_never_created_is_none(documents: DocumentStore, batches: Path) -> None:
    assert documents.get((*batches, "nobody")) is None


def test_a_second_create_is_refused_and_changes_nothing(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"kind": "first"})

    with pytest.raises(DocumentExists):
        documents.commit([Create(path, {"kind": "second"})])

    assert fields_of(documents, path) == {"kind": "first"}


def test_an_update_of_a_missing_document_is_refused_and_makes_none(documents: DocumentStore, batches: Path) -> None:
    with pytest.raises(DocumentMissing):
        documents.commit([Update((*batches, "b1"), {("status",): "RUNNING"})])

    assert documents.get((*batches, "b1")) is None


def test_a_document_reads_back_under_its_path(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1", "shards", "0"), {"expected": {}, "predicted": {}})

    assert read(documents, path).path == path
    assert fields_of(documents, path) == {"expected": {}, "predicted": {}}


def test_a_document_may_be_empty(documents: DocumentStore, batches: Path) -> None:
    assert fields_of(documents, make(documents, (*batches, "b1"))) == {}


def test_an_update_of_one_map_entry_leaves_all_others(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"predicted": {"ja-morant": {"rows": 5}}, "failed": {"x": 1}, "n": 1})

    documents.commit([Update(path, {("predicted", "o.g.-anunoby"): {"rows": 7}, ("n",): 2})])

    expected = {"predicted": {"ja-morant": {"rows": 5}, "o.g.-anunoby": {"rows": 7}}, "failed": {"x": 1}, "n": 2}
    assert fields_of(documents, path) == expected


def test_an_update_replaces_the_map_that_it_names_as_a_whole(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"result": {"old": 1, "both": 1}})

    documents.commit([Update(path, {("result",): {"both": 2, "new": {}}})])

    assert fields_of(documents, path) == {"result": {"both": 2, "new": {}}}


def test_an_update_makes_the_maps_on_its_way(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"n": 1})

    documents.commit([Update(path, {("merges", "1", "counts", "staged"): 0})])

    assert fields_of(documents, path) == {"n": 1, "merges": {"1": {"counts": {"staged": 0}}}}


@pytest.mark.parametrize("obstacle", [None, 5, "text", [1], NOON])
def test_an_update_replaces_what_stands_in_its_way(documents: DocumentStore, batches: Path, obstacle: Value) -> None:
    path = make(documents, (*batches, "b1"), {"a": obstacle})

    documents.commit([Update(path, {("a", "b", "c"): 1})])

    assert fields_of(documents, path) == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_reads_back_as_it_was_written(documents: DocumentStore, batches: Path, value: Value) -> None:
    path = make(documents, (*batches, "b1"), {"created": value, "map": {"inside": value}})

    documents.commit([Update(path, {("updated",): value, ("deep", "er"): value})])

    found = fields_of(documents, path)
    for read_back in (found["created"], found["map"]["inside"], found["updated"], found["deep"]["er"]):
        assert read_back == value
        # A map may be of any kind and has no order; of the rest repr tells 1 from 1.0.
        assert isinstance(value, dict) or (type(read_back), repr(read_back)) == (type(value), repr(value))


def test_a_name_that_a_document_has_not_is_missing_however_often_it_is_asked_for(
    documents: DocumentStore, batches: Path
) -> None:
    path = make(documents, (*batches, "b1"), {"map": {"inside": 1}})

    for known in (fields_of(documents, path), fields_of(documents, path)["map"]):
        before = dict(known)
        for _ in range(2):
            assert "nothing" not in known
            with pytest.raises(KeyError):
                known["nothing"]
        assert dict(known) == before


def test_a_time_of_another_zone_reads_back_in_utc(documents: DocumentStore, batches: Path) -> None:
    eastern = NOON.astimezone(timezone(timedelta(hours=-5)))

    path = make(documents, (*batches, "b1"), {"at": eastern})

    assert repr(fields_of(documents, path)["at"]) == repr(NOON)


def test_a_tuple_reads_back_as_a_list(documents: DocumentStore, batches: Path) -> None:
    assert fields_of(documents, make(documents, (*batches, "b1"), {"ids": ("a", "b")})) == {"ids": ["a", "b"]}


# --- atomicity ------------------------------------------------------------------------------------------------


def test_a_commit_with_one_refused_write_writes_nothing(documents: DocumentStore, batches: Path) -> None:
    there = make(documents, (*batches, "there"), {"n": 1})
    stale = read(documents, there).version
    documents.commit([Update(there, {("n",): 2})])
    good: list[Create | Update] = [Create((*batches, "new"), {}), Update(there, {("n",): 3})]
    other = make(documents, (*batches, "other"))

    with pytest.raises(DocumentMissing):
        documents.commit([*good, Update((*batches, "missing"), {("n",): 1})])
    with pytest.raises(DocumentExists):
        documents.commit([*good, Create(other, {})])
    with pytest.raises(VersionChanged):
        documents.commit([good[0], Update(other, {("n",): 9}), Update(there, {("n",): 3}, if_version=stale)])
    with pytest.raises(InvalidInput):
        documents.commit([*good, Update(other, {("predicted", ""): 1})])

    assert fields_of(documents, there) == {"n": 2}
    assert fields_of(documents, other) == {}
    assert documents.get((*batches, "new")) is None


def test_a_commit_of_nothing_does_nothing(documents: DocumentStore) -> None:
    documents.commit([])


def test_500_writes_are_one_commit_and_501_are_refused(documents: DocumentStore, batches: Path) -> None:
    documents.commit([Create((*batches, f"{number:03}"), {"n": number}) for number in range(500)])

    assert [document.fields["n"] for document in documents.query(batches)] == list(range(500))
    with pytest.raises(InvalidInput, match="500"):
        documents.commit([Create((*batches, f"again-{number}"), {}) for number in range(501)])
    assert len(documents.query(batches)) == 500


# --- versions -------------------------------------------------------------------------------------------------


def test_an_update_of_the_version_read_is_taken(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"status": "RUNNING"})
    before = read(documents, path)

    documents.commit([Update(path, {("status",): "CONSOLIDATING"}, if_version=before.version)])

    assert fields_of(documents, path) == {"status": "CONSOLIDATING"}
    assert read(documents, path).version != before.version


def test_a_blind_write_in_between_refuses_the_update_of_the_version_read(
    documents: DocumentStore, batches: Path
) -> None:
    path = make(documents, (*batches, "b1"), {"status": "RUNNING", "settled": {}})
    before = read(documents, path)
    documents.commit([Update(path, {("settled", "0"): True})])

    with pytest.raises(VersionChanged):
        documents.commit([Update(path, {("status",): "CONSOLIDATING"}, if_version=before.version)])

    assert fields_of(documents, path) == {"status": "RUNNING", "settled": {"0": True}}
    documents.commit([Update(path, {("status",): "CONSOLIDATING"}, if_version=read(documents, path).version)])


def test_a_version_is_good_for_one_change(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"epoch": 0})
    before = read(documents, path)
    documents.commit([Update(path, {("epoch",): 1}, if_version=before.version)])

    with pytest.raises(VersionChanged):
        documents.commit([Update(path, {("epoch",): 2}, if_version=before.version)])


def test_a_commit_tells_the_version_of_each_document_that_it_wrote(documents: DocumentStore, batches: Path) -> None:
    one, two = (*batches, "b1"), (*batches, "b2")
    [made] = documents.commit([Create(one, {"n": 1})])
    assert made == read(documents, one).version

    versions = documents.commit([Create(two, {"n": 1}), Update(one, {("n",): 2}, if_version=made)])
    assert versions == [read(documents, two).version, read(documents, one).version]

    same = documents.commit([Update(one, {("n",): 2})])
    assert same == [versions[1]], "an update that changed nothing tells the version that stays"


def test_an_update_that_changes_no_value_keeps_the_version(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"predicted": {"a": {"rows": 5, "at": NOON}}})
    before = read(documents, path)

    documents.commit([Update(path, {("predicted", "a"): {"at": NOON, "rows": 5}})])

    assert read(documents, path).version == before.version


def test_a_versioned_update_of_a_document_that_is_gone_is_a_changed_version(
    documents: DocumentStore, batches: Path
) -> None:
    version = read(documents, make(documents, (*batches, "b1"))).version

    with pytest.raises(VersionChanged):
        documents.commit([Update((*batches, "gone"), {("n",): 1}, if_version=version)])


# --- many at once ---------------------------------------------------------------------------------------------


def all_at_once(count: int, work: Callable[[int], bool]) -> list[bool]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_blind_updates_from_16_threads_all_land(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"predicted": {}})

    def update(thread: int) -> bool:
        for number in range(10):
            documents.commit([Update(path, {("predicted", f"player-{thread}.{number}", "d1"): {"rows": number}})])
        return True

    assert all(all_at_once(16, update))

    entries = {f"player-{thread}.{number}": {"d1": {"rows": number}} for thread in range(16) for number in range(10)}
    assert fields_of(documents, path) == {"predicted": entries}


def test_of_many_claims_on_one_version_exactly_one_wins(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"lease": None})
    seen = read(documents, path)

    def claim(holder: int) -> bool:
        try:
            documents.commit([Update(path, {("lease",): {"holder": holder, "epoch": 1}}, if_version=seen.version)])
        except VersionChanged:
            return False
        return True

    won = all_at_once(8, claim)

    assert won.count(True) == 1
    assert fields_of(documents, path) == {"lease": {"holder": won.index(True), "epoch": 1}}


def test_of_many_creates_of_one_document_exactly_one_wins(documents: DocumentStore, batches: Path) -> None:
    def create(caller: int) -> bool:
        try:
            documents.commit([Create((*batches, "b1"), {"caller": caller})])
        except DocumentExists:
            return False
        return True

    won = all_at_once(8, create)

    assert won.count(True) == 1
    assert fields_of(documents, (*batches, "b1")) == {"caller": won.index(True)}


# --- queries --------------------------------------------------------------------------------------------------


def ids(found: list[Document]) -> list[str]:
    return [document.path[-1] for document in found]


def make_days(documents: DocumentStore, batches: Path) -> None:
    """A to f, three days with two batches each; g has no day and h has one of another type."""
    for number, name in enumerate("abcdef"):
        day = NOON + timedelta(days=number // 2)
        make(documents, (*batches, name), {"day": day, "status": "RUNNING" if number % 2 else "COMPLETE"})
    make(documents, (*batches, "g"), {"status": "RUNNING"})
    make(documents, (*batches, "h"), {"day": "2026-01-31", "status": None})


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], "abcdefgh"),
        ([Where("day", ">=", NOON + DAY)], "fedc"),
        ([Where("day", "<", NOON + DAY)], "ba"),
        ([Where("day", ">=", NOON + DAY), Where("day", "<", NOON + 2 * DAY)], "dc"),
        ([Where("day", ">=", NOON), Where("status", "==", "RUNNING")], "fdb"),
        ([Where("day", "==", NOON)], "ba"),
        ([Where("day", "==", "2026-01-31")], "h"),
        ([Where("day", ">=", "")], "h"),
        ([Where("status", "==", None)], "h"),
        ([Where("status", "==", "RUNNING")], "gfdb"),
        ([Where("status", "==", "running")], ""),
        ([Where("status", "==", "RUNNING"), Where("day", "==", NOON)], "b"),
        ([Where("nobody", ">=", 0)], ""),
    ],
    ids=str,
)
def test_a_query_returns_what_meets_every_condition_in_the_ports_order(
    documents: DocumentStore, batches: Path, where: list[Where], expected: str
) -> None:
    make_days(documents, batches)

    assert ids(documents.query(batches, where)) == list(expected)


@pytest.mark.parametrize(("limit", "expected"), [(1, "f"), (3, "fed"), (99, "fedcba")])
def test_a_limit_keeps_the_first_of_the_order(
    documents: DocumentStore, batches: Path, limit: int, expected: str
) -> None:
    make_days(documents, batches)

    assert ids(documents.query(batches, [Where("day", ">=", NOON)], limit=limit)) == list(expected)
    assert len(documents.query(batches, limit=limit)) == min(limit, 8)


def test_numbers_compare_across_int_and_float_but_not_with_bool(documents: DocumentStore, batches: Path) -> None:
    numbers: dict[str, Value] = {"a": 1, "b": 1.0, "c": True, "d": 2.5, "e": "1", "f": 0}
    for name, value in numbers.items():
        make(documents, (*batches, name), {"n": value})

    assert ids(documents.query(batches, [Where("n", ">=", 1)])) == list("dba")
    assert ids(documents.query(batches, [Where("n", "==", 1)])) == list("ba")
    assert ids(documents.query(batches, [Where("n", "==", True)])) == ["c"]


def test_a_query_field_is_taken_literally(documents: DocumentStore, batches: Path) -> None:
    make(documents, (*batches, "literal"), {"a.b": 1})
    make(documents, (*batches, "nested"), {"a": {"b": 1}})

    assert ids(documents.query(batches, [Where("a.b", "==", 1)])) == ["literal"]


def test_a_queried_document_is_the_one_that_get_reads(documents: DocumentStore, batches: Path) -> None:
    path = make(documents, (*batches, "b1"), {"day": NOON, "map": {"o.g.-anunoby": {"at": NOON}}})

    assert documents.query(batches) == [documents.get(path)]


def test_a_query_of_a_collection_leaves_its_subcollections_and_neighbours_alone(
    documents: DocumentStore, batches: Path
) -> None:
    make(documents, (*batches, "b1"), {"what": "batch"})
    make(documents, (*batches, "b1", "shards", "0"), {"what": "shard"})
    make(documents, (*batches, "b2", "shards", "0"), {"what": "shard of another"})
    make(documents, (batches[0] + "-other", "b3"), {"what": "neighbour"})

    assert ids(documents.query(batches)) == ["b1"]
    assert documents.query((*batches, "b1", "shards")) == [documents.get((*batches, "b1", "shards", "0"))]
    assert documents.query((*batches, "b9", "shards")) == []
