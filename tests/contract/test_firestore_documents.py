"""What only the Firestore adapter promises, and what the rules of names rest on: the emulator's own answers."""

from __future__ import annotations

import socket
import uuid
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.field_path import FieldPath

from shared.adapters.firestore import FirestoreDocuments
from shared.errors import InvalidInput, Unavailable, VersionChanged
from shared.ports import FIELD_PATH_BYTES, Create, Path, Update, check_field_path
from tests.documents_kit import make, read

pytestmark = pytest.mark.xdist_group("firestore_emulator")  # one emulator serves all


def raw_write(client: firestore.Client, path: tuple[str, ...]) -> dict[str, Any]:
    """Write 7 at a field path with the client alone, none of our rules before it, and return the document."""
    reference = client.collection(f"raw-{uuid.uuid4().hex}").document("d")
    data: Any = 7
    for segment in reversed(path):
        data = {segment: data}
    paths: Any = [FieldPath(*path)]  # the client's annotation knows only its other use, a bool
    reference.set(data, merge=paths)
    return reference.get().to_dict() or {}


@pytest.mark.parametrize(
    "name", ["__x__", "_____", "__a.b__", "__\n__", "a" * (FIELD_PATH_BYTES - 2)], ids=lambda name: ascii(name[:8])
)
def test_a_name_that_our_rules_refuse_is_refused_by_firestore(firestore_client: firestore.Client, name: str) -> None:
    with pytest.raises(InvalidInput):
        check_field_path(("p", name))

    with pytest.raises(InvalidArgument):
        raw_write(firestore_client, ("p", name))


@pytest.mark.parametrize("name", ["a\r", "\r", "a\r\nb"], ids=ascii)
def test_a_name_with_a_carriage_return_would_be_lost_by_firestore_without_a_word(
    firestore_client: firestore.Client, name: str
) -> None:
    with pytest.raises(InvalidInput):
        check_field_path(("p", name))

    assert name not in raw_write(firestore_client, ("p", name)).get("p", {})


def test_the_clients_own_update_splits_a_name_that_ends_in_a_backslash(firestore_client: firestore.Client) -> None:
    """Why the adapter does not use it. When this fails, the client has been mended and `_Batch` may go."""
    reference = firestore_client.collection(f"raw-{uuid.uuid4().hex}").document("d")
    reference.create({})

    reference.update({FieldPath("p", "a.b\\", "0").to_api_repr(): 7})

    assert reference.get().to_dict() != {"p": {"a.b\\": {"0": 7}}}


def test_a_versions_nanoseconds_reach_the_precondition(firestore_client: firestore.Client) -> None:
    """The emulator's versions have microseconds only: one nanosecond off must be another version."""
    store = FirestoreDocuments(firestore_client)
    path: Path = make(store, (f"versions-{uuid.uuid4().hex}", "d"))
    version = read(store, path).version
    assert version.endswith("Z")
    digits = version.removesuffix("Z").partition(".")[2]
    one_later = version.removesuffix(f"{digits}Z") + f"{int(digits.ljust(9, '0')) + 1:09}Z"

    with pytest.raises((VersionChanged, InvalidInput)):
        store.commit([Update(path, {("n",): 1}, if_version=one_later)])
    store.commit([Update(path, {("n",): 1}, if_version=version)])


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as taken, pytest.MonkeyPatch.context() as patch:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        patch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{taken.getsockname()[1]}")
        client = firestore.Client(project="tipoff-test", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # the client is untyped
        store = FirestoreDocuments(client, patience_seconds=0.2)

        with pytest.raises(Unavailable):
            store.get(("batches", "b1"))
        with pytest.raises(Unavailable):
            store.query(("batches",))
        with pytest.raises(Unavailable):
            store.commit([Update(("batches", "b1"), {("n",): 1})])
        with pytest.raises(Unavailable):
            store.commit([Create(("batches", "b1"), {})])
