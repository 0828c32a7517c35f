"""What joining promises beyond the contract of `DocumentStore`: who shares a commit, who a read, and who an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.coalescing import CoalescingDocuments, _join
from shared.adapters.sqlite import SqliteDocuments
from shared.errors import DocumentMissing, InvalidInput, Unavailable
from shared.ports import Create, Document, FieldPath, Path, Update, Value, Where, Write
from tests.documents_kit import fields_of, make, read
from tests.waiting import PATIENCE_SECONDS, until, waiting

SHARD: Path = ("batches", "b1", "shards", "0")


class GatedDocuments:
    """The embedded store behind a gate, through which a test lets one commit or read after the other."""

    def __init__(self, inner: SqliteDocuments) -> None:
        self._inner = inner
        self._passes = threading.Semaphore(0)
        self.is_open = True
        self.is_down = False
        self.begun: list[Sequence[Write]] = []
        self.reads = 0

    def let_pass(self) -> None:
        """Let one through."""
        self._passes.release()

    def get(self, path: Path) -> Document | None:
        found = self._inner.get(path)
        self.reads += 1
        self._wait()
        return found

    def commit(self, writes: Sequence[Write]) -> list[str]:
        self.begun.append(writes)
        self._wait()
        if self.is_down:
            raise Unavailable("the store does not answer")
        return self._inner.commit(writes)

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        return self._inner.query(collection, where, limit=limit)

    def _wait(self) -> None:
        if not self.is_open:
            assert self._passes.acquire(timeout=PATIENCE_SECONDS)


class Rush:
    """Callers at once: the first is inside the store, behind the gate, while the others come."""

    def __init__(self, gate: GatedDocuments, pool: ThreadPoolExecutor) -> None:
        self.gate, self._pool = gate, pool
        self.store = CoalescingDocuments(gate)

    def first(self, update: Update) -> Future[list[str]]:
        """Have one caller begin a commit that stays behind the gate."""
        self.gate.is_open = False
        begun = len(self.gate.begun)
        future = self._pool.submit(self.store.commit, [update])
        until(lambda: len(self.gate.begun) == begun + 1)
        return future

    def then(self, *updates: Update) -> list[Future[list[str]]]:
        """Have more callers wait for it, in this order."""
        futures = []
        for place, update in enumerate(updates, start=1):
            futures.append(self._pool.submit(self.store.commit, [update]))
            until(lambda: waiting(self.store._updates) == place)  # noqa: B023 - called within this turn of the loop
        return futures

    def open(self) -> None:
        """Let everything through."""
        self.gate.is_open = True
        self.gate.let_pass()


def versions_of(*futures: Future[list[str]]) -> list[str]:
    return [version for future in futures for version in future.result(PATIENCE_SECONDS)]


def an_entry(player: str, value: Value = True, *, path: Path = SHARD) -> Update:
    return Update(path, {("predicted", player): value})


@pytest.fixture
def gate(tmp_path: FilePath) -> Iterator[GatedDocuments]:
    with closing(SqliteDocuments(tmp_path / "documents.sqlite")) as inner:
        make(inner, SHARD, {"predicted": {}})
        yield GatedDocuments(inner)


@pytest.fixture
def rush(gate: GatedDocuments) -> Iterator[Rush]:
    with ThreadPoolExecutor(20) as pool:
        yield Rush(gate, pool)


# --- commits --------------------------------------------------------------------------------------------------


def test_updates_that_come_during_a_commit_share_the_next_one(rush: Rush) -> None:
    other = make(rush.gate._inner, (*SHARD[:-1], "1"))
    first = rush.first(an_entry("a"))
    others = rush.then(
        *(an_entry(f"b{n}", n) for n in range(10)), *(an_entry(f"c{n}", n, path=other) for n in range(5))
    )

    rush.open()

    versions = versions_of(first, *others)
    assert versions[1:] == [read(rush.gate, SHARD).version] * 10 + [read(rush.gate, other).version] * 5
    assert versions[0] != versions[1], "each is told the version that its own commit made"
    assert fields_of(rush.gate, SHARD)["predicted"] == {"a": True} | {f"b{n}": n for n in range(10)}
    assert fields_of(rush.gate, other)["predicted"] == {f"c{n}": n for n in range(5)}
    assert [[write.path for write in writes] for writes in rush.gate.begun] == [[SHARD], [SHARD, other]]


def test_nobody_is_answered_before_the_commit_that_holds_his_update(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    others = rush.then(an_entry("b"), an_entry("c"))

    rush.gate.let_pass()
    first.result(PATIENCE_SECONDS)
    until(lambda: len(rush.gate.begun) == 2)

    assert fields_of(rush.gate._inner, SHARD)["predicted"] == {"a": True}
    assert not any(future.done() for future in others)
    rush.open()
    assert all(versions_of(*others))


def test_who_is_answered_does_not_wait_for_the_next_commit(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    second = rush.then(*(an_entry(f"b{n}") for n in range(8)))
    rush.gate.let_pass()
    first.result(PATIENCE_SECONDS)
    until(lambda: len(rush.gate.begun) == 2)
    third = rush.then(*(an_entry(f"c{n}") for n in range(8)))

    rush.gate.let_pass()

    assert all(versions_of(*second))
    assert not any(future.done() for future in third)
    rush.open()
    assert all(versions_of(*third))


def test_a_refused_update_sinks_none_of_its_neighbours(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    missing = (*SHARD[:-1], "99")
    good, bad, late = rush.then(an_entry("b"), an_entry("x", path=missing), an_entry("c"))

    rush.open()

    assert all(versions_of(first, good, late))
    with pytest.raises(DocumentMissing):
        bad.result(PATIENCE_SECONDS)
    assert fields_of(rush.gate, SHARD)["predicted"] == dict.fromkeys("abc", True)
    assert rush.gate.get(missing) is None


def test_an_update_that_is_refused_alone_was_asked_of_the_store_once(rush: Rush) -> None:
    with pytest.raises(DocumentMissing):
        rush.store.commit([an_entry("x", path=(*SHARD[:-1], "99"))])

    assert len(rush.gate.begun) == 1


def test_trouble_that_may_pass_is_everybodys_and_is_not_tried_again_here(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    others = rush.then(an_entry("b"), an_entry("c"))
    rush.gate.is_down = True

    rush.open()

    for future in (first, *others):
        with pytest.raises(Unavailable):
            future.result(PATIENCE_SECONDS)
    assert len(rush.gate.begun) == 2
    assert fields_of(rush.gate, SHARD)["predicted"] == {}


def test_trouble_with_one_commit_of_a_group_is_not_that_of_another(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    done, troubled = rush.then(Update(SHARD, {("result",): {}}), Update(SHARD, {("result", "at"): 1}))
    rush.gate.let_pass()
    rush.gate.let_pass()
    until(lambda: len(rush.gate.begun) == 3)
    rush.gate.is_down = True

    rush.open()

    assert all(versions_of(first, done))
    assert isinstance(troubled.exception(PATIENCE_SECONDS), Unavailable)


def test_an_update_that_no_store_could_hold_never_reaches_one(rush: Rush) -> None:
    with pytest.raises(InvalidInput):
        rush.store.commit([an_entry("__x__")])

    assert rush.gate.begun == []


def test_of_two_values_for_one_field_the_later_one_stays(rush: Rush) -> None:
    first = rush.first(an_entry("a"))
    others = rush.then(an_entry("b", "earlier"), an_entry("b", "later"))

    rush.open()

    assert all(versions_of(first, *others))
    assert fields_of(rush.gate, SHARD)["predicted"] == {"a": True, "b": "later"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_path_inside_another_goes_in_a_commit_of_its_own(rush: Rush, order: tuple[int, int]) -> None:
    both = Update(SHARD, {("result",): {"code": "merged"}}), Update(SHARD, {("result", "at"): 1})
    first = rush.first(an_entry("a"))
    others = rush.then(*(both[place] for place in order), an_entry("b"))

    rush.open()

    assert all(versions_of(first, *others))
    found = fields_of(rush.gate, SHARD)
    assert found["result"] == ({"code": "merged", "at": 1} if order == (0, 1) else {"code": "merged"})
    assert found["predicted"] == {"a": True, "b": True}
    assert len(rush.gate.begun) == 3


@pytest.mark.parametrize(
    "writes",
    [
        [Create((*SHARD[:-1], "new"), {})],
        [Update(SHARD, {("n",): 1}), Create((*SHARD[:-1], "new"), {})],
        [Update(SHARD, {("n",): 1}, if_version="1")],
        [],
    ],
    ids=["create", "several", "compare and set", "nothing"],
)
def test_any_other_commit_waits_for_nobody(rush: Rush, writes: list[Write]) -> None:
    first = rush.first(an_entry("a"))
    rush.gate.is_open = True

    rush.store.commit(writes)

    assert rush.gate.begun[-1] == writes
    assert not first.done()
    rush.open()
    first.result(PATIENCE_SECONDS)


# --- what fits together ---------------------------------------------------------------------------------------

SEGMENTS = st.sampled_from(["a", "b", "c"])
FIELDS = st.dictionaries(
    st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple), st.integers(0, 5), min_size=1, max_size=3
)


def overlaps(fields: dict[FieldPath, int]) -> bool:
    return any(path[:length] in fields for path in fields for length in range(1, len(path)))


UPDATES = st.lists(
    st.builds(Update, SEGMENTS.map(lambda name: ("batches", name)), FIELDS.filter(lambda fields: not overlaps(fields))),
    max_size=12,
)


@given(updates=UPDATES)
def test_joined_updates_leave_what_each_alone_would_in_the_same_order(updates: list[Update]) -> None:
    with (
        closing(SqliteDocuments(FilePath(":memory:"))) as joined,
        closing(SqliteDocuments(FilePath(":memory:"))) as alone,
    ):
        for store in (joined, alone):
            store.commit([Create(("batches", name), {}) for name in "abc"])

        joints = _join(updates)

        assert sorted(place for joint in joints for place in joint.members) == list(range(len(updates)))
        for joint in joints:
            joined.commit([Update(path, fields) for path, fields in joint.documents.items()])
            for place in joint.members:
                alone.commit([updates[place]])
        assert [d.fields for d in joined.query(("batches",))] == [d.fields for d in alone.query(("batches",))]


def test_one_commit_holds_500_documents_and_no_more() -> None:
    updates = [an_entry("a", path=("batches", str(number))) for number in range(501)]

    assert [len(joint.documents) for joint in _join(updates)] == [500, 1]


def test_one_commit_stays_far_below_the_size_that_is_refused() -> None:
    large = [an_entry(f"a{number}", "é" * (450 << 10)) for number in range(5)]
    huge = an_entry("a", "x" * (3 << 20))

    assert [joint.members for joint in _join(large)] == [[0, 1], [2, 3], [4]]
    assert [joint.members for joint in _join([huge, an_entry("b"), huge])] == [[0], [1], [2]]


# --- reads ----------------------------------------------------------------------------------------------------


def test_a_read_that_was_begun_before_it_was_asked_for_is_not_shared(rush: Rush) -> None:
    rush.gate.is_open = False
    earlier = rush._pool.submit(rush.store.get, SHARD)
    until(lambda: rush.gate.reads == 1)
    rush.gate._inner.commit([an_entry("a")])
    later = rush._pool.submit(rush.store.get, SHARD)
    until(lambda: waiting(rush.store._reads) == 1)

    rush.open()

    assert (before := earlier.result(PATIENCE_SECONDS))
    assert (after := later.result(PATIENCE_SECONDS))
    assert before.fields == {"predicted": {}}
    assert after.fields == {"predicted": {"a": True}}


def test_reads_that_wait_for_the_same_document_share_one(rush: Rush) -> None:
    rush.gate.is_open = False
    first = rush._pool.submit(rush.store.get, SHARD)
    until(lambda: rush.gate.reads == 1)
    others = [rush._pool.submit(rush.store.get, SHARD) for _ in range(10)]
    until(lambda: waiting(rush.store._reads) == 10)

    rush.open()

    assert {str(future.result(PATIENCE_SECONDS)) for future in (first, *others)} == {str(read(rush.gate._inner, SHARD))}
    assert rush.gate.reads == 2


def test_reads_of_different_documents_do_not_wait_for_one_another(rush: Rush) -> None:
    rush.gate.is_open = False
    first = rush._pool.submit(rush.store.get, SHARD)
    until(lambda: rush.gate.reads == 1)
    rush.gate.is_open = True

    assert rush.store.get(("batches", "b1")) is None

    assert not first.done()
    rush.open()
    first.result(PATIENCE_SECONDS)


def test_a_key_that_nobody_waits_for_is_forgotten(rush: Rush) -> None:
    rush.store.commit([an_entry("a")])
    rush.store.get(SHARD)

    assert not rush.store._updates._queues
    assert not rush.store._reads._queues
