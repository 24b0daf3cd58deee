"""The stage `50-structure`: communities in, evidence for every feature, ego subgraph and community out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.testing import Gates
from atlas.captions import top_tokens
from atlas.communities import LEVELS, nested_partition
from atlas.communities.stage import backbone, graph_of_edges
from atlas.counting.stage import STRATA
from atlas.errors import InputError
from atlas.files import write_table
from atlas.firings import Firings
from atlas.mapped import map_arrays
from atlas.shapes.classes import Rules
from atlas.shapes.columns import ego_columns, feature_columns, shape_columns
from atlas.shapes.grid import (
    GRID_CUTS,
    STABLE_CUTS,
    Grid,
    census_grid,
    grid_resolutions,
    grid_rows,
    stable_cells,
    stable_cuts,
    stable_ego_cuts,
)
from atlas.shapes.rewired import rewire
from atlas.shapes.subgraphs import Memberships, Subgraphs, basis_counts, census, subgraphs
from atlas.tracking import Track, untracked

STRUCTURE = "50-structure"


def structure(
    run: Run,
    *,
    rules: Rules | None = None,
    grid_cuts: Sequence[float] = GRID_CUTS,
    seed: int = 0,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of structure: tables `features`, `egos`, `shapes`, `census` and `census_grid`.

    The census counts the classes on the real backbone and, by the same rules, on a copy rewired at
    random with every degree kept. The one over the grid does so at several edge cuts and resolutions,
    also on a copy that keeps clustering.

    Parameters
    ----------
    rules
        Thresholds of the classes.
    grid_cuts
        Edge cuts of the grid, as multiples of the smallest phi on the backbone; without any there is
        no grid.
    seed
        Seed of the rewired copies and of random connected graphs.
    track
        Told of the candidates examined.

    Raises
    ------
    InputError
        A cut of the grid is not a positive number.
    """
    check_grid_cuts(grid_cuts)
    rules = rules or Rules()
    inputs = ("10-activations", "20-counts", "30-edges", "40-clusters")
    cuts = sorted(set(map(float, grid_cuts)))
    spec = Spec(STRUCTURE, {**asdict(rules), "grid_cuts": cuts, "seed": seed}, inputs)
    return run.produce(spec, lambda directory: _Work.of(run, rules, cuts, seed, track).write(directory))


def check_grid_cuts(grid_cuts: Sequence[float]) -> None:
    """Raise `InputError` where a cut is not a positive number."""
    if not all(0 < cut < float("inf") for cut in grid_cuts):
        raise InputError(f"grid cuts {tuple(grid_cuts)}, expected positive numbers", f"the default is {GRID_CUTS}")


