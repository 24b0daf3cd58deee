"""Take a picture of Neo4j Browser with an atlas's query drawn, in headless Chromium.

`atlas demo --json | python docs/picture.py docs/browser.png` makes the README's picture. Needs Debian's `chromium`
(or another, named by --chromium) and the `dev` extra.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright


def log_in(page: Page, address: str, password: str) -> None:
    """Open the address, which fills in user and query, and give the password."""
    page.goto(address)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id("connect").click()
    page.get_by_text("You are connected as user").first.wait_for(timeout=60_000)


def draw(page: Page) -> None:
    """Run the query that the address filled in, and wait until the graph has settled."""
    page.locator(".monaco-editor").first.click()
    page.keyboard.press("Control+Enter")
    page.locator("svg circle").first.wait_for(timeout=30_000)
    page.locator('button[title="Fullscreen"]').first.click()  # of the frame, not of the editor
    page.wait_for_timeout(6_000)


def main() -> None:
    """Read the demo's JSON on standard input and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    summary = json.load(sys.stdin)
    password = Path(summary["password_file"]).read_text("utf8").strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        log_in(page, summary["browser"], password)
        draw(page)
        page.screenshot(path=given.picture)
        browser.close()


if __name__ == "__main__":
    main()
