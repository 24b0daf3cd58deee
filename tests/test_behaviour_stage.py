"""The stage `56-behaviour`: every subgraph has a verdict, from the half that its shape has not seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import killed
from worlds import fire, plan, store

from atlas.artifacts import Artifact, Run
from atlas.association import associate
from atlas.behaviour import VERDICTS, behave, evidence, stage
from atlas.behaviour.held_out import JUDGED
from atlas.communities import cluster
from atlas.counting.stage import count
from atlas.errors import ArtifactError, InputError
from atlas.firings import Firings
from atlas.replication import replicate
from atlas.shapes import structure

N_DOCUMENTS, LENGTH = 40, 400


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a run of planted stars and cliques; one clique has a vocabulary item of its own."""
    world = plan()
    firing = fire(world, n_documents=N_DOCUMENTS, length=LENGTH, seed=1)
    items = np.random.default_rng(0).integers(0, 50, len(firing))
    items[firing[:, world.cliques[1]].any(1)] = 60
    with Run(tmp_path_factory.mktemp("behaviour") / "run") as opened:
        store(opened, firing, np.arange(N_DOCUMENTS).repeat(LENGTH), seed=1, items=items, evenness=50)
        count(opened)
        associate(opened, control="none", phi_cut=0.2)
        cluster(opened)
        structure(opened, grid_cuts=())
        yield opened


@pytest.fixture(scope="module")
def found(run: Run) -> Artifact:
    with pytest.raises(ArtifactError, match="55-replication"):
        behave(run)
    replicate(run)
    return behave(run)


def test_every_subgraph_has_a_verdict(run: Run, found: Artifact) -> None:
    """One row for each community and each ego subgraph, with the class of the other half; cells add up to them."""
    verdicts, egos = (found.table(name).to_pylist() for name in ("verdicts", "ego_verdicts"))
    halves = {(row["level"], row["cluster"]): row["half_shapes"]
              for row in run.artifact("55-replication").table("replicated_clusters").to_pylist()}  # fmt: skip
    for row in verdicts:
        shapes = halves.pop((row["level"], row["cluster"]))
        assert row["half_shape"] == (None if shapes is None else shapes[1 - JUDGED])
        assert row["verdict"] in VERDICTS
        assert row["reason"]
    assert not halves
    assert len(egos) == run.artifact("50-structure").results["n_egos"]
    cells = found.table("agreement_cells").to_pylist()
    counted = sum(row["count"] for row in cells if (row["subgraph"], row["compared"]) == ("fine", "run"))
    assert counted == sum(found.results["verdicts"]["fine"].values()) == sum(row["level"] == "fine" for row in verdicts)
    assert {(row["subgraph"], row["compared"]) for row in found.table("agreement").to_pylist()} == {
        (kind, compared) for kind in ("coarse", "middle", "fine", "ego") for compared in ("half", "run")
    }


def test_verdicts_are_those_of_what_was_planted(run: Run, found: Artifact) -> None:
    """A clique on one item is no composition; one that fires on any has no item that says which."""
    world = plan()
    members = run.artifact("40-clusters").table("membership").to_pylist()
    level = {row["index"]: row["cluster"] for row in members if row["level"] == "middle"}
    rows = {row["cluster"]: row for row in found.table("verdicts").to_pylist() if row["level"] == "middle"}
    plain, own = (rows[level[clique[0]]] for clique in world.cliques)
    assert (plain["verdict"], plain["reason"]) == ("neither", "items say nothing of the parts")
    assert (own["verdict"], own["reason"]) == ("neither", "one item, no rivalry")
    assert own["item_share"] > 0.9 > 0.1 > plain["item_share"]


def test_means_and_logic_are_of_all_documents(run: Run, found: Artifact) -> None:
    """Random directions have means as long as random features have; nothing planted is a logical function."""
    means = found.table("means").to_pylist()
    assert len(means) == found.table("verdicts").num_rows
    assert np.mean([row["mean_norm_p"] <= 0.05 for row in means]) < 0.3
    summary = {row["kind"]: row for row in found.table("logic_summary").to_pylist()}
    assert {row["control_claims"] for row in summary.values()} == {0}
    assert summary["XOR"]["claims"] == 0
    assert found.table("interference").num_rows == run.artifact("30-edges").results["n_edges"]


def test_same_seed_same_artifact(run: Run, found: Artifact) -> None:
    """Another seed moves permutations alone: verdicts stay; the first seed gives the first artifact again."""
    first = found.table("verdicts").column("verdict").to_pylist()
    other = behave(run, seed=1)
    assert other.table("verdicts").column("verdict").to_pylist() == first
    assert behave(run).digest == found.digest


@pytest.mark.parametrize(("label", "after"), [("behaviour: pairs", 5), ("behaviour", 7), ("behaviour: means", 1)])
def test_a_killed_stage_goes_on_and_is_the_same_to_the_byte(
    run: Run, found: Artifact, label: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done of the subgraphs is not done again, a line that was begun is cut off, and nothing is left over."""
    shutil.rmtree(found.path)
    killed(lambda track: behave(run, track=track), label, after=after)
    assert not (found.path / "manifest.json").exists()
    journal = found.path / ".kept" / "evidence.jsonl"
    if label == "behaviour":
        with journal.open("ab") as stream:
            stream.write(b'[7, {"judged_mem')
    looked_at: list[int] = []
    original = evidence._evidence

    def counted(*known: Any) -> Any:
        looked_at.append(1)
        return original(*known)

    monkeypatch.setattr(evidence, "_evidence", counted)
    again = behave(run)
    assert again.files == found.files
    assert again.results == found.results
    n = again.table("verdicts").num_rows + again.table("ego_verdicts").num_rows
    assert len(looked_at) == {"behaviour: pairs": n, "behaviour": n - 7, "behaviour: means": 0}[label]
    assert not journal.parent.exists()


def test_without_a_decoder_directions_are_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cosine, no Mantel test and no mean; the verdicts are of the activations alone."""
    monkeypatch.setattr(stage, "_DECODER", "none.safetensors")
    bare = behave(run, seed=2)
    assert bare.table("means").num_rows == 0
    for row in bare.table("verdicts").to_pylist():
        assert row["hub_leaf_cosine"] is row["mantel_r"] is None
    assert {row["verdict"] for row in bare.table("verdicts").to_pylist()} <= set(VERDICTS)


def test_a_sample_of_contexts_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a feature's firings is not all of them."""

    def refuse(self: Firings) -> None:
        raise InputError("a reservoir", "keep all")

    monkeypatch.setattr(Firings, "require_index", refuse)
    with pytest.raises(InputError, match="a reservoir"):
        behave(run, seed=3)


def test_without_replication_there_is_no_behaviour(tmp_path: Path) -> None:
    """`atlas ingest all --no-replication` says so, in one line."""
    words = ("ingest", "all", "--from", "replication", "--until", "behaviour", "--no-replication")
    done = subprocess.run(
        [sys.executable, "-m", "atlas", *words, "--run", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "behaviour: left out, too" in done.stderr
    assert "leaves nothing to do" in done.stderr
