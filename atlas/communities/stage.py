"""The stage `40-clusters`: the backbone in, communities on three nested levels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from atlas.artifacts import Artifact, Run, Spec
from atlas.communities.leiden import nested_partition
from atlas.errors import InputError
from atlas.files import write_table
from atlas.schema.fields import LEVELS

CLUSTERS = "40-clusters"
RESOLUTIONS = (0.005, 0.02, 0.05)
"""Low enough that a star of some ten leaves survives: one is torn apart at gamma > phi / (n - 1)."""


def cluster(run: Run, *, resolutions: Sequence[float] = RESOLUTIONS, seed: int = 0) -> Artifact:
    """Return the artifact of communities; features without a community of two or more have none.

    Parameters
    ----------
    resolutions
        gamma of the coarse, the middle and the fine level, ascending.
    seed
        Seed of Leiden.

    Raises
    ------
    InputError
        Not three ascending positive resolutions.
    """
    check_resolutions(resolutions)
    spec = Spec(CLUSTERS, {"resolutions": list(resolutions), "seed": seed}, ("30-edges",))
    return run.produce(spec, lambda directory: _compute(run, directory, resolutions, seed))


def check_resolutions(resolutions: Sequence[float]) -> None:
    """Raise `InputError` where they are not three ascending positive numbers."""
    if len(resolutions) != 3 or not 0 < resolutions[0] < resolutions[1] < resolutions[2]:
        raise InputError(
            f"resolutions {tuple(resolutions)}, expected three ascending positive numbers",
            f"the default is {RESOLUTIONS}",
        )


def backbone(run: Run) -> igraph.Graph:
    """Return the backbone as a graph: node attribute `index`, edge attribute `phi`.

    Nodes are the features with at least one edge, in order of index; edges in order of (a, b).
    """
    table = run.artifact("30-edges").table("edges")
    table = table.filter(pc.is_valid(table["kept_by"]))
    a, b = table["a"].to_numpy(), table["b"].to_numpy()
    index = np.unique(np.concatenate([a, b]))
    return graph_of(index, np.searchsorted(index, a), np.searchsorted(index, b), table["phi"].to_numpy())


def graph_of(
    index: npt.NDArray[np.integer],
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    phi: npt.NDArray[Any],
) -> igraph.Graph:
    """Return a graph of features: `index` per node, `phi` per edge from node a to node b."""
    graph = igraph.Graph(len(index), np.column_stack([a, b]).tolist())
    graph.vs["index"] = np.asarray(index).tolist()
    graph.es["phi"] = np.asarray(phi, np.float64).tolist()
    return graph


def _compute(run: Run, directory: Path, resolutions: Sequence[float], seed: int) -> dict[str, Any]:
    graph = backbone(run)
    index = np.asarray(graph.vs["index"])
    levels = nested_partition(graph, resolutions=resolutions, seed=seed)
    clusters: dict[str, list[Any]] = {name: [] for name in ("cluster", "level", "resolution", "size", "parent")}
    members: dict[str, list[Any]] = {name: [] for name in ("index", "level", "cluster")}
    above: npt.NDArray[np.int64] | None = None
    counts = {}
    for level, resolution, membership in zip(LEVELS, resolutions, levels, strict=True):
        sizes = np.bincount(membership) if len(membership) else np.zeros(0, np.int64)
        n = int((sizes >= 2).sum())  # numbered by size, so the ones of two or more come first
        first = np.full(len(sizes), -1, np.int64)
        first[membership[::-1]] = np.arange(len(membership))[::-1]
        clusters["cluster"] += range(n)
        clusters["level"] += [level] * n
        clusters["resolution"] += [float(resolution)] * n
        clusters["size"] += sizes[:n].tolist()
        clusters["parent"] += [None] * n if above is None else above[first[:n]].tolist()
        inside = membership < n
        members["index"] += index[inside].tolist()
        members["level"] += [level] * int(inside.sum())
        members["cluster"] += membership[inside].tolist()
        above, counts[level] = membership, n
    write_table(directory, "clusters", clusters)
    order = np.lexsort((members["level"], members["index"]))
    write_table(directory, "membership", {name: [column[i] for i in order] for name, column in members.items()})
    return {"n_clusters": counts, "n_nodes": graph.vcount(), "n_edges": graph.ecount()}
