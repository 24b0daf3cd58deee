"""What Neo4j Browser's own pages make of the files that it is given, in a real Chromium without a network."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from graph_checks import empty
from small_atlas import by_hand

from atlas.ingest.graph import load
from atlas.ingest.server.browser import browser_address, setup
from atlas.queries.contract import GRAPH_NODES
from atlas.queries.guide import guide
from atlas.queries.library import library
from atlas.schema.browser import NODE_STYLES

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
pytest.importorskip("playwright")
import in_browser

pytestmark = [
    pytest.mark.neo4j,
    pytest.mark.skipif(in_browser.chromium() is None, reason="no Chromium: install it, or name one in CHROMIUM"),
]
HUB, LONG = "morning · Monday · evening", "Saturday · Wednesday · Thursday"
"""Captions as long as those of the demo; the schema's longest have 32 characters."""


@pytest.fixture(scope="module")
def files(driver, tmp_path_factory):
    """Load the atlas that is known by hand, with captions as long as real ones, and write Browser's files."""
    empty(driver)
    load(by_hand().write(tmp_path_factory.mktemp("hand")), driver, name="hand")
    driver.execute_query(
        "MATCH (f:Feature) SET f.name = CASE WHEN f:EgoHubSpoke THEN $hub ELSE $long END", hub=HUB, long=LONG
    )
    yield setup(driver, tmp_path_factory.mktemp("setup"))
    empty(driver)


@pytest.fixture
def rows(files):
    with files[2].open(newline="", encoding="utf8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def address(server):
    return browser_address(server.bolt_port, server.http_port, "RETURN 1")


@pytest.fixture
def password(server):
    return server.password_file.read_text("utf8").strip()


def folders_of(rows) -> dict[str, list[str]]:
    return {
        folder["name"]: [row["name"] for row in rows if row["parentId"] == folder["id"]]
        for folder in rows
        if folder["isFolder"] == "true"
    }


def colors(nodes) -> set[tuple[str, int]]:
    return {(node.color, node.diameter) for node in nodes}


def test_the_classic_page_takes_style_and_archive(files, rows, address, password):
    """Pasted or dropped, the style makes a hub a hub; every graph is drawn by it, and no caption is cut."""
    hub, leaf = ((NODE_STYLES[label].color, NODE_STYLES[label].diameter) for label in ("EgoHubSpoke", "Feature"))
    query = {row["name"]: row["query"] for row in rows}
    graphs = [each.title for each in library().values() if each.graph]
    graphs += [f"{number:02} {step.title}" for number, step in enumerate(guide(), 1) if step.picture]
    with in_browser.pages() as page:
        in_browser.log_in(page, address, password)
        in_browser.only_what_is_asked(page)
        assert hub not in colors(in_browser.ask(page, query["08 A star"]).drawn)
        in_browser.command(page, f":style {files[0].read_text('utf8')}")
        in_browser.styled(page)
        assert colors(in_browser.ask(page, query["08 A star"]).drawn) == {hub, leaf}
        in_browser.command(page, ":style reset")
        page.get_by_test_id("frame").wait_for()
        assert hub not in colors(in_browser.ask(page, query["08 A star"]).drawn)
        in_browser.drop(page, files[0].name, files[0].read_bytes())
        in_browser.styled(page)
        known = {(style.color, style.diameter) for style in NODE_STYLES.values()}
        for name in graphs:
            answer = in_browser.ask(page, query[name])
            assert 1 < answer.nodes <= GRAPH_NODES, name
            assert len(answer.drawn) == answer.nodes, name
            assert answer.relationships, name
            assert colors(answer.drawn) <= known, name
            assert not [node.caption for node in answer.drawn if node.caption.endswith("…")], name
        star = in_browser.ask(page, query["08 A star"])
        assert (star.nodes, star.relationships) == (5, 4)
        assert sorted({"".join(node.caption.split()) for node in star.drawn}) == sorted(
            "".join(caption.split()) for caption in (HUB, LONG)
        )
        in_browser.drop(page, files[1].name, files[1].read_bytes())
        page.get_by_test_id("navigationFavorites").click()
        for folder in folders_of(rows):
            page.get_by_text(folder, exact=True).first.wait_for()
        page.get_by_text("Guide", exact=True).first.click()
        for name in folders_of(rows)["Guide"]:
            page.get_by_test_id(f"scriptTitle-{name}").wait_for()


def test_the_newer_page_takes_the_list(files, rows, address, password):
    """Each folder holds what the list says, and a query of it draws what it returns."""
    with in_browser.pages() as page:
        in_browser.newer_log_in(page, address, password)
        assert in_browser.newer_import(page, files[2]) == folders_of(rows)
        assert in_browser.newer_run(page, 0, "08 A star") == 5
