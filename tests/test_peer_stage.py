"""The method of Clarke, Bhatnagar and Bloom (2024) on a run: their clusters and scores, beside everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import igraph
import numpy as np
import pytest
from worlds import fire, plan, store

from atlas.artifacts import Run
from atlas.cli import cli
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
    names = ("peer_cut", "peer_largest", "peer_in_range")
    assert [made.results[name] for name in names] == [found.cut, found.largest, found.in_range]
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
        scores = peer_scores(**numbers)
        assert [row[name] for name in SCORES] == pytest.approx(scores.tolist())
        assert row["highest_score"] == (SCORES[scores.argmax()] if part.vcount() >= 4 else None)


def test_a_rule_that_was_not_counted_is_named(tmp_path: Path) -> None:
    """Their rule is missing from counts of `any` alone: the remedy counts it."""
    with Run(tmp_path / "run") as run:
        store(run, np.ones((10, 3), bool), np.zeros(10, int))
        count(run, rules=())
        with pytest.raises(InputError, match=r"abs:1\.5 was not counted") as caught:
            peer(run)
    assert "--rule abs:1.5" in caught.value.remedy


def command(*words: str, run: Path) -> None:
    """Run a command of the program in this process."""
    cli.main(["ingest", *words, "--run", str(run)], standalone_mode=False)


def test_options_that_the_method_does_not_read_are_refused(planted: Run, tmp_path: Path) -> None:
    """A seed that was given would be ignored, one that was not is; nothing is made before."""
    run = Path(shutil.copytree(planted.path, tmp_path / "run", ignore=shutil.ignore_patterns("45-peer")))
    given = ["--signed", "--seed", "0", "--resolution", ".01", ".02", ".05"]
    with pytest.raises(click.UsageError, match=r"clarke2024 does not read --resolution, --signed, --seed"):
        command("clusters", "--method", "clarke2024", *given, run=run)
    assert not (run / "45-peer").exists()
    command("clusters", "--method", "clarke2024", run=run)
    assert (run / "45-peer" / "manifest.json").exists()


def test_all_stages_make_their_clusters_beside_the_communities(planted: Run, tmp_path: Path) -> None:
    """Of the same counts, as the stage by itself makes them; the default makes none."""
    run = tmp_path / "run"
    shutil.copytree(planted.path / "10-activations", run / "10-activations")
    words = ["all", "--from", "counts", "--until", "clusters", "--rule", "rel:0.5", "--rule", "abs:1.5"]
    command(*words, run=run)
    assert not (run / "45-peer").exists()
    command(*words, "--method", "clarke2024", run=run)
    with Run(run) as made, Run(planted.path) as alone:
        assert set(made.artifact("40-clusters").inputs) == {"10-activations", "20-counts", "30-edges"}
        found, wanted = made.artifact("45-peer"), peer(alone)
        assert found.inputs == {"20-counts": made.artifact("20-counts").digest}
        assert (found.results, found.files) == (wanted.results, wanted.files)


def test_all_stages_refuse_the_method_at_once_where_it_cannot_be(planted: Run, tmp_path: Path) -> None:
    """Its rule is not to be counted, or was not; or the stage that it belongs to is left out."""
    run = tmp_path / "run"
    shutil.copytree(planted.path / "10-activations", run / "10-activations")
    method = ("--method", "clarke2024")
    with pytest.raises(InputError, match=r"rule abs:1\.5 .* is not to be counted") as caught:
        command("all", "--from", "counts", "--until", "clusters", *method, run=run)
    assert "give --rule rel:0.5 --rule abs:1.5, or" in caught.value.remedy
    assert not (run / "20-counts").exists()
    with pytest.raises(click.UsageError, match="of the stage clusters"):
        command("all", "--from", "counts", "--until", "edges", *method, run=run)
    with Run(run) as held:
        count(held)
    with pytest.raises(InputError, match=r"abs:1\.5 was not counted") as caught:
        command("all", "--from", "edges", "--until", "clusters", *method, run=run)
    assert "--rule rel:0.5 --rule abs:1.5" in caught.value.remedy
    assert not (run / "30-edges").exists()
