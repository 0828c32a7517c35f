"""The dashboard in a real browser: Debian's Chromium, headless, over a coordinator that a real server serves."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from coordinator.rules.lifecycle import Status
from schemas import names
from tests.plan_inputs import GAME_DATE
from tests.stand.front import START, Front
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")
PATH = f"/dashboard/batches/{BATCH_ID}"
DESK = (1280, 900)

pytestmark = pytest.mark.xdist_group("browser")


class Site:
    """A stand whose coordinator answers on a port of loopback."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.front = Front(stand)
        self.server = make_server("127.0.0.1", 0, self.front.app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, player: str) -> None:
        """Have a player predicted, his outcome posted."""
        assert self.front.complete(self.stand.answer(player)).status_code == 204

    def status(self) -> Status:
        """Where the batch stands."""
        return self.stand.batch(BATCH_ID).status


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Stand(tmp_path)) as stand:
        site = Site(stand)
        site.front.start({**START, "policy": {"tolerated_failed_share": 0.0}})
        yield site
        site.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": DESK[0], "height": DESK[1]}) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; whatever the browser complains of, a refused style or script say, fails the test."""
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(15_000)
    yield page
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []


def test_a_running_batch_advances_by_itself_and_comes_to_rest(site: Site, page: Page) -> None:
    page.goto(site.url + PATH)
    expect(page.locator(".badge")).to_have_text("RUNNING")
    silent = page.locator("details", has_text=re.compile("Silent"))
    silent.locator("summary").click()

    site.answer(PLAYERS[0])
    expect(page.locator(".legend")).to_contain_text("1 predicted")
    expect(silent).to_have_attribute("open", "")
    for player in PLAYERS[1:]:
        site.answer(player)

    expect(page.locator(".badge")).to_have_text("COMPLETE")
    expect(page.locator(".pulse")).to_have_text("at rest")


def test_a_coordinator_out_of_reach_is_told_on_the_page(site: Site, page: Page) -> None:
    page.goto(site.url + PATH)

    site.stop()

    expect(page.locator(".pulse")).to_contain_text("cannot be reached")
    expect(page.locator(".badge")).to_have_text("RUNNING")


def test_cancel_asks_first_and_then_cancels(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/")
    page.get_by_role("link", name=BATCH_ID).click()
    confirm = page.get_by_role("button", name="Cancel", exact=True)
    expect(confirm).to_be_hidden()

    page.locator("summary", has_text="Cancel").click()
    expect(page.get_by_text(f"Cancel {BATCH_ID}?")).to_be_visible()
    assert site.status() is Status.RUNNING
    confirm.click()

    expect(page.locator(".said")).to_have_text("The batch is cancelled.")
    expect(page.locator(".badge")).to_have_text("CANCELLED")
    assert site.status() is Status.CANCELLED


def test_redrive_leads_to_the_new_batch(site: Site, page: Page) -> None:
    site.answer(PLAYERS[0])
    for player in PLAYERS[1:]:
        site.front.complete(a_failure(BATCH_ID, player))
    page.goto(site.url + PATH)
    expect(page.locator(".badge")).to_have_text("FAILED")

    page.locator("summary", has_text="Redrive").click()
    page.get_by_role("button", name="Redrive", exact=True).click()

    expect(page.locator(".said")).to_contain_text("has been started for 2 players")
    expect(page.locator("p", has_text="redrive of")).to_be_visible()
    assert len(site.stand.coordinator.views.batches()) == 2


def test_a_moved_deadline_is_sent_as_typed_while_the_page_waits(site: Site, page: Page) -> None:
    page.goto(site.url + PATH)

    page.get_by_label("Minutes after planning").fill("777")
    page.get_by_role("button", name="Wait longer").click()

    expect(page.locator(".said")).to_have_text("The deadline is changed.")
    assert site.stand.batch(BATCH_ID).policy.deadline_minutes == 777


def test_everything_works_without_javascript(site: Site, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.url + PATH)
        expect(page.locator(".legend")).to_contain_text("3 silent")
        assert page.locator('meta[http-equiv="refresh"]').count() == 1

        page.locator("summary", has_text="Cancel").click()
        page.get_by_role("button", name="Cancel", exact=True).click()

        expect(page.locator(".said")).to_have_text("The batch is cancelled.")
    assert site.status() is Status.CANCELLED


def test_another_sites_form_is_not_obeyed(site: Site, page: Page, context: BrowserContext, tmp_path: Path) -> None:
    page.goto(site.url + PATH)
    (tmp_path / "evil.html").write_text(
        f'<form method="post" action="{site.url}{PATH}/cancel"><button>Win a prize</button></form>', encoding="utf-8"
    )

    elsewhere = context.new_page()
    elsewhere.goto((tmp_path / "evil.html").as_uri())
    elsewhere.get_by_role("button").click()

    expect(elsewhere.get_by_role("heading", level=1)).to_have_text("The caller may not do this")
    assert site.status() is Status.RUNNING
