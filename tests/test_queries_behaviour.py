"""Queries of what features do together, on an atlas whose verdicts are written by hand."""

from __future__ import annotations

import pytest
from graph_checks import empty
from small_atlas import Small

from atlas.ingest.graph import load
from atlas.queries.library import find
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j

CLIQUE = {(a, b): 0.5 for a in range(3) for b in range(a + 1, 3)}
STAR = {(4, leaf): 0.4 for leaf in range(5, 9)}
FURTHER = {
    "verdicts": [
        {"level": "fine", "cluster": 0, "verdict": "composition", "half_shape": "triangle", "joint_tokens": 90},
        {"level": "fine", "cluster": 1, "verdict": "undetermined", "half_shape": None, "joint_tokens": 3},
        {"level": "coarse", "cluster": 0, "verdict": "neither", "half_shape": "triangle", "joint_tokens": 70},
    ],
    "ego_verdicts": [
        {"index": 4, "ego_verdict": "composition", "ego_half_shape": "mixed", "ego_joint_tokens": 200,
         "ego_item_share": 0.25},
    ],
    "logic": [
        {"a": 0, "b": 1, "c": 2, "kind": "AND", "information": 0.5, "information_apart": 0.25, "basis": "contextual"},
        {"a": 5, "b": 6, "c": 4, "kind": "OR", "information": 1.0, "information_apart": 0.5, "basis": "untested"},
    ],
    "means": [
        {"level": "fine", "cluster": 0, "mean_norm": 0.75, "mean_norm_null": 0.5, "mean_items": ["day", "week"],
         "mean_features": [7, 1], "mean_cosine": 0.5},
        {"level": "fine", "cluster": 1, "mean_norm": 0.5, "mean_norm_null": 0.375, "mean_features": [],
         "mean_items": []},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(driver, tmp_path_factory):
    """Load a triangle and a star with their verdicts."""
    small = Small(
        9, CLIQUE | STAR, clusters={"fine": [[0, 1, 2], [4, 5, 6, 7, 8]], "coarse": [[0, 1, 2]]},
        egos={4: (3, 1, 1, 4)}, further=FURTHER, firing={4: 900}, names={index: f"f{index}" for index in range(9)},
    )  # fmt: skip
    empty(driver)
    load(small.write(tmp_path_factory.mktemp("behaviour")), driver, name="hand")
    yield driver
    empty(driver)


def answer(driver, name, *columns, **parameters):
    found = run(driver, find(name), {"atlas": "hand", **parameters})
    assert not found.notifications
    at = [found.columns.index(column) for column in columns]
    return [tuple(row[place] for place in at) for row in found.rows]


def test_verdicts_of_both_kinds_of_subgraph(loaded):
    """Most joint tokens first; a level or `ego` chooses."""
    columns = ("subgraph", "cluster", "hub", "half_shape", "joint_tokens", "item_share")
    both = answer(loaded, "verdicts", *columns, verdict="composition")
    assert both == [("ego", None, 4, "mixed", 200, 0.25), ("fine", 0, 0, "triangle", 90, None)]
    assert answer(loaded, "verdicts", *columns, verdict="composition", subgraph="ego") == both[:1]
    assert answer(loaded, "verdicts", "hub", verdict="ambiguity") == []


def test_shape_against_verdict_counts_each(loaded):
    """A subgraph without a shape on the unseen half is in the table of the run's shapes alone."""
    columns = ("subgraph", "shape", "composition", "neither", "undetermined", "composition_share", "subgraph_share")
    assert answer(loaded, "structure_and_function", *columns) == [
        ("coarse", "triangle", 0, 1, 0, 0.0, 0.0),
        ("ego", "mixed", 1, 0, 0, 1.0, 1.0),
        ("fine", "triangle", 1, 0, 0, 1.0, 1.0),
    ]
    rows = answer(loaded, "structure_and_function", *columns, unseen=False)
    assert ("fine", "star-like", 0, 0, 1, None, 1.0) in rows


def test_a_combination_is_one_row(loaded):
    """Though it is two relationships; the most surprising first, and by kind and basis."""
    columns = ("kind", "a", "b_name", "c")
    assert answer(loaded, "logic", *columns) == [("OR", 5, "f6", 4), ("AND", 0, "f1", 2)]
    assert answer(loaded, "logic", *columns, basis="contextual") == [("AND", 0, "f1", 2)]
    assert answer(loaded, "logic", *columns, kind="XOR") == []


def test_means_that_stand_out_come_first(loaded):
    """With the nearest feature outside by its name; none where there is none."""
    columns = ("cluster", "mean_norm", "mean_items", "nearest", "nearest_name")
    found = answer(loaded, "community_means", *columns, level="fine")
    assert found == [(0, 0.75, ["day", "week"], 7, "f7"), (1, 0.5, [], None, None)]
