"""Planted forests: how many of the parents and ancestors that were planted are found, and how many claims are true."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
from test_hierarchy import fired_of

from atlas.hierarchy import Limits, PairBlock, direct_pairs, find_parents

N_DOCUMENTS, LENGTH = 240, 400
TREES, MIDDLE, LEAVES = 12, 3, 4
MISSES = 0.05
Pairs = set[tuple[int, int]]


@dataclass(frozen=True)
class Forest:
    """Firings, bool, shape (n, d), how often each pair fires, and what was planted among alive features."""

    firing: np.ndarray[Any, Any]
    joint: np.ndarray[Any, Any]
    alive: np.ndarray[Any, Any]
    ancestors: Pairs
    direct: Pairs


def plant(seed: int) -> Forest:
    """Return a forest of depth 3 with second parents, among features that co-fire with all of it.

    A document is of one tree, and now and then of another. A leaf means some of its tree's tokens, a parent what
    any of its children means and as much again of its own; one leaf in four has a second parent, here or in
    another tree. Every feature misses 5 % of what it means, by itself. Beside them: one confounder a tree that
    fires on 85 % of the tree's documents, a fourteenth of the features with density .02 to .09 everywhere, graded
    synonyms that share .3 to .65 of their firings with a planted feature, and independent features whose rate
    changes from document to document. Leaves come in runs of up to three tokens.
    """
    rng = np.random.default_rng(seed)
    n = N_DOCUMENTS * LENGTH
    main = rng.integers(0, TREES, N_DOCUMENTS)
    other = np.where(rng.random(N_DOCUMENTS) < 0.1, rng.integers(0, TREES, N_DOCUMENTS), main)
    inside = [((main == tree) | (other == tree)).repeat(LENGTH) for tree in range(TREES)]
    planted: nx.DiGraph[int] = nx.DiGraph()
    names = iter(range(10**6))
    roots, middles = [], []
    for tree in range(TREES):
        roots.append(next(names))
        for _ in range(MIDDLE):
            middles.append((next(names), tree))
            planted.add_edge(roots[-1], middles[-1][0])
    tree_of = dict([*middles, *zip(roots, range(TREES), strict=True)])
    for middle, tree in middles:
        for _ in range(LEAVES):
            leaf = next(names)
            tree_of[leaf] = tree
            planted.add_edge(middle, leaf)
            if rng.random() < 0.25:
                planted.add_edge(middles[rng.integers(0, len(middles))][0], leaf)
    means = {}
    for feature in reversed(list(nx.topological_sort(planted))):
        rate = rng.uniform(0.003, 0.015)
        children = [means[child] for child in planted.successors(feature)]
        below = np.logical_or.reduce(children) if children else np.zeros(n, bool)
        rate = below.sum() / inside[tree_of[feature]].sum() if children else rate
        own = inside[tree_of[feature]] & (rng.random(n) < min(rate, 0.1) / (1 if children else 2))
        for lag in () if children else (1, 2):
            own[lag:] |= own[:-lag] & inside[tree_of[feature]][lag:] & (rng.random(n - lag) < 0.4)
        means[feature] = below | own
    columns = [means[feature] & (rng.random(n) >= MISSES) for feature in range(len(means))]
    columns += [
        (means[feature] & (rng.random(n) < some)) | (rng.random(n) < means[feature].mean() * (1 - some))
        for feature, some in zip(rng.choice(len(means), 24, replace=False), rng.uniform(0.3, 0.65, 24), strict=True)
    ]
    columns += [some & (rng.random(n) < 0.85) for some in inside]
    columns += [rng.random(n) < rng.uniform(0.02, 0.09) for _ in range(len(columns) // 14)]
    columns += [rng.random(n) < rng.gamma(2.0, 0.01, N_DOCUMENTS).repeat(LENGTH) for _ in range(40)]
    return forest_of(np.column_stack(columns), planted)


def forest_of(firing: np.ndarray[Any, Any], planted: nx.DiGraph[int]) -> Forest:
    """Return the forest with its counts; dead features are in no pair, planted or found."""
    joint = (firing.T.astype(np.float32) @ firing.astype(np.float32)).astype(np.int64)  # below 2^24: exact
    count = np.diag(joint)
    alive = (count >= 20) & (count <= 0.1 * len(firing))
    every = nx.transitive_closure_dag(planted)
    every.remove_nodes_from(np.flatnonzero(~alive).tolist())
    return Forest(firing, joint, alive, set(every.edges), set(nx.transitive_reduction(every).edges))


def claimed(forest: Forest, limits: Limits | None = None) -> tuple[Pairs, Pairs]:
    """Return the pairs that are found, and those of them that are direct."""
    a, b = np.nonzero(np.triu(forest.joint, 1))
    block = PairBlock(0, a.astype(np.int32), b.astype(np.int32), forest.joint[a, b])
    found, _, _ = find_parents(
        [block],
        np.diag(forest.joint),
        forest.alive,
        lambda chosen: fired_of(forest.firing, chosen),
        sizes=np.full(N_DOCUMENTS, LENGTH),
        limits=limits,
    )
    pairs = list(zip(found.commoner.tolist(), found.rarer.tolist(), strict=True))
    return set(pairs), set(itertools.compress(pairs, direct_pairs(found.commoner, found.rarer)))


def covering(forest: Forest, least: float) -> Pairs:
    """Return the pairs that coverage alone calls parent and child."""
    count = np.diag(forest.joint)
    covers = (forest.joint >= least * count) & (forest.joint >= 5) & (count[:, None] > count)
    p, c = np.nonzero(covers & forest.alive[:, None] & forest.alive)
    return set(zip(p.tolist(), c.tolist(), strict=True))


def share(found: Pairs, true: Pairs) -> tuple[float, float]:
    """Return precision and recall."""
    return len(found & true) / len(found), len(found & true) / len(true)


def score(seed: int) -> dict[str, tuple[float, float]]:
    """Return precision and recall of direct parents, of ancestors, and of ancestors by coverage alone."""
    forest = plant(seed)
    pairs, direct = claimed(forest)
    return {
        "direct": share(direct, forest.direct),
        "ancestors": share(pairs, forest.ancestors),
        "coverage": share(covering(forest, 0.6), forest.ancestors),
    }


@pytest.mark.parametrize("seed", [201, 202, 203])
def test_a_planted_forest_is_found(seed: int) -> None:
    """Direct parents at .95 and .95, ancestors at .99 and .97; coverage alone takes every topic for a parent."""
    figures = score(seed)
    assert min(figures["direct"]) >= 0.95
    assert figures["ancestors"][0] >= 0.99
    assert figures["ancestors"][1] >= 0.97
    assert figures["coverage"][0] < 0.75


def test_the_odds_ratio_tells_topics_from_parents() -> None:
    """Without it, all else being asked, every topic is the parent of all that fires in its documents."""
    forest = plant(204)
    without, _ = claimed(forest, Limits(min_odds_ratio=0, min_odds_lower_bound=0))
    assert len(without - forest.ancestors) > 100
    assert len(claimed(forest)[0] - forest.ancestors) < 0.01 * len(forest.ancestors)
