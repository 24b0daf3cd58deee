"""A planted world through the stages that real firings go through, and what their tables claim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run
from atlas.association import associate
from atlas.communities import LEVELS, cluster
from atlas.communities.stage import backbone
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.score.latent import Sample
from atlas.score.recording import record
from atlas.shapes import Evidence, ego_shape, structure

Integers = npt.NDArray[np.int64]
RULE = "rel:0.5"
"""The firing rule of the hierarchy."""
NO_EDGE = "no pair"
"""How the cause begins where no pair is significant, which of a shuffled world is right."""


@dataclass(frozen=True)
class Edges:
    """The claimed edges: significant pairs, and which of them are on the backbone.

    Attributes
    ----------
    a, b : int64; basis : str; phi : float64; kept : bool; shape (n,)
    excluded : int64, shape (n_excluded, 2)
        Pairs that are said to fire together less than independent ones: those strong enough to be shown.
    """

    a: Integers
    b: Integers
    basis: npt.NDArray[Any]
    phi: npt.NDArray[np.float64]
    kept: npt.NDArray[np.bool_]
    excluded: Integers


@dataclass(frozen=True)
class Found:
    """What the stages claim of one world.

    Attributes
    ----------
    edges : Edges
    graph : igraph.Graph
        The backbone; node attribute `index`, edge attribute `phi`.
    membership : dict of level to int64, shape (d_sae,)
        Community of each feature; -1 where it has none.
    shapes : dict of (level, community) to class
    egos : dict of hub to class
    firing_count : int64, shape (d_sae,)
    parents : list of (parent, child, direct)
    """

    edges: Edges
    graph: igraph.Graph
    membership: dict[str, Integers]
    shapes: dict[tuple[str, int], str]
    egos: dict[int, str]
    firing_count: Integers
    parents: list[tuple[int, int, bool]]

    def leaves(self, hub: int) -> frozenset[int]:
        """Return the rarer neighbours of a feature on the backbone; of equal counts the higher index is the rarer."""
        a, b = self.edges.a[self.edges.kept], self.edges.b[self.edges.kept]
        others = [*b[a == hub].tolist(), *a[b == hub].tolist()]
        key = (-self.firing_count[hub], hub)
        return frozenset(other for other in others if (-self.firing_count[other], other) > key)


def find(directory: Path, drawn: Sample, *, seed: int) -> Found:
    """Return what the stages claim of firings, run in an empty directory.

    Parameters
    ----------
    seed
        Seed of the activations' values and of the directions.
    """
    d_sae = drawn.firing.shape[1]
    firing_count = drawn.firing.sum(0, dtype=np.int64)
    with Run(directory) as run:
        record(run, drawn, seed=seed)
        count(run, rules=(RULE,))
        edges = _edges(run)
        if edges is None:
            none = {level: np.full(d_sae, -1, np.int64) for level in LEVELS}
            return Found(_no_edges(), _no_graph(), none, {}, {}, firing_count, [])
        clustering = cluster(run)
        structures = structure(run)
        return Found(
            edges,
            backbone(run),
            _membership(clustering, d_sae),
            _shapes(structures),
            _egos(structures),
            firing_count,
            _parents(clustering),
        )


def _edges(run: Run) -> Edges | None:
    """Return the claimed edges; None where no pair is significant.

    Raises
    ------
    InputError
        The stage refuses for any other reason.
    """
    artifact = _associate(run)
    if artifact is None:
        return None
    table = artifact.table("edges")
    kind = np.asarray(table["kind"].to_pylist())
    kept = np.array([name is not None for name in table["kept_by"].to_pylist()], bool)
    a, b = table["a"].to_numpy(), table["b"].to_numpy()
    some = kind == "CO_OCCURS"
    return Edges(
        a[some],
        b[some],
        np.asarray(table["basis"].to_pylist())[some],
        table["phi"].to_numpy()[some],
        kept[some],
        np.column_stack([a, b])[kind == "EXCLUDES"],
    )


def _associate(run: Run) -> Artifact | None:
    """Return the artifact of edges; None where no pair is significant.

    Where none of the significant pairs is strong enough for the backbone, all of them are on it.
    """
    for phi_cut in (None, -1.0):
        try:
            return associate(run, phi_cut=phi_cut, control="none")
        except InputError as error:
            refused = error
    if not refused.cause.startswith(NO_EDGE):
        raise refused
    return None


def _no_edges() -> Edges:
    none = np.zeros(0, np.int64)
    return Edges(none, none, np.zeros(0, "<U10"), np.zeros(0), np.zeros(0, bool), np.zeros((0, 2), np.int64))


def _no_graph() -> igraph.Graph:
    return igraph.Graph(0, vertex_attrs={"index": []}, edge_attrs={"phi": []})


def _membership(clustering: Artifact, d_sae: int) -> dict[str, Integers]:
    table = clustering.table("membership")
    found = {level: np.full(d_sae, -1, np.int64) for level in LEVELS}
    rows = zip(*(table[name].to_pylist() for name in ("index", "level", "cluster")), strict=True)
    for index, level, number in rows:
        found[level][index] = number
    return found


def _shapes(structures: Artifact) -> dict[tuple[str, int], str]:
    table = structures.table("shapes")
    rows = zip(*(table[name].to_pylist() for name in ("level", "cluster", "shape")), strict=True)
    return {(level, number): shape for level, number, shape in rows}


def _egos(structures: Artifact) -> dict[int, str]:
    """Return the class of each ego subgraph, by the rules that the queries follow."""
    names = ("testable_pairs", "depleted_pairs", "enriched_pairs", "covered_leaves")
    found = {}
    for row in structures.table("egos").to_pylist():
        shape = ego_shape(row["ego_size"], Evidence(**{name: row[f"ego_{name}"] for name in names}))
        if shape is not None:
            found[row["index"]] = str(shape)
    return found


def _parents(clustering: Artifact) -> list[tuple[int, int, bool]]:
    table = clustering.table("parents")
    columns = (table[name].to_pylist() for name in ("parent", "child", "direct"))
    return list(zip(*columns, strict=True))
