"""Edges that a third feature explains: against plain loops, and on chains, triangles and cliques."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample_of, stored
from worlds import store

from atlas.artifacts import Run
from atlas.association import associate, indirect
from atlas.association.indirect import explained_by
from atlas.counting.stage import count


def expected_given(firing: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], a: int, b: int, h: int) -> float:
    """Return the joint firings of a and b expected within strata, on tokens with h and on those without."""
    total = 0.0
    for d in np.unique(labels):
        for on in (True, False):
            some = firing[(labels == d) & (firing[:, h] == on)]
            total += some[:, a].sum() * some[:, b].sum() / len(some) if len(some) else 0
    return total


@settings(max_examples=40)  # each writes its firings
@given(st.integers(0, 2**32 - 1))
def test_explanations_equal_plain_loops(seed: int) -> None:
    """Strongest common neighbour, expectation given it and rule written out agree on any firings and backbone."""
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.integers(0, 6, 150), return_inverse=True)[1]
    labels.sort()
    firing = rng.random((150, 6)) < rng.choice([0.1, 0.4, 0.7], 6)
    for i in range(1, 6):
        firing[:, i] ^= firing[:, i - 1] & (rng.random(150) < 0.5)
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6) if rng.random() < 0.7] or [(0, 1)]
    phi = {pair: float(rng.choice([0.2, 0.4, 0.6])) for pair in pairs}
    joint = {(i, j): int((firing[:, i] & firing[:, j]).sum()) for i, j in pairs}
    wanted: list[int | None] = []
    for i, j in pairs:
        common = [(min(phi[min(i, h), max(i, h)], phi[min(j, h), max(j, h)]), -h) for h in range(6)
                  if {(min(i, h), max(i, h)), (min(j, h), max(j, h))} <= set(phi)]  # fmt: skip
        strength, h = max(common, default=(0.0, 0))
        found = strength > phi[i, j] and (e := expected_given(firing, labels, i, j, -h)) >= 10
        wanted.append(-h if found and joint[i, j] < 1.25 * e else None)
    with TemporaryDirectory() as directory:
        sample = sample_of(stored(Path(directory), firing, np.zeros(150, int)), labels)
        a, b = np.array(pairs).T
        given_joint = np.array([joint[pair] for pair in pairs])
        assert explained_by(sample, a, b, given_joint, np.array([phi[p] for p in pairs])).tolist() == wanted


def test_the_ends_of_a_chain_are_explained_by_its_middle(tmp_path: Path) -> None:
    """0 - 1 - 2, where 0 and 2 meet through 1 alone; in 3 - 4 - 5 the ends have firings of their own together."""
    rng = np.random.default_rng(41)
    n = 40000
    firing = np.zeros((n, 6), bool)
    for low, own in ((0, 0.0), (3, 0.02)):
        middle = rng.random(n) < 0.05
        together = rng.random(n) < own
        firing[:, low + 1] = middle
        for end in (low, low + 2):
            firing[:, end] = (middle & (rng.random(n) < 0.6)) | together | (rng.random(n) < 0.005)
    with Run(tmp_path / "run") as run:
        store(run, firing, np.arange(100).repeat(400))
        count(run)
        artifact = associate(run, control="none", phi_cut=0.1)
    explained = {(row["a"], row["b"]): row["explained_by"] for row in artifact.table("edges").to_pylist()}
    assert explained == {(0, 1): None, (0, 2): 1, (1, 2): None, (3, 4): None, (3, 5): None, (4, 5): None}
    assert artifact.results["kinds"]["CO_OCCURS"]["indirect"] == 1


@pytest.mark.parametrize("weakest", [True, False])
def test_only_the_weakest_of_three_edges_is_asked_about(tmp_path: Path, weakest: bool) -> None:
    """In a clique every member would explain the edge of two others; equal edges stay all."""
    rng = np.random.default_rng(42)
    pool = rng.random(20000) < 0.05
    firing = pool[:, None] & (rng.random((20000, 3)) < 0.9)
    document = np.arange(50).repeat(400)
    sample = sample_of(stored(tmp_path / "run", firing, document), document)
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    joint = (firing[:, a] & firing[:, b]).sum(0)
    assert joint[0] < indirect.NEAR_ONE * expected_given(firing, document, 0, 1, 2)
    phi = np.array([0.5 - 0.1 * weakest, 0.5, 0.5])
    assert explained_by(sample, a, b, joint, phi).tolist() == [2 if weakest else None, None, None]
