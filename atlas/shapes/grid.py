"""The census over a grid of edge cuts and resolutions, beside chance; and how far a class depends on the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt

from atlas.communities import partition
from atlas.firings import Firings
from atlas.shapes.classes import CommunityShape, Rules, community_shape, ego_shape
from atlas.shapes.exclusivity import Candidate, Evidence, leaf_evidence
from atlas.shapes.rewired import rewire, rewire_clustered
from atlas.shapes.subgraphs import Community, candidate_of, ego_candidates, groups
from atlas.shapes.topology import Degrees, degrees_of
from atlas.tracking import Track, untracked

GRID_CUTS = (0.8, 1.0, 1.25, 1.5)
"""Edge cuts of the grid, as multiples of the smallest phi on the backbone."""
STABLE_CUTS = (0.8, 0.9, 1.0, 1.1, 1.2)
"""Edge cuts at which the class of the same members is read again, as such multiples."""
MIN_JACCARD = 0.5
GRAPHS = ("real", "rewired", "clustered")

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """The communities of one graph at one cut and resolution.

    Attributes
    ----------
    graph, cut, resolution
        Which graph (see `GRAPHS`), the smallest phi, gamma.
    membership : int64, shape (n_nodes,)
        Number of each node's community.
    shapes : list of str
        Class of each community; None for a feature alone.
    """

    graph: str
    cut: float
    resolution: float
    membership: Labels
    shapes: list[CommunityShape | None]


@dataclass(frozen=True)
class Egos:
    """The ego subgraphs at one cut: leaves and class by hub."""

    cut: float
    by_hub: dict[int, tuple[frozenset[int], str | None]]


@dataclass(frozen=True)
class Grid:
    """The census over the grid.

    Attributes
    ----------
    cuts, resolutions
        Its sides, ascending; the cuts as phi.
    cells : list of Cell
    egos : list of Egos
        Ego subgraphs of the real graph at the cuts next to the backbone's own.
    clustering : list of dict
        Mean local clustering of the three graphs at each cut.
    """

    cuts: tuple[float, ...]
    resolutions: tuple[float, ...]
    cells: list[Cell]
    egos: list[Egos]
    clustering: list[dict[str, float]]


def grid_resolutions(levels: Sequence[float]) -> tuple[float, ...]:
    """Return the six resolutions of the grid: the three levels, between the first two, and beyond both ends."""
    coarse, middle, fine = levels
    return (coarse / 2, coarse, (coarse * middle) ** 0.5, middle, fine, 2 * fine)


def census_grid(
    wide: igraph.Graph,
    cut: float,
    firings: Firings,
    labels: npt.NDArray[np.integer],
    *,
    factors: Sequence[float] = GRID_CUTS,
    resolutions: Sequence[float],
    rules: Rules,
    seed: int = 0,
    track: Track = untracked,
) -> Grid:
    """Return the communities and their classes in every cell, on the real graph and on two rewired ones.

    At each cut the real graph, a copy with every degree kept, and one that keeps clustering, too, are
    cut into communities at each resolution, not nested, and classed by the same rules; leaves are
    tested in families of their own, one a graph.

    Parameters
    ----------
    wide
        Edges down to the lowest cut, nodes in order of index.
    cut
        Smallest phi on the backbone.
    factors
        Cuts, as multiples of it.
    resolutions
        gamma of each column.
    """
    cuts = tuple(sorted(cut * factor for factor in factors))
    graphs = [(value, at_cut(wide, value)) for value in cuts]
    cells: list[Cell] = []
    clustering: list[dict[str, float]] = [{} for _ in cuts]
    for kind in GRAPHS:
        copies = [(value, _copy(graph, kind, seed)) for value, graph in graphs]
        for figures, (_, graph) in zip(clustering, copies, strict=True):
            figures[kind] = _clustering(graph)
        cells += _cells(kind, copies, resolutions, firings, labels, rules, seed, track)
    place = int(np.argmin(np.abs(np.asarray(cuts) - cut)))
    beside = [graphs[i] for i in (place - 1, place + 1) if 0 <= i < len(graphs)]
    egos = _egos(beside, firings, labels, rules, track)
    return Grid(cuts, tuple(sorted(resolutions)), cells, egos, clustering)


def at_cut(graph: igraph.Graph, cut: float) -> igraph.Graph:
    """Return the graph of the edges with phi >= cut, all nodes kept."""
    phi = np.asarray(graph.es["phi"] if graph.ecount() else [], np.float64)
    return graph.subgraph_edges(np.flatnonzero(phi >= cut).tolist(), delete_vertices=False)


def stable_cuts(wide: igraph.Graph, cut: float, communities: Sequence[Community], *, rules: Rules) -> list[int]:
    """Return in how many of five edge cuts the same members have the same class, the backbone's own included.

    A star must keep its hub, too: its leaves were tested under that one.

    Parameters
    ----------
    wide
        Edges down to the lowest of the cuts.
    cut
        Smallest phi on the backbone.
    """
    index = np.asarray(wide.vs["index"], np.int64)
    stable = [0] * len(communities)
    for factor in STABLE_CUTS:
        kept = at_cut(wide, factor * cut)
        for level in dict.fromkeys(community.level for community in communities):
            some = [i for i, community in enumerate(communities) if community.level == level]
            membership = np.full(wide.vcount(), -1, np.int64)
            for number, i in enumerate(some):
                membership[np.searchsorted(index, communities[i].members)] = number
            for i, numbers in zip(some, degrees_of(kept, membership), strict=True):
                stable[i] += _same(communities[i], numbers, rules)
    return stable


def stable_cells(
    grid: Grid,
    cut: float,
    index: Labels,
    communities: Sequence[Community],
    *,
    resolutions: Mapping[str, float],
    rules: Rules,
) -> list[int]:
    """Return in how many neighbouring cells of the grid each community has its class again.

    The neighbours are the up to eight cells of the real graph whose cut and resolution are each the
    same as the community's or next to it, its own left out. It is again the community there with the
    largest Jaccard index, .5 or more.

    Parameters
    ----------
    index
        Feature index of each node of the grid's graphs, ascending; int64, shape (n_nodes,).
    resolutions
        gamma of each level.
    """
    row = int(np.argmin(np.abs(np.asarray(grid.cuts) - cut)))
    found = [0] * len(communities)
    real = {(cell.cut, cell.resolution): cell for cell in grid.cells if cell.graph == "real"}
    for i, community in enumerate(communities):
        column = int(np.argmin(np.abs(np.asarray(grid.resolutions) - resolutions[community.level])))
        shape = community_shape(community.numbers, community.evidence, rules)
        nodes = np.searchsorted(index, community.members)
        for r in range(max(row - 1, 0), min(row + 2, len(grid.cuts))):
            for c in range(max(column - 1, 0), min(column + 2, len(grid.resolutions))):
                if (r, c) != (row, column):
                    found[i] += _matching(real[grid.cuts[r], grid.resolutions[c]], nodes) == shape
    return found


def stable_ego_cuts(grid: Grid, egos: Sequence[tuple[Candidate, float, Evidence]], rules: Rules) -> list[int]:
    """Return at how many of the neighbouring cuts each ego subgraph has its class again.

    It is again the one of the same hub, where the two sets of leaves have a Jaccard index of .5 or more.
    """
    found = []
    for candidate, _, evidence in egos:
        shape, leaves, times = ego_shape(len(candidate.leaves), evidence, rules), frozenset(candidate.leaves), 0
        for there in grid.egos:
            others, other_shape = there.by_hub.get(candidate.hub, (frozenset(), None))
            times += shape == other_shape and len(leaves & others) >= MIN_JACCARD * len(leaves | others)
        found.append(times)
    return found


def grid_rows(grid: Grid | None) -> dict[str, list[Any]]:
    """Return the columns of the table of the census over the grid, every class of every cell; empty without one."""
    counts: Counter[tuple[str, float, float, str]] = Counter()
    for cell in grid.cells if grid else []:
        for shape in cell.shapes:
            if shape is not None:
                counts[cell.graph, cell.cut, cell.resolution, shape] += 1
    names = ("graph", "phi_cut", "resolution", "shape")
    rows = sorted(counts)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)} | {"count": [counts[row] for row in rows]}


def _copy(graph: igraph.Graph, kind: str, seed: int) -> igraph.Graph:
    if kind == "real":
        return graph
    return rewire(graph, seed=seed) if kind == "rewired" else rewire_clustered(graph, seed=seed)


def _clustering(graph: igraph.Graph) -> float:
    """Return the mean local clustering of the nodes that have an edge; 0 where none has."""
    joined = np.asarray(graph.degree(), np.int64) > 0
    local = np.asarray(graph.transitivity_local_undirected(mode="zero"))[joined]
    return float(local.mean()) if len(local) else 0.0


def _cells(
    kind: str,
    graphs: Sequence[tuple[float, igraph.Graph]],
    resolutions: Sequence[float],
    firings: Firings,
    labels: npt.NDArray[np.integer],
    rules: Rules,
    seed: int,
    track: Track,
) -> list[Cell]:
    """Return the cells of one kind of graph: communities first, then the leaves of all their stars at once."""
    laid: list[tuple[float, float, Labels, list[Degrees]]] = []
    stars: dict[tuple[int, int], Candidate] = {}
    for cut, graph in graphs:
        index = np.asarray(graph.vs["index"], np.int64)
        for resolution in resolutions:
            membership = partition(graph, resolution=resolution, seed=seed)
            numbers = degrees_of(graph, membership)
            for number, (nodes, one) in enumerate(zip(groups(membership), numbers, strict=True)):
                if community_shape(one, Evidence(), rules) == "star-like":
                    stars[len(laid), number] = candidate_of(np.sort(index[nodes]), one.hub)
            laid.append((cut, resolution, membership, numbers))
    evidence = dict(zip(stars, leaf_evidence(firings, labels, list(stars.values()), track=track), strict=True))
    return [
        Cell(
            kind,
            cut,
            resolution,
            membership,
            [
                community_shape(one, evidence.get((place, number), Evidence()), rules) if one.size > 1 else None
                for number, one in enumerate(numbers)
            ],
        )
        for place, (cut, resolution, membership, numbers) in enumerate(laid)
    ]


def _egos(
    graphs: Sequence[tuple[float, igraph.Graph]],
    firings: Firings,
    labels: npt.NDArray[np.integer],
    rules: Rules,
    track: Track,
) -> list[Egos]:
    found = []
    for cut, graph in graphs:
        candidates = [one for one, _ in ego_candidates(graph, firings.firing_count, min_leaves=rules.min_leaves)]
        evidence = leaf_evidence(firings, labels, candidates, track=track)
        found.append(
            Egos(
                cut,
                {
                    one.hub: (frozenset(one.leaves), ego_shape(len(one.leaves), its, rules))
                    for one, its in zip(candidates, evidence, strict=True)
                },
            )
        )
    return found


def _same(community: Community, numbers: Degrees, rules: Rules) -> bool:
    shape = community_shape(community.numbers, community.evidence, rules)
    star = shape in ("hub-spoke", "star-like")
    return community_shape(numbers, community.evidence, rules) == shape and (
        not star or numbers.hub == community.numbers.hub
    )


def _matching(cell: Cell, nodes: Labels) -> CommunityShape | None:
    """Return the class of the community that holds most of the nodes and little else; None where there is none."""
    inside = np.bincount(cell.membership[nodes], minlength=len(cell.shapes))
    sizes = np.bincount(cell.membership, minlength=len(cell.shapes))
    jaccard = inside / (len(nodes) + sizes - inside)
    best = int(np.argmax(jaccard))
    return cell.shapes[best] if jaccard[best] >= MIN_JACCARD else None
