"""Appends through Google's own client against a real gRPC server that has passing trouble, or says nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport

from schemas.tables import Column
from shared.adapters import bigquery as adapter
from shared.adapters.bigquery import BigqueryWarehouse
from shared.errors import Unavailable

COLUMNS = (Column("id", "STRING", "REQUIRED"),)
OK = types.AppendRowsResponse(append_result={})


class WriteServer(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """BigQuery's AppendRows: each call plays the next script, and what it read is kept."""

    def __init__(self) -> None:
        self.scripts: list[Callable[[Iterator[Any], Any], Iterator[Any]]] = []
        self.read: list[list[bytes]] = []
        self.is_over = threading.Event()

    def service(self, details: Any) -> Any:
        assert details.method == "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
        return grpc.stream_stream_rpc_method_handler(
            self._answer,
            request_deserializer=types.AppendRowsRequest.deserialize,
            response_serializer=types.AppendRowsResponse.serialize,
        )

    def _answer(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        self.read.append([])
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        yield from script(self._kept(requests), context)

    def _kept(self, requests: Iterator[Any]) -> Iterator[Any]:
        for request in requests:
            self.read[-1] += request.proto_rows.rows.serialized_rows
            yield request

    # --- scripts ----------------------------------------------------------------------------------------------

    def accepts(self, requests: Iterator[Any], _context: Any) -> Iterator[Any]:
        yield from (OK for _ in requests)

    def refuses(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        next(requests)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the stream is moving")
        yield OK

    def breaks_after_one(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        next(requests)
        yield OK
        next(requests)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the stream is moving")

    def says_nothing(self, _requests: Iterator[Any], _context: Any) -> Iterator[Any]:
        self.is_over.wait(30)
        yield OK


@pytest.fixture
def server() -> WriteServer:
    return WriteServer()


@pytest.fixture
def warehouse(server: WriteServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigqueryWarehouse]:
    monkeypatch.setattr(adapter, "_APPEND_SECONDS", 2.0)
    monkeypatch.setattr(adapter, "_APPEND_RETRY_SECONDS", 1.0)
    listening = grpc.server(ThreadPoolExecutor(4), handlers=(server,))
    port = listening.add_insecure_port("127.0.0.1:0")
    listening.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    made = BigqueryWarehouse(
        bigquery.Client(project="p", credentials=AnonymousCredentials()),  # type: ignore[no-untyped-call]  # the client is untyped
        BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel)),  # type: ignore[no-untyped-call]  # the client is untyped
        dataset="d",
        location="US",
    )
    made._known["readings"] = COLUMNS
    yield made
    server.is_over.set()
    channel.close()
    listening.stop(None).wait()


def rows(count: int, size: int = 1) -> list[dict[str, Any]]:
    return [{"id": f"{n}" * size} for n in range(count)]


def test_an_append_that_meets_passing_trouble_is_sent_again_whole(
    server: WriteServer, warehouse: BigqueryWarehouse
) -> None:
    server.scripts = [server.refuses, server.accepts]

    warehouse.append("readings", rows(3))

    assert [len(read) for read in server.read] == [3, 3]


def test_what_was_confirmed_is_not_sent_again(
    server: WriteServer, warehouse: BigqueryWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_APPEND_BYTES", 10)
    server.scripts = [server.breaks_after_one, server.accepts]

    warehouse.append("readings", rows(3, size=6))

    assert [len(read) for read in server.read] == [2, 2]
    assert len({*server.read[0], *server.read[1]}) == 3


@pytest.mark.parametrize("script", ["refuses", "says_nothing"])
def test_trouble_that_lasts_is_told_within_a_bound(
    server: WriteServer, warehouse: BigqueryWarehouse, script: str
) -> None:
    server.scripts = [getattr(server, script)]
    began = time.monotonic()

    with pytest.raises(Unavailable):
        warehouse.append("readings", rows(1))

    assert time.monotonic() - began < 10, "an attempt's 2 s and what is begun within 1 s, not the client's day"
