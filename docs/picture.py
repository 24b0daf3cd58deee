"""Take the pictures of the README and of the guide: Neo4j Browser with the demo's atlas, in headless Chromium.

`atlas demo --json | python docs/picture.py docs` writes them, as a person would see them who dropped the style on the
page. Needs what in_browser.py needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import in_browser

from atlas.ingest.server.browser import STYLE
from atlas.queries.guide import DEMO, guide
from atlas.queries.inline import inlined
from atlas.schema.browser import grass


def pictures(address: str) -> Iterator[tuple[str, str]]:
    """Yield file and query of each picture: what the demo opens with, and the guide's steps."""
    yield "browser.png", parse_qs(urlsplit(address).query)["arg"][0]
    for step in guide():
        if step.picture:
            yield step.picture, inlined(step.statement, DEMO)


def main() -> None:
    """Read the demo's JSON on standard input and write the pictures."""
    summary = json.load(sys.stdin)
    folder = Path(sys.argv[1])
    with in_browser.pages() as page:
        in_browser.log_in(page, summary["browser"], Path(summary["password_file"]).read_text("utf8").strip())
        in_browser.drop(page, STYLE, grass().encode())
        in_browser.styled(page)
        in_browser.only_what_is_asked(page)
        for file, query in pictures(summary["browser"]):
            in_browser.ask(page, query)
            in_browser.photograph(page, folder / file)


if __name__ == "__main__":
    main()
