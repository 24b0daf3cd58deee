"""Queries of two atlases that were compared, with answers worked out by hand."""

from __future__ import annotations

import pytest
from graph_checks import COMPARED, empty, keeps_its_header, remarks, rows
from small_atlas import Small, by_hand, clique, star

from atlas.artifacts import Run, Spec
from atlas.files import write_table
from atlas.ingest.graph import load, load_run
from atlas.queries.library import find

pytestmark = pytest.mark.neo4j

MATCHED = {0: 1, 1: 0, 2: 2, 12: 10, 13: 11, 14: 12}
"""Features of the atlas known by hand that the other has, and which there: 0 and 1 have changed places."""
FIGURES = {
    "n_alive": 50, "other_alive": 40, "matched_by_decoder": 1, "matched_by_firings": 5, "matched_by_both": 4,
    "median_cosine": 0.5, "median_cosine_null": 0.25, "median_phi": 0.375, "median_phi_null": 0.125,
}  # fmt: skip


@pytest.fixture(scope="module")
def compared(driver, tmp_path_factory):
    """Load the atlas known by hand and a smaller one, and what was found of the two."""
    this, there = (tmp_path_factory.mktemp(name) for name in ("hand", "twin"))
    empty(driver)
    by_hand().write(this)
    other = Small(20, star(1, [0, 2, 3]) | clique([10, 11, 12, 13]), {"fine": [[0, 1, 2, 3], [10, 11, 12, 13]]})
    made = other.write(there)
    load(made, driver, name="twin")
    columns = {
        "index": list(MATCHED), "other": list(MATCHED.values()), "by": ["both"] * 4 + ["firings", "decoder"],
        "cosine": [0.9, 0.8, 0.7, 0.6, None, 0.5], "cosine_q": [None] * 6, "phi": [0.9, 0.5, 0.4, 0.3, 0.2, None],
        "phi_q": [None] * 6,
    }  # fmt: skip

    def write(directory):
        write_table(directory, "matches", columns)
        return {"other": "twin", "control": "seed", **FIGURES}

    digests = {name: artifact.digest for name, artifact in made.items()}
    with Run(this) as run:
        run.produce(Spec("70-comparison-twin", {"other": "twin", "digests": digests}, ("10-activations",)), write)
        load_run(run, driver, name="hand", target="here")
    yield driver
    empty(driver)


@pytest.mark.parametrize("name", COMPARED)
def test_answers_are_as_the_header_says_and_nothing_is_remarked(compared, name):
    """As of the queries of one atlas."""
    query = find(name)
    given = {"atlas": "hand", "other_atlas": "twin"}
    asked = {one.name: given[one.name] for one in query.parameters if one.name in given}
    keeps_its_header(compared, query, asked)
    assert remarks(compared, query, asked) == []


def test_what_two_atlases_share(compared):
    """The figures of the comparison, each match, communities of most matches, and edges that are there again."""
    asked = {"atlas": "hand", "other_atlas": "twin"}
    assert rows(compared, "comparison", atlas="hand") == [("hand", "twin", "seed", *FIGURES.values())]
    found = rows(compared, "matches", **asked)
    assert [(row[0], row[2], row[4]) for row in found] == [
        (0, 1, "both"), (1, 0, "both"), (2, 2, "both"), (12, 10, "both"), (13, 11, "firings"), (14, 12, "decoder"),
    ]  # fmt: skip
    assert [row[0] for row in rows(compared, "matches", **asked, index=13)] == [13]
    communities = rows(compared, "matched_communities", **asked)
    assert [(row[0], row[3], row[4], row[6]) for row in communities] == [(0, 3, 0, 3), (2, 3, 1, 3)]
    edges = {(row[0], row[1]): row[2:4] for row in rows(compared, "surviving_edges", **asked)}
    together = [n for (kind, _), n in edges.items() if kind == "CO_OCCURS"]
    # Of each, 0-1, 0-2 and three of the clique: 0 is 1 there, the hub of its star.
    assert [sum(counts) for counts in zip(*together, strict=True)] == [5, 5]
