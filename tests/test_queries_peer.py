"""The queries that hold communities against what others find, on the atlas that is known by hand."""

from __future__ import annotations

import pytest
from graph_checks import empty
from small_atlas import Small, by_hand

from atlas.ingest.graph import load
from atlas.queries.library import find
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j


@pytest.fixture(scope="module")
def two(driver, tmp_path_factory):
    """Load the atlas that is known by hand, and one without clusters of others."""
    empty(driver)
    load(by_hand().write(tmp_path_factory.mktemp("hand")), driver, name="hand")
    load(Small(3, {(0, 1): 0.5}).write(tmp_path_factory.mktemp("plain")), driver, name="plain")
    yield driver
    empty(driver)


def rows(driver, name, atlas="hand", **parameters):
    return run(driver, find(name), {"atlas": atlas, **parameters}).rows


def test_clusters_of_others_beside_communities(two):
    """The community that holds most members, with its class; how many others there are, and who is in none."""
    star = (0, "run", 8, "peer_hub_spoke", 0.75, 0.625, 0.625, "star-like")
    clique = (1, "feature 12", 4, "peer_strongly_connected", 0.625, 0.75, 0.625, "fully connected")
    pair = (2, "begins with N", 2, None, 0.625, 0.625, 0.625, "pair")
    assert rows(two, "peer_clusters") == [
        (*star, 2, 0, 0, "fine 0", 6, "hub-spoke", 6),  # 0 to 5 there, 6 and 9 in fine 1
        (*clique, 1, 0, 2, "fine 2", 5, "fully connected", 4),
    ]
    assert rows(two, "peer_clusters", level="middle", min_size=2) == [
        (*star, 1, 0, 0, "middle 0", 12, "undetermined", 8),
        (*clique, 1, 0, 1, "middle 1", 5, "fully connected", 4),
        (*pair, 0, 2, None, None, None, None, 0),
    ]
    assert [row[0] for row in rows(two, "peer_clusters", highest_score="peer_strongly_connected")] == [1]
    assert rows(two, "peer_clusters", "plain") == []


def test_agreement_with_decoder_directions(two):
    """Each level with the highest of the random trees: above it, or as high, or below; nothing where none is known."""
    assert rows(two, "decoder_agreement") == [
        ("coarse", 0.01, 17, 0.5, 0.25, 0.25, 1 / 21, "more than chance"),
        ("middle", 0.02, 17, 0.25, 0.25, 0.0, 2 / 21, "no more than chance"),
        ("fine", 0.05, 17, 0.125, 0.25, -0.125, 1.0, "no more than chance"),
    ]
    two.execute_query("MATCH (a:Atlas {uid: 'plain'}) REMOVE a.decoder_ami")
    assert rows(two, "decoder_agreement", "plain") == []
