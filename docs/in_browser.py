"""Drive Neo4j Browser in headless Chromium: the classic page, and the newer one that the same server serves.

What stands here is what a person does by hand: log in, drop or paste a file, run what is in the editor, look. The
pictures of the documentation, `browser_check.py` and a test use it. Needs the `dev` extra, and a Chromium: Debian's, or
another one named by `CHROMIUM`.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, sync_playwright

_DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.querySelector('.filedrop').dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true}));
}"""
_NODES = """() => [...document.querySelectorAll('g.node')].map((node) => {
  const circle = node.querySelector('circle.b-outline');
  return [circle.getAttribute('fill'), circle.getAttribute('r'), node.textContent];
})"""

WAIT = 180_000
"""Milliseconds after which something that should have appeared has not: long, since machines may be busy."""


@dataclass(frozen=True)
class Node:
    """A node as it is drawn: its fill, its diameter in pixels, and what is written on it."""

    color: str
    diameter: int
    caption: str


@dataclass(frozen=True)
class Answer:
    """What Browser shows of an answer: what it says that it draws and the nodes themselves, or a table's rows."""

    nodes: int
    relationships: int
    rows: int
    drawn: list[Node]


def chromium() -> str | None:
    """Return the path of the machine's Chromium; None where there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def pages(width: int = 1000, height: int = 690) -> Iterator[Page]:
    """Yield a page of a browser of its own, which may read and write the clipboard."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": height}, permissions=["clipboard-read", "clipboard-write"]
        )
        page.set_default_timeout(WAIT)
        yield page
        browser.close()


def log_in(page: Page, address: str, password: str) -> None:
    """Open the classic page at an address that fills in the user, and give the password."""
    page.goto(address)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id("connect").click()
    page.get_by_text("You are connected as user").first.wait_for()


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the classic page."""
    page.evaluate(_DROP, [name, base64.b64encode(content).decode()])


def command(page: Page, text: str) -> None:
    """Paste into the editor, and run it alone: what was asked before is taken away."""
    closing = page.get_by_test_id("frame").locator('button[title="Close"]')
    while frames := closing.count():
        closing.first.click()
        page.wait_for_function(f"document.querySelectorAll('[data-testid=frame]').length < {frames}")
    editor = page.locator(".monaco-editor").first
    editor.click()
    page.keyboard.press("Control+A")
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text.rstrip())  # typed brackets would be doubled
    page.keyboard.press("Control+V")
    editor.locator(".view-line", has_text=text.split()[-1]).last.wait_for()
    page.keyboard.press("Control+Enter")


def styled(page: Page) -> None:
    """Wait for the frame that shows the style which Browser has read."""
    page.locator("pre", has_text="node.Atlas {").wait_for()


def only_what_is_asked(page: Page) -> None:
    """Have no relationships drawn that an answer does not hold."""
    command(page, ":config {autoComplete: false}")
    page.locator("pre", has_text='"autoComplete": false').wait_for()


def ask(page: Page, cypher: str) -> Answer:
    """Run a query in the classic page, and return what is shown when it has answered."""
    command(page, cypher)
    page.get_by_test_id("frame-loaded-contents").wait_for()
    drawing = page.get_by_text(re.compile(r"Displaying \d+ nodes, \d+ relationships"))
    streamed = page.get_by_text(re.compile(r"Started streaming \d+ records"))
    drawing.or_(streamed).first.wait_for()
    if drawing.count():
        page.locator("g.node circle").first.wait_for()
        nodes, relationships = (_overview(page, what) for what in ("node-label", "relationship-type"))
        drawn = [Node(color, round(2 * float(radius)), text.strip()) for color, radius, text in page.evaluate(_NODES)]
        return Answer(nodes, relationships, 0, drawn)
    (rows, *_) = map(int, re.findall(r"\d+", streamed.inner_text()))
    return Answer(0, 0, rows, [])


def photograph(page: Page, picture: Path) -> None:
    """Write the one frame, as large as the page and without the overview, when what it draws has settled."""
    frame = page.get_by_test_id("frame")
    frame.locator('button[title="Fullscreen"]').click()
    overview = frame.locator('button[title="Collapse the node properties display"]')
    if overview.count():
        overview.click()
        page.wait_for_timeout(4_000)
        frame.locator('button[aria-label="zoom-to-fit"]').click()
    page.wait_for_timeout(4_000)
    page.screenshot(path=picture)
    for title in ("Expand the node properties display", "Close fullscreen"):  # of the next frame, too, as it is left
        for button in frame.locator(f'button[title="{title}"]').all():
            button.click()


def newer_log_in(page: Page, address: str, password: str) -> None:
    """Open the newer page of the server that the classic page's address is of, and log in."""
    parts = urlsplit(address)
    server = urlsplit(parse_qs(parts.query)["dbms"][0])
    page.goto(f"{parts.scheme}://{parts.netloc}/browser/preview/")
    page.get_by_label("Protocol").fill("bolt")
    page.keyboard.press("Enter")
    page.get_by_label("Connection URL").fill(f"{server.hostname}:{server.port}")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_test_id("connection-form-submit").click()
    page.get_by_text(f"{server.hostname}:{server.port} / neo4j").wait_for()


def newer_import(page: Page, listed: Path) -> dict[str, list[str]]:
    """Import saved queries into the newer page, and return their names by folder as it lists them."""
    page.get_by_label("Cypher panel").click()
    page.locator('input[type="file"][accept*=".csv"]').set_input_files(listed)
    page.get_by_label("Collapse").first.wait_for(state="attached")
    folders: dict[str, list[str]] = {}
    titles = page.locator('[aria-label^="Edit name of saved Cypher folder with name "]')
    queries = page.locator('[aria-label^="Run query for "]')
    for at in range(titles.count()):
        _unfold(page, at)
        queries.first.wait_for(state="attached")
        labels = [str(query.get_attribute("aria-label")) for query in queries.all()]
        name = str(titles.nth(at).get_attribute("aria-label")).split(" with name ")[1]
        folders[name] = [label.removeprefix("Run query for ") for label in labels]
        _unfold(page, at)
        queries.first.wait_for(state="detached")
    return folders


def newer_run(page: Page, folder: int, name: str) -> int:
    """Run a saved query of a folder, counted from 0, in the newer page, and return how many nodes it draws."""
    _unfold(page, folder)
    page.get_by_label(f"Run query for {name}", exact=True).dispatch_event("click")
    overview = page.get_by_text(re.compile(r"Nodes \(\d+\)"))
    overview.wait_for()
    return int(re.findall(r"\d+", overview.inner_text())[0])


def _overview(page: Page, what: str) -> int:
    """Return how many the overview beside the drawing counts of all; it has no line for what is not there."""
    line = page.get_by_test_id(f"property-details-overview-{what}-*")
    return int(re.findall(r"\d+", line.inner_text())[0]) if line.count() else 0


def _unfold(page: Page, at: int) -> None:
    """Open or shut a folder of the newer page; the button is unseen until the mouse is over it."""
    page.get_by_label("Collapse").nth(at).dispatch_event("click")
