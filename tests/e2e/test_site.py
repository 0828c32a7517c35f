"""The site of docs/: built strictly, and read in a browser from its folder, without anything from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.documents import PAGES, ROOT

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it; a dead link or a page that is left out fails it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--config-file",
            "docs/site/mkdocs.yml",
            "--site-dir",
            folder,
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test when it asks for anything but files."""
    with browser.new_context() as context:
        page, elsewhere = context.new_page(), list[str]()
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else elsewhere.append(request.url)
            ),
        )
        page.set_default_timeout(15_000)
        yield page
        assert elsewhere == []


def test_every_page_is_on_the_site_and_links_lead_to_files(site: Path) -> None:
    expected = {re.sub(r"^docs/|\.md$", "", page) for page in PAGES if page.startswith("docs/")} | {"how-to/deploy"}

    assert {path.relative_to(site).as_posix().removesuffix(".html") for path in site.rglob("*.html")} == expected | {
        "404"
    }
    dead = [
        (path.name, link)
        for path in site.rglob("*.html")
        for link in re.findall(r'href="(?!\w+:)([^"#]+)', path.read_text(encoding="utf-8"))
        if path.name != "404.html" and not (path.parent / link).exists()
    ]
    assert dead == []


def test_a_page_is_read_and_searched_from_its_folder(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tipoff")

    page.get_by_placeholder("Search").first.click()
    expect(page.locator(".md-search-result__meta")).not_to_contain_text("Initializing")
    page.get_by_placeholder("Search").first.press_sequentially("redrive")
    page.locator(".md-search-result__link").first.click()

    expect(page.locator("article")).to_contain_text("redrive")


def test_a_link_into_the_project_shows_the_file(site: Path, page: Page) -> None:
    page.goto((site / "design.html").as_uri())

    page.get_by_role("link", name="test_a_second_run_leaves_the_first_plan_be").click()

    expect(page.locator("body")).to_contain_text("def test_a_second_run_leaves_the_first_plan_be")
