"""Take the pictures of the README and of the guide: Neo4j Browser with the demo's atlas, in headless Chromium.

`atlas demo --json | python docs/picture.py docs` writes them, as a person would see them who dropped the style on the
page. Needs Debian's `chromium` (or another, named by --chromium) and the `dev` extra.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from atlas.ingest.server.browser import STYLE
from atlas.queries.guide import DEMO, guide
from atlas.queries.inline import inlined
from atlas.schema.browser import grass

_DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.querySelector('.filedrop').dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true}));
}"""


def log_in(page: Page, address: str, password: str) -> None:
    """Open the address, which fills in the user, and give the password."""
    page.goto(address)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id("connect").click()
    connected(page)


def connected(page: Page) -> None:
    """Wait for the editor's prompt that shows a connection."""
    page.locator(".line-numbers", has_text="neo4j$").wait_for(timeout=60_000)
    kept(page)


def kept(page: Page) -> None:
    """Wait until Browser has written into the page's storage what the next address finds there."""
    page.wait_for_timeout(3_000)


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page."""
    page.evaluate(_DROP, [name, base64.b64encode(content).decode()])


def enter(page: Page, address: str) -> None:
    """Open an address, and run what it fills in."""
    page.goto(address)
    connected(page)
    page.locator(".monaco-editor").first.click()
    page.keyboard.press("Control+Enter")


def draw(page: Page, address: str, picture: Path) -> None:
    """Write the graph that the address's query returns, when it has settled."""
    enter(page, address)
    page.locator("g.node circle").first.wait_for(timeout=60_000)
    page.locator('button[title="Fullscreen"]').first.click()  # of the frame, not of the editor
    page.wait_for_timeout(8_000)
    page.screenshot(path=picture)


def pictures(address: str) -> Iterator[tuple[str, str]]:
    """Yield file and address of each picture: what the demo opens with, and the guide's steps."""
    yield "browser.png", address
    for step in guide():
        if step.picture:
            yield step.picture, with_query(address, inlined(step.statement, DEMO))


def with_query(address: str, cypher: str) -> str:
    """Return Browser's address with another query filled in, in one line: of more the editor numbers the lines."""
    return f"{address.split('&arg=')[0]}&arg={quote(' '.join(cypher.split()), safe='')}"


def main() -> None:
    """Read the demo's JSON on standard input and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    summary = json.load(sys.stdin)
    address, password = summary["browser"], Path(summary["password_file"]).read_text("utf8").strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 760})
        log_in(page, address, password)
        drop(page, STYLE, grass().encode())
        page.get_by_text("node.Atlas {").wait_for()  # Browser shows the style that it read
        kept(page)
        enter(page, with_query(address, ":config {autoComplete: false}"))
        page.get_by_text('"autoComplete": false').wait_for()
        kept(page)
        for file, query in pictures(address):
            draw(page, query, given.folder / file)
        browser.close()


if __name__ == "__main__":
    main()
