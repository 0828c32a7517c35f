"""F5, F8, F11: requests from where they should not come, too large, too slow or too often, and what is logged of them."""

from __future__ import annotations

import io
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

import pytest
from flask.testing import FlaskClient

from coordinator.app import create_app
from coordinator.rules.lifecycle import Status
from shared.auth import Certificates, TokenVerifier
from shared.edge import MAX_BODY_BYTES
from shared.errors import Unavailable
from tests.dockerfile import command_of, copied_by
from tests.gunicorn_process import SETTINGS, served
from tests.stand.front import START, Front, assert_problem
from tests.stand.worker import a_stand, listening
from tests.stand.world import Stand
from tests.tokens import ALLOWED, AUDIENCE
from tests.unit.test_auth import Signer

CHANGES = ["/start", "/sweep", "/batches/{}/cancel", "/batches/{}/redrive", "/batches/{}/consolidate", "/complete"]
FROM_ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
]


# --- F5 -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A world with a running batch, for those who must change nothing of it."""
    with closing(Stand(tmp_path_factory.mktemp("running"))) as stand:
        stand.start()
        yield stand


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=repr)
@pytest.mark.parametrize("path", CHANGES)
def test_f5_a_foreign_page_changes_nothing(running: Stand, path: str, headers: dict[str, str]) -> None:
    (before,) = running.documents.query(("batches",))
    sent = len(running.requests.messages)

    answer = Front(running).post(path.format(before.path[-1]), headers=headers)

    assert_problem(answer, 403, "another site")
    assert running.documents.query(("batches",)) == [before]
    assert running.batch(before.path[-1]).status is Status.RUNNING
    assert len(running.requests.messages) == sent


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_f5_a_body_that_is_not_json_is_refused(stand: Stand, kind: str) -> None:
    answer = Front(stand).client.post("/start", data=b"{}", content_type=kind)

    assert_problem(answer, 415, "application/json")
    assert stand.coordinator.views.batches() == []


def test_f5_our_own_callers_are_served(stand: Stand) -> None:
    front = Front(stand)

    assert front.start(key="a").status_code == 202
    assert front.post("/sweep").status_code == 200
    assert front.post("/sweep", headers={"Sec-Fetch-Site": "same-origin", "Origin": "http://proxy"}).status_code == 200
    assert front.post("/sweep", headers={"Origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "10.0.0.7", "127.0.0.1.evil.example", "[::1", ""]
)
def test_f5_where_no_token_is_checked_only_loopback_is_served(stand: Stand, host: str) -> None:
    assert Front(stand).client.get("/batches", headers={"Host": host or "x"}).status_code in (400, 403)


def test_f5_where_tokens_are_checked_any_name_is_served(stand: Stand) -> None:
    client = create_app(stand.coordinator, guard=lambda *_: None, only_loopback=False).test_client()

    assert client.get("/batches", headers={"Host": "coordinator.example"}).status_code == 200


# --- F8 -------------------------------------------------------------------------------------------------------


def test_f8_a_body_beyond_the_bound_is_refused_before_it_is_read(stand: Stand, tmp_path: Path) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("read")

    def refused(client: FlaskClient, path: str) -> int:
        length = str(MAX_BODY_BYTES + 1)
        sent = {"CONTENT_LENGTH": length, "wsgi.input": Unread()}
        return client.post(path, content_type="application/json", environ_overrides=sent).status_code

    assert refused(Front(stand).client, "/complete") == 413
    assert refused(Front(stand).client, "/start") == 413
    with a_stand(tmp_path, name="another") as worker:
        assert refused(worker.client, "/predict") == 413


def be_impatient(folder: Path) -> None:
    """Have the code in a folder give up a silent client ten times sooner, since a test waits for that."""
    file, bound = folder / "shared/gunicorn_conf.py", "_READING_SECONDS = 10\n"
    text = file.read_text(encoding="utf-8")
    assert bound in text
    file.write_text(text.replace(bound, "_READING_SECONDS = 1\n"), encoding="utf-8")


@pytest.mark.parametrize("service", ["coordinator", "worker"])
def test_f8_half_sent_requests_silence_nobody(service: str, tmp_path: Path) -> None:
    dockerfile = f"Dockerfile.{service}"
    head = b"POST /complete HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    halves = [head, head + b"Content-Length: 1000\r\n\r\n{"]
    folder = copied_by(dockerfile, tmp_path)
    be_impatient(folder)

    environ = {**SETTINGS, "PYTHONPATH": str(folder)}  # gunicorn reads its configuration before it looks in its folder
    with served(command_of(dockerfile), at=folder, environ=environ) as running, ExitStack() as opened:
        assert running.get("/health").status_code == 200
        port = int(running.url.rpartition(":")[2])
        slow = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(16)]
        for number, connection in enumerate(slow):
            connection.sendall(halves[number % 2])

        assert running.get("/health").status_code == 200
        with selectors.DefaultSelector() as given_up:
            for connection in slow:
                given_up.register(connection, selectors.EVENT_READ)
            while given_up.get_map():
                ended = given_up.select(timeout=60)
                assert ended, "the server gives nobody up"
                for key, _ in ended:
                    # Each is left open at this end, as by one who means harm.
                    if not cast("socket.socket", key.fileobj).recv(4_096):
                        given_up.unregister(key.fileobj)
                assert running.get("/health").elapsed.total_seconds() < 10


def test_f8_ready_asks_its_dependencies_at_most_once_in_some_seconds(stand: Stand) -> None:
    asked: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(stand.documents, name)

        def get(self, path: tuple[str, ...]) -> object:
            asked.append(1)
            return stand.documents.get(path)

    front = Front(stand, stand.new_coordinator("one", documents=Counting()))

    assert {front.get("/ready").status_code for _ in range(50)} == {200}
    assert len(asked) == 1


def test_f8_certificates_out_of_reach_are_asked_for_once_in_some_seconds() -> None:
    now, asked = [0.0], []

    def fetch() -> Certificates:
        asked.append(now[0])
        raise Unavailable("the certificates are out of reach")

    verifier = TokenVerifier(AUDIENCE, fetch=fetch, monotonic=lambda: now[0])
    header = f"Bearer {Signer('key-1').token()}"
    for second in range(12):
        now[0] = float(second)
        with pytest.raises(Unavailable, match="out of reach"):
            verifier.verify(header, allowed=ALLOWED)

    assert asked == [0.0, 5.0, 10.0]


# --- F11 ------------------------------------------------------------------------------------------------------


def test_f11_no_line_holds_a_query(stand: Stand) -> None:
    with listening() as lines:
        front = Front(stand)
        front.get("/batches?access_token=geheim&limit=0")
        front.client.post("/start?access_token=geheim", data=b"{", content_type="application/json")

        assert lines()
        assert "geheim" not in repr(lines())


def test_f11_json_answers_are_neither_sniffed_nor_stored(stand: Stand) -> None:
    for path in ("/batches", "/health", "/nowhere"):
        headers = Front(stand).get(path).headers

        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/sweep", {"dry_run": 0}, "dry_run"),
        ("/sweep", {"dry_run": "off"}, "dry_run"),
        ("/start", {**START, "policy": {"deadline_minutes": True}}, "policy.deadline_minutes"),
        ("/start", {**START, "policy": {"deadline_minutes": "5"}}, "policy.deadline_minutes"),
    ],
)
def test_f11_a_body_means_what_it_says_or_is_refused_by_name(
    stand: Stand, path: str, body: dict[str, object], field: str
) -> None:
    assert assert_problem(Front(stand).post(path, body), 422)["field"] == field
