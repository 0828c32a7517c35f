"""The dashboard of a private service, through a proxy on this machine: token, cookies and the check of other sites hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from flask import Flask, Response, request

from coordinator.app import create_app
from coordinator.routes.exchange import Caller
from local.one_machine.identity import TOKEN_SECONDS, Tokens
from local.one_machine.proxy import create_proxy
from local.one_machine.serving import serving
from shared.errors import CallerRefused, NotAuthorised
from tests.stand.world import Stand

TOKENS = {"Bearer of-operator": Caller.ADMIN, "Bearer of-viewer": Caller.VIEWER}


class CloudRun:
    """A coordinator that is called by its own name and by https, whatever the connection; it knows two accounts."""

    def __init__(self, stand: Stand) -> None:
        self.app = create_app(stand.coordinator, guard=self._guard, only_loopback=False)
        inner = self.app.wsgi_app

        def behind_front(environ: dict[str, object], start: object) -> object:
            if environ.get("HTTP_ORIGIN") == f"http://{environ['HTTP_HOST']}":  # its own address, as the proxy calls it
                environ["HTTP_ORIGIN"] = "https://coordinator-1.run.app"
            environ |= {"HTTP_HOST": "coordinator-1.run.app", "wsgi.url_scheme": "https"}
            return inner(environ, start)  # type: ignore[arg-type]  # WSGI, whatever it holds

        self.app.wsgi_app = behind_front  # type: ignore[assignment,method-assign]  # as Flask documents it

    def _guard(self, header: str | None, callers: frozenset[Caller]) -> None:
        who = TOKENS.get(header or "")
        if who is None:
            raise NotAuthorised("no token")
        if who not in callers:
            raise CallerRefused(f"{who} may not")


@dataclass
class Through:
    """A browser's session at the proxy."""

    address: str
    session: requests.Session

    def form(self, path: str) -> dict[str, str]:
        """The hidden fields of a page's first form."""
        page = self.session.get(self.address + path).text
        return dict(re.findall(r'name="(form_token|once)" value="([^"]+)"', page))

    def press(self, path: str, form: dict[str, str], **headers: str) -> requests.Response:
        sent = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.session.post(self.address + path, data=form, headers=sent, allow_redirects=False)


@pytest.fixture
def service(stand: Stand) -> Iterator[str]:
    stand.start()
    with serving(CloudRun(stand).app) as url:
        yield url


def through(url: str, token: str) -> Iterator[Through]:
    with serving(create_proxy(url, Tokens(lambda: token)), port=0) as address, requests.Session() as session:
        yield Through(address, session)


@pytest.fixture
def operator(service: str) -> Iterator[Through]:
    yield from through(service, "of-operator")


@pytest.fixture
def viewer(service: str) -> Iterator[Through]:
    yield from through(service, "of-viewer")


def test_a_page_is_shown_with_the_proxys_token_and_its_cookie_is_kept(operator: Through) -> None:
    answer = operator.session.get(operator.address)

    assert answer.status_code == 200
    assert "2026-01-30" in answer.text
    assert "content-security-policy" in {name.lower() for name in answer.headers}
    assert [cookie.secure for cookie in operator.session.cookies] == [False]


def test_a_button_does_what_it_says_and_a_page_of_another_site_does_nothing(operator: Through, stand: Stand) -> None:
    batch_id = stand.coordinator.views.batches()[0].batch_id
    path = f"/dashboard/batches/{batch_id}"
    form = operator.form(path)

    foreign = operator.press(f"{path}/cancel", form, Sec_Fetch_Site="cross-site", Origin="https://evil.example")
    older = operator.session.post(
        f"{operator.address}{path}/cancel", data=form, headers={"Origin": "https://evil.example"}
    )
    assert (foreign.status_code, older.status_code) == (403, 403)
    assert stand.batch(batch_id).status == "RUNNING"

    pressed = operator.press(f"{path}/cancel", form)

    assert (pressed.status_code, pressed.headers["Location"]) == (303, path)
    assert stand.batch(batch_id).status == "CANCELLED"
    assert "cancelled" in operator.session.get(operator.address + path).text.lower()


def test_a_browser_that_does_not_say_where_from_is_judged_by_its_origin(operator: Through, stand: Stand) -> None:
    path = f"/dashboard/batches/{stand.coordinator.views.batches()[0].batch_id}"

    done = operator.session.post(
        f"{operator.address}{path}/sweep",
        data=operator.form(path),
        headers={"Origin": operator.address},
        allow_redirects=False,
    )

    assert done.status_code == 303


def test_who_may_only_look_sees_everything_and_changes_nothing(viewer: Through, stand: Stand) -> None:
    batch_id = stand.coordinator.views.batches()[0].batch_id
    path = f"/dashboard/batches/{batch_id}"
    pages = ("/", path, f"{path}/gaps", "/dashboard/schema", f"/batches/{batch_id}/explain", "/season", "/openapi.json")

    assert {page: viewer.session.get(viewer.address + page).status_code for page in pages} == dict.fromkeys(pages, 200)
    assert viewer.press(f"{path}/cancel", viewer.form(path)).status_code == 403
    refused = viewer.session.post(f"{viewer.address}/sweep", json={}, headers={"Sec-Fetch-Site": "same-origin"})
    assert refused.status_code == 403
    assert stand.batch(batch_id).status == "RUNNING"


def test_a_name_that_a_foreign_page_bent_to_this_machine_is_not_answered(operator: Through) -> None:
    answer = requests.get(operator.address, headers={"Host": "rebound.example"}, timeout=10)

    assert answer.status_code == 403


def test_a_new_token_is_asked_for_before_the_old_one_ends() -> None:
    app, now, made = Flask("service"), [0.0], [0]
    app.add_url_rule("/", view_func=lambda: Response(request.headers["Authorization"]))

    def new_token() -> str:
        made[0] += 1
        return f"token-{made[0]}"

    with serving(app) as url:
        client = create_proxy(url, Tokens(new_token, monotonic=lambda: now[0])).test_client()
        seen = [client.get("/").get_data(as_text=True)]
        now[0] = TOKEN_SECONDS
        seen.append(client.get("/").get_data(as_text=True))
        now[0] = TOKEN_SECONDS + 1
        seen.append(client.get("/").get_data(as_text=True))

    assert seen == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_a_page_whose_token_is_refused_is_asked_for_once_more_with_a_new_one() -> None:
    app, made = Flask("service"), iter(["of-nobody", "of-viewer"])

    @app.get("/")
    def page() -> Response:
        return Response("shown", 200 if request.headers["Authorization"] in TOKENS else 401)

    with serving(app) as url:
        answer = create_proxy(url, Tokens(lambda: next(made))).test_client().get("/")

    assert (answer.status_code, answer.get_data(as_text=True)) == (200, "shown")


def test_a_service_that_does_not_answer_is_told() -> None:
    answer = create_proxy("http://127.0.0.1:9", Tokens(lambda: None)).test_client().get("/")

    assert (answer.status_code, b"no coordinator answers" in answer.data) == (502, True)
