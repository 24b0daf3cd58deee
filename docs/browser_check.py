"""Try in a real Chromium what `atlas db browser --setup` writes, and write a picture of each answer that is a graph.

    atlas db browser --setup atlas-browser --json | python docs/browser_check.py PICTURES

pastes and drops the style, drops the archive, imports the list into the newer page, and runs the guide's steps and
every query of the library that returns a graph as a person would. What does not work ends it with an error; the
table that it prints is that of docs/browser.md.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import in_browser
from playwright.sync_api import Page

from atlas.queries.library import library
from atlas.schema.browser import NODE_STYLES


def check_style(page: Page, style: Path, star: str) -> None:
    """Paste the style after `:style`, and drop it: either way a hub is drawn by it, and without it, it is not."""

    def fills() -> set[str]:
        return {node.color for node in in_browser.ask(page, star).drawn}

    hub = NODE_STYLES["EgoHubSpoke"].color
    for way in (
        lambda: in_browser.command(page, f":style {style.read_text('utf8')}"),
        lambda: in_browser.drop(page, style.name, style.read_bytes()),
    ):
        in_browser.command(page, ":style reset")
        page.get_by_test_id("frame").wait_for()
        assert hub not in fills()
        way()
        in_browser.styled(page)
        assert hub in fills()


def check_archive(page: Page, archive: Path, folders: list[str]) -> None:
    """Drop the archive, and see its folders behind the star at the left."""
    in_browser.drop(page, archive.name, archive.read_bytes())
    page.get_by_test_id("navigationFavorites").click()
    for folder in folders:
        page.get_by_text(folder, exact=True).first.wait_for()


def asked(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield the guide's steps and the queries that return a graph."""
    folders = {row["id"]: row["name"] for row in rows if row["isFolder"] == "true"}
    graphs = {query.title for query in library().values() if query.graph}
    for row in rows:
        if row["isFolder"] == "false":
            folder = folders[row["parentId"]]
            if folder == "Guide" or row["name"] in graphs:
                yield row | {"folder": folder}


def main() -> None:
    """Read what the command printed, check, and write the pictures."""
    given = json.load(sys.stdin)
    pictures = Path(sys.argv[1])
    pictures.mkdir(parents=True, exist_ok=True)
    style, archive, listed = map(Path, given["files"])
    password = Path(given["password_file"]).read_text("utf8").strip()
    with listed.open(newline="", encoding="utf8") as stream:
        rows = list(csv.DictReader(stream))
    with in_browser.pages() as page:
        in_browser.log_in(page, given["address"], password)
        in_browser.only_what_is_asked(page)
        star = next(row["query"] for row in rows if row["name"] == "08 A star")
        check_style(page, style, star)
        print("| folder | query | nodes | lines | rows | fills |\n|---|---|---|---|---|---|")
        for number, row in enumerate(asked(rows)):
            answer = in_browser.ask(page, row["query"])
            name = re.sub(r"\W+", "-", f"{number:02} {row['folder']} {row['name']}".lower()).strip("-")
            in_browser.photograph(page, pictures / f"{name}.png")
            fills = ", ".join(f"{count} {color}" for color, count in Counter(n.color for n in answer.drawn).items())
            counts = f"{answer.nodes} | {answer.relationships} | {answer.rows}"
            print(f"| {row['folder']} | {row['name']} | {counts} | {fills} |", flush=True)
        check_archive(page, archive, [row["name"] for row in rows if row["isFolder"] == "true"])
        page.screenshot(path=pictures / "archive.png")
    with in_browser.pages() as page:
        in_browser.newer_log_in(page, given["address"], password)
        folders = in_browser.newer_import(page, listed)
        assert sum(map(len, folders.values())) == sum(row["isFolder"] == "false" for row in rows)
        print(f"\nnewer page: {len(folders)} folders, star of {in_browser.newer_run(page, 0, '08 A star')} nodes")
        page.wait_for_timeout(5_000)
        page.screenshot(path=pictures / "newer.png")


if __name__ == "__main__":
    main()
