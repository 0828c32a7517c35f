"""Takes `docs/picture.png`: the dashboard's page of a batch, as the system's own Chromium shows it.

`make picture`. The day is run in a temporary folder, so what is seen is what the command does.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "picture.png"
TIPOFF = str(Path(sys.executable).parent / "tipoff")
WINDOW = (1180, 860)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu")


def main() -> None:
    """Run a day, serve it, and take the picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("there is no chromium; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        once = [TIPOFF, "run", "--json", "--state", folder]
        ran = subprocess.run(once, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
        on = [TIPOFF, "serve", "--port", "0", "--state", folder]
        serving = subprocess.Popen(on, stdout=subprocess.PIPE, text=True)  # noqa: S603 - the same
        try:
            _take(chromium, f"{_address(serving)}dashboard/batches/{json.loads(ran.stdout)['batch_id']}")
        finally:
            serving.terminate()
            serving.wait()


def _address(serving: subprocess.Popen[str]) -> str:
    """The address that `tipoff serve` prints first."""
    first = serving.stdout.readline() if serving.stdout else ""
    found = re.search(r"http://\S+", first)
    if found is None:
        sys.exit(f"tipoff serve printed no address: {first!r}")
    return found[0]


def _take(chromium: str, address: str) -> None:
    """Photograph a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]}, color_scheme="light")
        page.goto(address)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
