"""Clarke, Bhatnagar and Bloom (2024): every published score, and the cut that their bisection chooses."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from atlas.shapes import peer_clusters, peer_cut, peer_scores

COPIED = Path(__file__).parent / "data" / "clarke2024"
SHARED = Path(os.environ.get("ATLAS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "clarke2024"
TABLES = sorted({path.name: path for folder in (SHARED, COPIED) for path in folder.glob("*.csv.gz")}.values())


def test_the_copied_table_is_among_those_tested() -> None:
    """A fresh clone tests at least the small table."""
    assert COPIED / "gpt2-small_layer8_768.csv.gz" in TABLES


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_published_scores_are_reproduced_on_every_row(path: Path) -> None:
    """Size, density, degree ratio, clustering and diameter give all three scores of every feature to 1e-9."""
    with gzip.open(path, "rt", encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "top_10_tokens"}
    found = peer_scores(
        size=columns["subgraph_size"],
        density=columns["density"],
        degree_ratio=columns["max_avg_degree_ratio"],
        clustering=columns["avg_clustering"],
        diameter=columns["diameter"],
    )
    names = ("hub_spoke_score", "strongly_connected_score", "linear_score")
    published = np.column_stack([columns[name] for name in names])
    assert len(rows) == (768 if "gpt2" in path.name else 16384)
    assert np.abs(found - published).max() <= 1e-9


def test_scores_by_hand() -> None:
    """A pair is at distances 1, 1, sqrt(2); a star with one edge more is strongly connected; one feature scores 0."""
    pair = peer_scores(size=2, density=1, degree_ratio=1, clustering=0, diameter=1)
    assert pair == pytest.approx(1 - np.array([1, 1, 2**0.5]) / (2 + 2**0.5))
    clique = peer_scores(size=5, density=1, degree_ratio=1, clustering=1, diameter=1)
    assert clique[1] == 1.0
    one_more = peer_scores(size=12, density=24 / 132, degree_ratio=5.5, clustering=(2 + 2 / 110) / 12, diameter=2)
    assert np.argmax(one_more) == 1
    assert (peer_scores(size=1, density=0, degree_ratio=0, clustering=0, diameter=0) == 0).all()


def growing(sizes: dict[float, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return a path whose largest component at each cut from the highest on has the given size."""
    jaccard: list[float] = []
    for cut in sorted(sizes, reverse=True):
        jaccard += [cut] * (sizes[cut] - 1 - len(jaccard))
    a = np.arange(len(jaccard))
    return a, a + 1, np.array(jaccard)


@pytest.mark.parametrize(("cut", "size"), [(0.21875, 158), (0.1171875, 195)])
def test_published_cuts_are_midpoints_of_the_bisection(cut: float, size: int) -> None:
    """With the published size just at the published cut, the bisection of [0, 1] stops there."""
    assert peer_cut(*growing({cut: size, cut - 1e-6: 5000})) == peer_cut(*growing({cut: size, cut - 0.005: 900}))
    found = peer_cut(*growing({cut: size, cut - 1e-6: 5000}))
    assert (found.cut, found.largest, found.in_range) == (cut, size, True)


def test_the_bisection_stops_at_the_first_midpoint_that_fits_not_at_the_best() -> None:
    """200 features at .5 are taken at once, though .25 would give the middle of the range."""
    found = peer_cut(*growing({0.5: 200, 0.25: 175}))
    assert (found.cut, found.largest) == (0.5, 200)


def test_where_no_midpoint_fits_the_closest_one_is_taken() -> None:
    """A component that jumps from 100 to 300 features: 100 is the closer to 175."""
    found = peer_cut(*growing({0.9: 100, 0.3: 300}))
    assert (found.largest, found.in_range) == (100, False)
    assert found.cut == 0.5  # the first of those that are as close
    nothing = np.zeros(0, np.int64)
    assert peer_cut(nothing, nothing, np.zeros(0)).largest == 1


def test_clusters_are_components_of_the_edges_from_the_cut_on() -> None:
    """An edge at the cut is kept, one below is not; numbered by size, then by lowest member."""
    a, b = np.array([0, 1, 3, 5]), np.array([1, 2, 4, 0])
    found = peer_clusters(a, b, np.array([0.5, 0.5, 0.7, 0.4]), cut=0.5, n_features=7)
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 3]
