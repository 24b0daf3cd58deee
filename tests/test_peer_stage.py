"""The method of Clarke, Bhatnagar and Bloom (2024) on a run: their clusters and scores, beside everything else."""

from __future__ import annotations

from pathlib import Path

import igraph
import numpy as np
import pytest
from worlds import fire, plan, store

from atlas.artifacts import Run
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.firings import Firings
from atlas.shapes.peer import peer_cut, peer_scores
from atlas.shapes.peer_stage import SCORES, peer


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose rule abs:1.5 was counted."""
    firing = fire(plan(), n_documents=20, length=300, seed=8)
    with Run(tmp_path_factory.mktemp("peer") / "run") as run:
        store(run, firing, np.arange(20).repeat(300), seed=8)
        count(run, rules=("abs:1.5",))
    return run


def test_clusters_are_the_components_of_dense_jaccard_indices(planted: Run) -> None:
    """From the activations themselves, without counts: the same cut, components, numbers and scores."""
    with Run(planted.path) as run:
        made = peer(run)
        firings = Firings(run.artifact("10-activations").path)
    strong = np.zeros((firings.n_tokens, firings.d_sae), bool)
    start = 0
    for shard in firings.shards():
        token = np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr)) + start
        strong[token[shard.activations > 1.5], shard.ids[shard.activations > 1.5]] = True
        start += shard.n_tokens
    both = strong.T.astype(np.int64) @ strong
    n = both.diagonal()
    a, b = np.nonzero(np.triu(both, 1))
    jaccard = both[a, b] / (n[a] + n[b] - both[a, b])
    found = peer_cut(a, b, jaccard)
    assert (made.results["jaccard_cut"], made.results["largest"]) == (found.cut, found.largest)
    kept = jaccard >= found.cut
    graph = igraph.Graph(len(n), np.column_stack([a[kept], b[kept]]).tolist())
    wanted = {frozenset(part) for part in graph.connected_components() if len(part) > 1}
    members = made.table("peer_membership").to_pydict()
    groups: dict[int, set[int]] = {}
    for index, number in zip(members["index"], members["peer_cluster"], strict=True):
        groups.setdefault(number, set()).add(index)
    assert {frozenset(group) for group in groups.values()} == wanted
    for row in made.table("peer_clusters").to_pylist():
        part = graph.induced_subgraph(sorted(groups[row["peer_cluster"]]))
        degree = np.array(part.degree())
        numbers = {"size": part.vcount(), "density": part.density(), "degree_ratio": degree.max() / degree.mean(),
                   "clustering": np.mean(part.transitivity_local_undirected(mode="zero")),
                   "diameter": part.diameter()}  # fmt: skip
        assert {name: row[name] for name in numbers} == pytest.approx(numbers)
        assert [row[name] for name in SCORES] == pytest.approx(peer_scores(**numbers).tolist())


def test_a_rule_that_was_not_counted_is_named(tmp_path: Path) -> None:
    """Their rule is missing from counts of `any` alone: the remedy counts it."""
    with Run(tmp_path / "run") as run:
        store(run, np.ones((10, 3), bool), np.zeros(10, int))
        count(run, rules=())
        with pytest.raises(InputError, match=r"abs:1\.5 was not counted") as caught:
            peer(run)
    assert "--rule abs:1.5" in caught.value.remedy
