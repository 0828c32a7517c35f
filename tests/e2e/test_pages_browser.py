"""Every page of the dashboard in a real browser: wide and on a phone, light and dark, with and without scripts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it tells no types
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from schemas import names
from tests.flow.test_grades import box_score, grade
from tests.plan_inputs import GAME_DATE
from tests.stand.front import START, Front
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand

COMPLETE, REPEATED, FAILED, RUNNING = (
    names.batch_id(GAME_DATE, f"key:{key}") for key in ("complete", "repeated", "failed", "running")
)
PAGES = {
    "/": 200,
    f"/dashboard/batches/{COMPLETE}": 200,
    f"/dashboard/batches/{FAILED}": 200,
    f"/dashboard/batches/{RUNNING}": 200,
    f"/dashboard/batches/{RUNNING}/gaps": 200,
    f"/dashboard/batches/{COMPLETE}/diff?with={REPEATED}": 200,
    f"/dashboard/season?from={GAME_DATE}&to={GAME_DATE}": 200,
    f"/dashboard/accuracy?from={GAME_DATE}&to={GAME_DATE}&by=month": 200,
    f"/dashboard/dates/{GAME_DATE}": 200,
    "/dashboard/player?name=player-1": 200,
    "/dashboard/schema": 200,
    "/dashboard/batches/nobody-knows-it": 404,
}
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Stand(tmp_path_factory.mktemp("pages"))) as stand:
        front = Front(stand)
        stand.run("key:complete")
        stand.run("key:repeated")
        box_score(stand, {"1": 25, "2": 9})
        grade(stand)
        front.start({**START, "policy": {"tolerated_failed_share": 0.0}}, key="failed")
        front.complete(*(a_failure(FAILED, player) for player in PLAYERS))
        front.start({**START, "policy": {"tolerated_failed_share": 0.0}}, key="running")
        front.complete(stand.answer(PLAYERS[0], batch_id=RUNNING))
        front.complete(a_failure(RUNNING, PLAYERS[1]))
        server = make_server("127.0.0.1", 0, front.app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_fits_its_window_is_accessible_and_breaks_no_rule_of_its_own(
    browser: Browser, url: str, path: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    complaints: list[str] = []
    # Still, since axe-core must not measure a colour that is on its way to another.
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith((url, "data:")) else None
        )
        answer = page.goto(url + path)
        for summary in page.locator("summary").all():
            summary.click()

        assert answer is not None
        assert answer.status == PAGES[path]
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (min(map(int, re.findall(r"\d+", ground)[:3])) < 64) == (scheme == "dark")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert [text for text in complaints if "404" not in text or PAGES[path] != 404] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_the_same_without_scripts(browser: Browser, url: str, path: str) -> None:
    said = []
    for enabled in (True, False):
        with browser.new_context(java_script_enabled=enabled) as context:
            page = context.new_page()
            page.goto(url + path)
            said.append(page.locator("main").inner_text())

    assert said[0] == said[1] != ""