@dataclass(frozen=True)
class _Work:
    """What the parts of the stage share."""

    run: Run
    rules: Rules
    grid_cuts: Sequence[float]
    seed: int
    track: Track
    graph: igraph.Graph
    wide: igraph.Graph
    cut: float
    firings: Firings
    labels: npt.NDArray[np.integer]
    resolutions: dict[str, float]

    @classmethod
    def of(cls, run: Run, rules: Rules, grid_cuts: Sequence[float], seed: int, track: Track) -> _Work:
        graph = backbone(run)
        cut = float(min(graph.es["phi"]))
        wide = wider(run, cut, min(*STABLE_CUTS, *grid_cuts) * cut)
        labels = np.asarray(map_arrays(run.artifact("20-counts").path / STRATA)["labels"])
        resolutions = dict(zip(LEVELS, run.artifact("40-clusters").results["resolutions"], strict=True))
        firings = Firings(run.artifact("10-activations").path)
        return cls(run, rules, grid_cuts, seed, track, graph, wide, cut, firings, labels, resolutions)

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the tables and return the figures."""
        activations = self.run.artifact("10-activations")
        tokens = _feature_tokens(self.firings, activations.table("vocabulary").to_pylist())
        real = self._subgraphs(self.graph, _memberships(self.run.artifact("40-clusters"), self.graph))
        copy = rewire(self.graph, seed=self.seed)
        levels = nested_partition(copy, resolutions=list(self.resolutions.values()), seed=self.seed)
        rewired = self._subgraphs(copy, dict(zip(LEVELS, levels, strict=True)))
        grid = self._grid()
        gates = Gates.of(self.run.artifact("30-edges").parameters)
        features = feature_columns(self.firings, tokens, gates, activations.results.get("neuronpedia_id"))
        write_table(directory, "features", features)
        egos = stable_ego_cuts(grid, real.egos, self.rules) if grid else [None] * len(real.egos)
        write_table(directory, "egos", ego_columns(real, tokens, egos))
        stable = self._stable(real, grid)
        shapes = shape_columns(self.graph, real.communities, tokens, self.rules, seed=self.seed, stable=stable)
        write_table(directory, "shapes", shapes)
        write_table(directory, "census", _census_columns(real, rewired, self.rules))
        write_table(directory, "census_grid", grid_rows(grid))
        return {
            "n_communities": len(real.communities),
            "n_egos": len(real.egos),
            "ego_basis": basis_counts(real, self.rules),
            "clustering": {
                "real": self.graph.transitivity_avglocal_undirected(mode="zero"),
                "rewired": copy.transitivity_avglocal_undirected(mode="zero"),
            },
            "grid_clustering": grid.clustering if grid else None,
        }

    def _subgraphs(self, graph: igraph.Graph, memberships: Memberships) -> Subgraphs:
        return subgraphs(graph, memberships, self.firings, self.labels, self.rules, self.track)

    def _grid(self) -> Grid | None:
        if not self.grid_cuts:
            return None
        return census_grid(
            self.wide,
            self.cut,
            self.firings,
            self.labels,
            factors=self.grid_cuts,
            resolutions=grid_resolutions(list(self.resolutions.values())),
            rules=self.rules,
            seed=self.seed,
            track=self.track,
        )

    def _stable(self, real: Subgraphs, grid: Grid | None) -> dict[str, Sequence[int | None]]:
        some = real.communities
        cells: Sequence[int | None] = [None] * len(some)
        if grid:
            index = np.asarray(self.wide.vs["index"], np.int64)
            cells = stable_cells(grid, self.cut, index, some, resolutions=self.resolutions, rules=self.rules)
        return {"stable_cuts": stable_cuts(self.wide, self.cut, some, rules=self.rules), "stable_cells": cells}


def wider(run: Run, cut: float, lowest: float) -> igraph.Graph:
    """Return the backbone with the significant `CO_OCCURS` edges whose phi lies between `lowest` and `cut`.

    Its smallest phi is the backbone's cut; on a backbone by phi these are all edges down to `lowest`.
    """
    path = run.artifact("30-edges").path / "edges.parquet"
    table = pq.read_table(path, columns=["a", "b", "kind", "phi", "kept_by"])
    table = table.filter(pc.equal(table["kind"], pa.scalar("CO_OCCURS")))
    a, b, phi = (table[name].to_numpy() for name in ("a", "b", "phi"))
    wanted = table["kept_by"].is_valid().to_numpy() | ((phi >= lowest) & (phi < cut))
    return graph_of_edges(a[wanted], b[wanted], phi[wanted])


def _memberships(clustering: Artifact, graph: igraph.Graph) -> Memberships:
    """Return the community number of each node on each level; -1 where it has none."""
    table = clustering.table("membership")
    place = {index: node for node, index in enumerate(graph.vs["index"])}
    found = {level: np.full(graph.vcount(), -1, np.int64) for level in LEVELS}
    columns = (table[name].to_pylist() for name in ("index", "level", "cluster"))
    for index, level, number in zip(*columns, strict=True):
        found[level][place[index]] = number
    return found


def _feature_tokens(firings: Firings, vocabulary: Sequence[dict[str, Any]]) -> list[list[str]]:
    by_id = [""] * (max((row["token_id"] for row in vocabulary), default=-1) + 1)
    for row in vocabulary:
        by_id[row["token_id"]] = row["text"]
    return top_tokens(firings, by_id)


def _census_columns(real: Subgraphs, rewired: Subgraphs, rules: Rules) -> dict[str, Any]:
    counted = {"real": census(real, rules), "rewired": census(rewired, rules)}
    rows = [(graph, *key, n) for graph, counts in counted.items() for key, n in sorted(counts.items())]
    return {name: [row[i] for row in rows] for i, name in enumerate(("graph", "subgraph", "shape", "count"))}
