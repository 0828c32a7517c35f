"""The pages of a season in a real browser: wide and on a phone, light and dark, with and without scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Literal

import pytest
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from tests.batch_stand import Stand
from tests.coordinator_front import Front
from tests.flow.test_grades import box_score, grade
from tests.plan_inputs import GAME_DATE

PAGES = (
    f"/dashboard/season?from={GAME_DATE}&to={GAME_DATE}",
    f"/dashboard/accuracy?from={GAME_DATE}&to={GAME_DATE}&by=month",
    f"/dashboard/dates/{GAME_DATE}",
    "/dashboard/player?name=player-1",
)
pytestmark = pytest.mark.xdist_group("browser")

# A part of what axe-core calls serious: fields without a label, images and links without a name, tables without heads.
NAMELESS = """() => [
  ...document.querySelectorAll('input:not([type=hidden]), select'),
].filter(field => !field.labels.length).length
  + [...document.querySelectorAll('svg:not([aria-hidden])')].filter(image => !image.getAttribute('aria-label')).length
  + [...document.querySelectorAll('a, button, summary')].filter(link => !link.textContent.trim()).length
  + [...document.querySelectorAll('th')].filter(head => !head.getAttribute('scope')).length
  + (document.querySelectorAll('h1').length === 1 ? 0 : 1)
  + (new Set([...document.querySelectorAll('[id]')].map(one => one.id)).size
      === document.querySelectorAll('[id]').length ? 0 : 1)"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Stand(tmp_path_factory.mktemp("pages"))) as stand:
        stand.run()
        box_score(stand, {"1": 25, "2": 9})
        grade(stand)
        server = make_server("127.0.0.1", 0, Front(stand).app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_fits_its_window_names_its_parts_and_breaks_no_rule_of_its_own(
    browser: Browser, url: str, path: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    complaints: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith((url, "data:")) else None
        )
        answer = page.goto(url + path)

        assert answer is not None
        assert answer.status == 200
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert page.evaluate(NAMELESS) == 0
        assert complaints == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_the_same_without_scripts(browser: Browser, url: str, path: str) -> None:
    said = []
    for enabled in (True, False):
        with browser.new_context(java_script_enabled=enabled) as context:
            page = context.new_page()
            page.goto(url + path)
            said.append(page.locator("main").inner_text())

    assert said[0] == said[1] != ""
