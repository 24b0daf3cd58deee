"""The queries about magnitude, each with the answer that was worked out on a graph written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import neo4j
import pytest
from graph_checks import empty, rows

pytestmark = pytest.mark.neo4j

FEATURES: list[dict[str, Any]] = [
    {"index": 0, "name": "set", "magnitude": "set", "magnitude_cv": 0.2, "n_peaks": 1, "dip_p": 0.9,
     "entropy_difference": 0.5, "entropy_difference_q": 0.01, "entropy_correlation": -0.2,
     "entropy_correlation_q": 0.01},
    {"index": 1, "name": "two", "magnitude": "multi-peak", "magnitude_cv": 0.6, "n_peaks": 2, "dip_p": 0.0,
     "dip_q": 0.0, "peak_causes": ["intrinsic", "neighbour"], "entropy_difference": 0.25,
     "entropy_difference_q": 0.04, "entropy_correlation": 0.5, "entropy_correlation_q": 0.2},
    {"index": 2, "name": "alone", "magnitude": "multi-peak", "magnitude_cv": 0.7, "n_peaks": 2, "dip_p": 0.0,
     "dip_q": 0.0, "peak_causes": ["intrinsic", "intrinsic"]},
    {"index": 3, "name": "wide", "magnitude": "variable", "magnitude_cv": 0.8, "n_peaks": 1, "dip_p": 0.5,
     "entropy_difference": -1.0, "entropy_difference_q": 0.001, "entropy_correlation": 0.125,
     "entropy_correlation_q": 0.03},
    {"index": 4, "name": "rare"},
]  # fmt: skip
PEAKS: list[dict[str, Any]] = [
    {"index": 1, "peak": 1, "at": 9.0, "share": 0.75, "cause": "neighbour", "token": "b", "token_q": 0.5,
     "neighbour": 0, "relation": "parent", "neighbour_share": 0.5, "neighbour_share_outside": 0.125,
     "neighbour_q": 0.01, "tokens_explained": 0.25},
    {"index": 1, "peak": 0, "at": 3.0, "share": 0.25, "cause": "intrinsic"},
    {"index": 2, "peak": 0, "at": 1.0, "share": 0.5, "cause": "intrinsic", "token": "a"},
    {"index": 2, "peak": 1, "at": 5.0, "share": 0.5, "cause": "intrinsic", "token": "b", "neighbour": 4},
]  # fmt: skip
SHARED = {"positive_count": 300, "firing_count": 310, "magnitude_mean": 4.0, "histogram": [1, 2], "histogram_high": 8.0,
          "top_tokens": ["x"]}  # fmt: skip


@pytest.fixture(scope="module")
def graph(driver: neo4j.Driver) -> Iterator[neo4j.Driver]:
    """A graph with five features; the fifth fires too rarely for a class."""
    empty(driver)
    some = [{"uid": f"m:{row['index']}", "atlas": "m", **SHARED, **row} for row in FEATURES]
    driver.execute_query("CREATE (:Atlas {uid: 'm', atlas: 'm', complete: true})")
    driver.execute_query("UNWIND $rows AS row CREATE (f:Feature) SET f = row", rows=some)
    peaks = [{"atlas": "m", "firings": 100, **row} for row in PEAKS]
    driver.execute_query(
        "UNWIND $rows AS row MATCH (f:Feature {index: row.index}) CREATE (f)-[:PEAKS_AT]->(p:Peak) SET p = row",
        rows=peaks,
    )
    yield driver
    empty(driver)


def test_classes_are_counted(graph: neo4j.Driver) -> None:
    """Over the four features that have one."""
    assert rows(graph, "magnitude_census", atlas="m") == [
        ("multi-peak", 2, 0.5, pytest.approx(0.65), 300), ("set", 1, 0.25, 0.2, 300), ("variable", 1, 0.25, 0.8, 300),
    ]  # fmt: skip


def test_features_of_a_class_by_width(graph: neo4j.Driver) -> None:
    """The narrowest first; of all classes, or of one."""
    assert [row[0] for row in rows(graph, "magnitudes", atlas="m")] == [0, 1, 2, 3]
    assert rows(graph, "magnitudes", atlas="m", magnitude="set") == [
        (0, "set", "set", 300, 4.0, 0.2, 1, 0.9, [1, 2], 8.0)
    ]


def test_peaks_of_one_feature(graph: neo4j.Driver) -> None:
    """From the weakest on, with the neighbour's name where there is one; none of a feature with one peak."""
    assert rows(graph, "peaks", atlas="m", feature=1) == [
        (0, 3.0, 0.25, 100, "intrinsic", *[None] * 17, "multi-peak"),
        (1, 9.0, 0.75, 100, "neighbour", "b", None, None, 0.5, 0, "set", "parent", 0.5, 0.125, 0.01,
         *[None] * 4, 0.25, None, None, "multi-peak"),
    ]
    assert rows(graph, "peaks", atlas="m", feature=0) == []


def test_features_by_the_cause_of_a_peak(graph: neo4j.Driver) -> None:
    """`intrinsic` are those of which no peak has another cause."""
    for cause, expected in ((None, [1, 2]), ("neighbour", [1]), ("intrinsic", [2]), ("token", [])):
        assert [row[0] for row in rows(graph, "multi_peak_features", atlas="m", cause=cause)] == expected
    both = rows(graph, "multi_peak_features", atlas="m")
    assert both[0][4:] == ([3.0, 9.0], [0.25, 0.75], ["intrinsic", "neighbour"], ["", "b"], [-1, 0])
    assert rows(graph, "multi_peak_features", atlas="m", limit=1) == both[:1]


def test_uncertain_features(graph: neo4j.Driver) -> None:
    """Where they fire or how strongly, the largest first, within the q value, and only above 0."""
    assert [row[0] for row in rows(graph, "uncertain_features", atlas="m")] == [0, 1]
    assert [row[0] for row in rows(graph, "uncertain_features", atlas="m", by="correlation")] == [3]
    assert [row[0] for row in rows(graph, "uncertain_features", atlas="m", by="correlation", max_q=0.5)] == [1, 3]
