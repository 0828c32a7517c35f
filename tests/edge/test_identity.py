"""Identity tokens come from gcloud where it is installed, else from the metadata server; who has neither is told so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import requests
from flask import Flask, request

from local.one_machine import coordinator_client
from local.one_machine.coordinator_client import Answer, Ask, _over_http, client_of_url, clients_of_url
from local.one_machine.identity import TOKEN_SECONDS, Tokens, identity_token
from local.one_machine.serving import serving
from shared.errors import InvalidInput, Unavailable

AUDIENCE = "https://coordinator-123.us-central1.run.app"
ACCOUNT = "tipoff-admin@my-project.iam.gserviceaccount.com"
NO_AUDIENCE = (
    "ERROR: (gcloud.auth.print-identity-token) Invalid account Type for `--audiences`. Requires valid service account."
)


def a_gcloud(folder: Path, body: str) -> str:
    """A program of that name which notes how it was called; returns the search path on which it is found."""
    script = folder / "gcloud"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{body}\n', encoding="utf-8")
    script.chmod(0o755)
    return str(folder)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def test_a_service_account_is_asked_for_a_token_of_the_audience(tmp_path: Path) -> None:
    path = a_gcloud(tmp_path, "echo token-1")

    assert identity_token(AUDIENCE, search_path=path) == "token-1"
    assert calls(tmp_path) == [f"auth print-identity-token --audiences={AUDIENCE}"]


def test_a_persons_account_which_can_choose_no_audience_is_asked_without(tmp_path: Path) -> None:
    path = a_gcloud(
        tmp_path,
        f'case "$*" in *--audiences*) echo "{NO_AUDIENCE}" >&2; exit 1;; esac\necho token-2'.replace("`", r"\`"),
    )

    assert identity_token(AUDIENCE, search_path=path) == "token-2"
    assert calls(tmp_path)[-1] == "auth print-identity-token"


def test_an_impersonated_account_puts_its_address_into_the_token(tmp_path: Path) -> None:
    path = a_gcloud(tmp_path, "echo token-3")

    assert identity_token(AUDIENCE, impersonate=ACCOUNT, search_path=path) == "token-3"
    assert calls(tmp_path) == [
        f"auth print-identity-token --audiences={AUDIENCE} --impersonate-service-account={ACCOUNT} --include-email"
    ]


def test_gclouds_refusal_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = a_gcloud(tmp_path, 'echo "ERROR: no active account" >&2; exit 1')

    with pytest.raises(InvalidInput, match=r"gcloud auth login.*no active account"):
        identity_token(AUDIENCE, search_path=path)


def test_of_what_gcloud_says_the_error_is_told_and_not_its_warning(tmp_path: Path) -> None:
    path = a_gcloud(tmp_path, 'echo "WARNING: impersonates" >&2; echo "ERROR: PERMISSION_DENIED" >&2; exit 1')

    with pytest.raises(InvalidInput, match="it said: ERROR: PERMISSION_DENIED"):
        identity_token(AUDIENCE, impersonate=ACCOUNT, search_path=path)


def test_on_google_cloud_the_metadata_server_is_asked(tmp_path: Path) -> None:
    metadata = Flask("metadata")

    @metadata.get("/identity")
    def identity() -> str:
        return f"{request.args['audience']} {request.args['format']} {request.headers['Metadata-Flavor']}\n"

    with serving(metadata) as url:
        token = identity_token(AUDIENCE, search_path=str(tmp_path), metadata_url=f"{url}/identity")

    assert token == f"{AUDIENCE} full Google"


def test_a_metadata_server_that_gives_none_is_trouble(tmp_path: Path) -> None:
    with serving(Flask("metadata")) as url, pytest.raises(Unavailable, match="404"):
        identity_token(AUDIENCE, search_path=str(tmp_path), metadata_url=f"{url}/identity")


def test_who_has_neither_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="install gcloud"):
        identity_token(AUDIENCE, search_path=str(tmp_path), metadata_url="http://127.0.0.1:9/identity")


def test_impersonation_needs_gcloud(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--impersonate: needs gcloud"):
        identity_token(AUDIENCE, impersonate=ACCOUNT, search_path=str(tmp_path))


def test_a_token_is_asked_for_https_only_and_for_the_coordinators_address(tmp_path: Path) -> None:
    path = a_gcloud(tmp_path, "echo token-4")

    with client_of_url("http://127.0.0.1:9", search_path=path):
        pass
    assert not (tmp_path / "calls").exists()
    with client_of_url(f"{AUDIENCE}/", search_path=path):
        pass
    assert calls(tmp_path) == [f"auth print-identity-token --audiences={AUDIENCE}"]


def test_a_token_travels_as_the_bearer_whatever_a_netrc_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    app, ask = Flask("coordinator"), Ask(method="GET", path="/batches", query={}, body=None, headers={})
    app.add_url_rule("/batches", view_func=lambda: {"authorization": request.headers["Authorization"]})

    with serving(app) as url, requests.Session() as session:
        answer = _over_http(session, url, ask, "token-5")

    assert answer.body == {"authorization": "Bearer token-5"}


# --- a token while a command lasts ----------------------------------------------------------------------------


class Coordinator:
    """What is sent in the place of HTTP: `holding` are the tokens that it takes, all where it is None."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.holding: set[str] | None = None

    def answer(self, _session: object, _base: str, _ask: Ask, token: str | None) -> Answer:
        self.seen.append(token)
        return Answer(200 if self.holding is None or token in self.holding else 401, {})


@pytest.fixture
def coordinator(monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    made, there = count(1), Coordinator()
    monkeypatch.setattr(coordinator_client, "identity_token", lambda *_audience, **_account: f"token-{next(made)}")
    monkeypatch.setattr(coordinator_client, "_over_http", there.answer)
    return there


def test_a_client_asks_for_a_new_token_before_the_old_one_ends(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(coordinator_client, "Tokens", lambda new_token: Tokens(new_token, monotonic=lambda: now[0]))

    with client_of_url(AUDIENCE) as client:
        for seconds in (0.0, TOKEN_SECONDS, TOKEN_SECONDS + 1, 3600.0):
            now[0] = seconds
            client.get("/season")

    assert coordinator.seen == ["token-1", "token-1", "token-2", "token-2"]


def test_a_request_whose_token_is_refused_is_sent_once_more_with_a_new_one(coordinator: Coordinator) -> None:
    coordinator.holding = {"token-2"}

    with client_of_url(AUDIENCE) as client:
        client.post("/start", {})
        client.get("/season")

    assert coordinator.seen == ["token-1", "token-2", "token-2"]


def test_an_account_that_is_refused_is_told_so_after_a_second_token(coordinator: Coordinator) -> None:
    coordinator.holding = set()

    with client_of_url(AUDIENCE) as client, pytest.raises(InvalidInput, match="--impersonate"):
        client.get("/season")

    assert coordinator.seen == ["token-1", "token-2"]


def test_clients_of_several_threads_share_their_tokens(coordinator: Coordinator) -> None:
    opened = clients_of_url(AUDIENCE)

    def ask(_number: int) -> None:
        with opened() as client:
            client.get("/season")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(8)))

    assert coordinator.seen == ["token-1"] * 8
