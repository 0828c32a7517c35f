"""Where a model's bytes come from: a path, or an object in Cloud Storage asked for over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from shared.adapters.model_files import read_file, read_object
from shared.errors import InvalidInput, Unavailable

MODEL = b'{"a": "model"}'


@contextmanager
def storage(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request alike; yields its address and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(MODEL)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_path_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(MODEL)

    assert read_file(str(tmp_path / "model.json")) == MODEL


def test_a_path_of_nothing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.json cannot be read"):
        read_file(str(tmp_path / "none.json"))


def test_an_object_is_asked_for_by_bucket_and_escaped_name() -> None:
    with storage(200) as (api, asked):
        assert read_object("gs://a-bucket/models/new one.json", requests.Session(), api=api) == MODEL

    assert asked == ["/storage/v1/b/a-bucket/o/models%2Fnew%20one.json?alt=media"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_object_that_cannot_be_read_is_a_mistake_in_the_setting(status: int) -> None:
    with storage(status) as (api, _asked), pytest.raises(InvalidInput, match=rf"gs://b/o .*status {status}"):
        read_object("gs://b/o", requests.Session(), api=api)


def test_trouble_of_cloud_storage_may_pass() -> None:
    with storage(503) as (api, _asked), pytest.raises(Unavailable, match="503"):
        read_object("gs://b/o", requests.Session(), api=api)
    with pytest.raises(Unavailable, match="did not answer"):
        read_object("gs://b/o", requests.Session(), api=api)


@pytest.mark.parametrize("url", ["gs://bucket", "gs://bucket/", "gs:///object"])
def test_a_url_of_no_object_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="names no object"):
        read_object(url, requests.Session())
