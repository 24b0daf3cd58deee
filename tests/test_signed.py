"""Fault 12 past the counts: what the later stages make of a signed SAE, whose activations are below 0, too.

The sign of a signed SAE's feature is a convention: turned together with its direction, it writes the same. So nothing
that is said of firings, or of what is rebuilt, may change with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rings_stage import K, planted
from worlds import fire, plan, store

from atlas.absorption import absorb
from atlas.artifacts import Artifact, Run
from atlas.association import associate
from atlas.behaviour import behave
from atlas.census import census
from atlas.communities import cluster
from atlas.contexts import collect
from atlas.counting.stage import count
from atlas.magnitude import magnitude
from atlas.replication import replicate
from atlas.rings import rings
from atlas.shapes import structure

N_DOCUMENTS, LENGTH = 30, 300
STAGES = {
    "contexts": collect, "rings": rings, "absorption": absorb, "magnitude": magnitude, "replication": replicate,
    "behaviour": behave, "census": census,
}  # fmt: skip
Both = list[dict[str, Artifact]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Return the later stages of planted stars and cliques, and of the same with every second feature turned."""
    world = plan(independent=10)
    firing = fire(world, n_documents=N_DOCUMENTS, length=LENGTH, seed=1)
    items = np.random.default_rng(0).integers(0, 50, len(firing))
    found = []
    for signs in (None, np.where(np.arange(world.d_sae) % 2, 1.0, -1.0)):
        with Run(tmp_path_factory.mktemp("signed") / "run") as run:
            store(run, firing, np.arange(N_DOCUMENTS).repeat(LENGTH), seed=1, items=items, evenness=50, signs=signs)
            count(run)
            associate(run, control="none", phi_cut=0.2)
            cluster(run)
            structure(run, grid_cuts=())
            found.append({name: stage(run) for name, stage in STAGES.items()})
    return found


def columns(found: Artifact, table: str, *but: str) -> dict[str, Any]:
    """Return a table by column, without those that may differ, numbers to six digits."""
    return {
        name: [_rounded(value) for value in column]
        for name, column in found.table(table).to_pydict().items()
        if name not in but
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def test_verdicts_of_a_signed_sae_are_of_its_sizes_fault_12(both: Both) -> None:
    """Trade-offs and shifts are of how strongly features fire; the cosines of decoders alone have signs."""
    plain, turned = (one["behaviour"] for one in both)
    cosines = ("hub_leaf_cosine", "leaf_leaf_cosine", "mantel_r", "mantel_p")
    for table, but in (("verdicts", cosines), ("ego_verdicts", [f"ego_{name}" for name in cosines])):
        assert columns(plain, table, *but) == columns(turned, table, *but)
    assert any(value is not None for value in columns(plain, "verdicts")["strength_correlation"])
    for table in ("logic", "logic_summary", "interference", "agreement", "agreement_cells"):
        assert columns(plain, table) == columns(turned, table)


def test_means_of_a_signed_sae_are_of_what_it_writes_fault_12(both: Both) -> None:
    """Rows for the same communities; no share beyond 1, no number that is none."""
    plain, turned = (one["behaviour"].table("means").to_pylist() for one in both)
    assert [(row["level"], row["cluster"]) for row in plain] == [(row["level"], row["cluster"]) for row in turned]
    assert all(0 <= row["activation_share"] <= 1 and len(row["mean_features"]) == 5 for row in turned)


def test_contexts_of_a_signed_sae_are_the_same_places_fault_12(both: Both) -> None:
    """The strongest by size, alone and of two features, each with its sign."""
    plain, turned = (one["contexts"] for one in both)
    for table in ("contexts", "feature_contexts", "edge_contexts"):
        signed = [name for name in plain.table(table).column_names if "activation" in name]
        assert columns(plain, table, *signed) == columns(turned, table, *signed)
    of = turned.table("feature_contexts").to_pylist()
    assert {row["activation"] < 0 for row in of if row["index"] % 2 == 0} == {True}


def test_the_census_of_a_signed_sae_has_all_features_fault_12(both: Both) -> None:
    """Geometry and basis are the same; a feature that is never above 0 has no class of magnitude, and is counted so."""
    plain, turned = (columns(one["census"], "sorts") for one in both)
    for name in ("index", "geometry_sort", "basis_sort"):
        assert plain[name] == turned[name]
    known = zip(turned["index"], plain["magnitude"], turned["magnitude"], strict=True)
    assert all(after == (before if index % 2 else None) for index, before, after in known)
    census_rows = both[1]["census"].table("feature_census").to_pylist()
    (unclassed,) = (row["count"] for row in census_rows if (row["facet"], row["value"]) == ("magnitude", "unclassed"))
    assert unclassed == turned["magnitude"].count(None) > plain["magnitude"].count(None)


def test_a_ring_does_not_change_with_signs_fault_12(tmp_path: Path) -> None:
    """Every figure of what is rebuilt is the same; those of the decoder alone are of other directions."""
    found = []
    for signed in (None, "turned"):
        with Run(tmp_path / str(signed)) as run:
            planted(run, signed=signed)
            found.append(rings(run))
    plain, turned = found
    decoder = ("decoder_variance", "decoder_ring")
    assert columns(plain, "manifolds", *decoder) == columns(turned, "manifolds", *decoder)
    assert columns(plain, "manifold_members", "x", "y") == columns(turned, "manifold_members", "x", "y")
    assert columns(plain, "manifold_items") == columns(turned, "manifold_items")


def test_a_ring_of_features_with_both_signs_is_found_fault_12(tmp_path: Path) -> None:
    """Features that are above 0 on one side and below on the other have a share of their sizes, not of a sum near 0."""
    with Run(tmp_path / "run") as run:
        planted(run, signed="opposed")
        found = rings(run)
    (ring,) = (row for row in found.table("manifolds").to_pylist() if row["points"] == "items")
    assert (ring["geometry"], ring["n_points"]) == ("ring", K)
    around = [int(item[1:]) * 3 % K for item in ring["order"]]
    assert set((np.diff([*around, around[0]]) % K).tolist()) in ({1}, {K - 1})
    members = [row for row in found.table("manifold_members").to_pylist() if row["manifold"] == ring["manifold"]]
    assert {row["index"] for row in members} >= set(range(2 * K))
    assert max(row["share"] for row in members) < 0.2
    assert sum(row["share"] for row in members) == pytest.approx(1)
