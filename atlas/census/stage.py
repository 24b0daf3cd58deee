"""The stage `57-census`: the sort of each feature, and what portion of the features is of which sort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.association import EDGES
from atlas.census.shares import shares
from atlas.census.sorts import Claimed, basis_sorts, flags, geometry_sorts, roles
from atlas.communities import CLUSTERS
from atlas.communities.stage import kept_edges
from atlas.counting.stage import ACTIVATIONS
from atlas.files import write_table
from atlas.firings import Firings
from atlas.replication.claims import Claims
from atlas.schema.census_fields import FACETS
from atlas.shapes import STRUCTURE

CENSUS = "57-census"
UNCLASSED = "unclassed"
OPTIONAL = ("52-rings", "53-absorption", "54-magnitude", "56-behaviour")
"""What the census reads where the run has it: without one, its classes are empty or `unclassed`, and said so."""


def census(run: Run, *, seed: int = 0) -> Artifact:
    """Return the artifact of the census: tables `sorts`, a row a feature, and `feature_census`, a row a class.

    Each alive feature has one class on each of four facets (magnitude, geometry, role, basis), by stated precedence;
    the cells are all four crossed. Intervals are over communities drawn anew (see `shares`). What a class rests on,
    and how often chance makes it, stands with the stage that claims it; the same census of a control says how much of
    a share a model without learning would have.

    Parameters
    ----------
    seed
        Seed of the draws.
    """
    there = run.current(OPTIONAL)

    def compute(directory: Path) -> dict[str, Any]:
        features = run.artifact(STRUCTURE).table("features").select(["index", "class"])
        alive = np.array(features["class"].to_pylist(), object) == "alive"
        claimed = _claimed(run, there)
        true_of = flags(claimed)
        magnitude = _magnitudes(run, there, claimed.d)
        classes = magnitude, geometry_sorts(claimed), roles(true_of), basis_sorts(claimed)
        sorts = dict(zip(FACETS, classes, strict=True))
        kept = np.flatnonzero(alive)
        sorts = {name: column[kept] for name, column in sorts.items()}
        true_of = {name: column[kept] for name, column in true_of.items()}
        write_table(directory, "sorts", {"index": kept, **sorts, **true_of})
        named = {name: np.array([each or UNCLASSED for each in sorts[name]], object) for name in FACETS}
        counted = shares(named, true_of, claimed.fine[kept], seed=seed)
        write_table(directory, "feature_census", counted)
        return {"n_features": len(kept), "stages": list(there)}

    return run.produce(Spec(CENSUS, {"seed": seed}, (ACTIVATIONS, EDGES, CLUSTERS, STRUCTURE, *there)), compute)


def _claimed(run: Run, there: tuple[str, ...]) -> Claimed:
    """Return what the finished stages claim."""
    firings = Firings(run.artifact(ACTIVATIONS).path)
    claims = Claims.of(run, firings, with_edges=False)
    fine = [one for one in claims.communities if one.level == "fine"]
    names = ("level", "cluster", "verdict"), ("index", "ego_verdict")
    verdicts, ego_verdicts = (
        _rows(run, there, "56-behaviour", table, *some)
        for table, some in zip(("verdicts", "ego_verdicts"), names, strict=True)
    )
    egos = run.artifact(STRUCTURE).table("egos").select(["index", "ego_family"])
    return Claimed(
        d=firings.d_sae,
        edges=_edges(run),
        parents=np.column_stack([claims.parents["parent"], claims.parents["child"]]),
        fine=claims.labels("fine", firings.d_sae),
        shapes={one.number: one.shape for one in fine},
        hubs={one.number: one.hub for one in fine},
        verdicts={row["cluster"]: row["verdict"] for row in verdicts if row["level"] == "fine"},
        egos=[one for one, _ in claims.egos],
        ego_shapes={one.hub: shape for one, shape in claims.egos},
        ego_verdicts={row["index"]: row["ego_verdict"] for row in ego_verdicts},
        families={row["index"]: row["ego_family"] for row in egos.to_pylist()},
        manifolds=_manifolds(run, there),
        absorptions=_pairs(_rows(run, there, "53-absorption", "absorption", "child", "parent", "status")),
    )


def _edges(run: Run) -> dict[str, npt.NDArray[Any]]:
    """Return the co-occurrence edges of the backbone by column."""
    names = ("a", "b", "phi", "basis")
    table = kept_edges(run, "CO_OCCURS", names)
    return {name: table[name].to_numpy() for name in names}


def _rows(run: Run, there: tuple[str, ...], stage: str, table: str, *columns: str) -> list[dict[str, Any]]:
    """Return some columns of a table by row; no row where the run has no such stage."""
    return run.artifact(stage).table(table).select(list(columns)).to_pylist() if stage in there else []


def _manifolds(run: Run, there: tuple[str, ...]) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Return the geometry of each manifold with its members."""
    members: dict[int, list[int]] = {}
    for row in _rows(run, there, "52-rings", "manifold_members", "manifold", "index"):
        members.setdefault(row["manifold"], []).append(row["index"])
    manifolds = _rows(run, there, "52-rings", "manifolds", "manifold", "geometry")
    return [(row["geometry"], np.array(members.get(row["manifold"], []), np.int64)) for row in manifolds]


def _pairs(rows: list[dict[str, Any]]) -> npt.NDArray[np.int64]:
    """Return child and parent of the absorptions that the intervention has not dropped: int64, shape (n, 2)."""
    kept = [(row["child"], row["parent"]) for row in rows if row["status"] != "dropped"]
    return np.array(kept, np.int64).reshape(-1, 2)


def _magnitudes(run: Run, there: tuple[str, ...], d: int) -> npt.NDArray[np.object_]:
    """Return the class of each feature's activations: object, shape (d,); None where there is none."""
    found = np.full(d, None, object)
    for row in _rows(run, there, "54-magnitude", "magnitude", "index", "magnitude"):
        found[row["index"]] = row["magnitude"]
    return found
