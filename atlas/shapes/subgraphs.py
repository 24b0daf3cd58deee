"""The two kinds of subgraphs that have a shape: communities, and the ego subgraph of each feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import igraph
import numpy as np
import numpy.typing as npt

from atlas.firings import Firings
from atlas.shapes.classes import Rules, community_shape, ego_shape
from atlas.shapes.exclusivity import Candidate, Evidence, leaf_evidence
from atlas.shapes.topology import Degrees, degrees_of
from atlas.tracking import Track

Memberships = dict[str, npt.NDArray[np.int64]]
"""Number of each node's community by level, from 0 without gaps, -1 where it has none; int64, shape (n_nodes,)."""


@dataclass(frozen=True)
class Community:
    """A community of two or more features.

    Attributes
    ----------
    level, number : str, int
        What it is called.
    members : int64, shape (size,)
        Feature indices, ascending.
    numbers : Degrees
        What its class is read from.
    evidence : Evidence
        What the leaves of its hub do under the hub.
    """

    level: str
    number: int
    members: npt.NDArray[np.int64]
    numbers: Degrees
    evidence: Evidence


@dataclass(frozen=True)
class Subgraphs:
    """The communities and ego subgraphs of one graph, with the evidence for each.

    Attributes
    ----------
    communities : list of Community
        Communities of two or more.
    egos : list of (candidate, leaf density, evidence)
        Features with enough rarer neighbours.
    ego_basis : list of str or None
        Whether each ego's class holds within vocabulary items, too.
    """

    communities: list[Community]
    egos: list[tuple[Candidate, float, Evidence]]
    ego_basis: list[str | None]


def subgraphs(
    graph: igraph.Graph,
    memberships: Memberships,
    firings: Firings,
    labels: npt.NDArray[np.integer],
    rules: Rules,
    track: Track,
) -> Subgraphs:
    """Return the communities and ego subgraphs of a graph with the evidence for each."""
    index = np.asarray(graph.vs["index"], np.int64)
    found = [
        (level, number, np.sort(index[nodes]), numbers)
        for level, membership in memberships.items()
        for number, (nodes, numbers) in enumerate(
            zip(groups(membership), degrees_of(graph, membership), strict=True)
        )
        if len(nodes) >= 2
    ]
    egos = ego_candidates(graph, firings.firing_count, min_leaves=rules.min_leaves)
    candidates = [candidate_of(members, numbers.hub) for _, _, members, numbers in found]
    candidates += [candidate for candidate, _ in egos]
    evidence = leaf_evidence(firings, labels, candidates, track=track)
    n = len(found)
    found_egos = [(*ego, its) for ego, its in zip(egos, evidence[n:], strict=True)]
    return Subgraphs(
        [Community(*community, its) for community, its in zip(found, evidence[:n], strict=True)],
        found_egos,
        ego_bases(firings, found_egos, rules, track),
    )


def groups(membership: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the nodes of each community, ascending; nodes of number -1 are in none."""
    order = np.argsort(membership, kind="stable")
    order = order[membership[order] >= 0]
    return np.split(order, np.flatnonzero(np.diff(membership[order])) + 1) if len(order) else []


def candidate_of(members: npt.NDArray[np.int64], hub: int) -> Candidate:
    """Return a community's hub with its leaves, none where it has three members or fewer."""
    return Candidate(hub, tuple(i for i in members.tolist() if i != hub) if len(members) > 3 else ())


def ego_bases(
    firings: Firings, egos: Sequence[tuple[Candidate, float, Evidence]], rules: Rules, track: Track
) -> list[str | None]:
    """Return for each hub-spoke or joint ego whether its class holds within vocabulary items, too.

    A position holds one vocabulary item, so features of words exclude each other for free: such an
    ego is `lexical`, and `contextual` is one whose leaves exclude (or attract) each other on one
    and the same item. Other classes have none.
    """
    shapes = [ego_shape(len(candidate.leaves), evidence, rules) for candidate, _, evidence in egos]
    claimed = [place for place, shape in enumerate(shapes) if shape in ("hub-spoke", "joint")]
    items = np.asarray(firings.token_id)
    within = leaf_evidence(firings, items, [egos[place][0] for place in claimed], track=track)
    bases: list[str | None] = [None] * len(egos)
    for place, evidence in zip(claimed, within, strict=True):
        holds = ego_shape(len(egos[place][0].leaves), evidence, rules) == shapes[place]
        bases[place] = "contextual" if holds else "lexical"
    return bases


def ego_candidates(
    graph: igraph.Graph, firing_count: npt.NDArray[np.int64], *, min_leaves: int
) -> list[tuple[Candidate, float]]:
    """Return each feature with enough rarer neighbours, its leaves, and their density.

    Rarer means a smaller firing count; of equal counts the higher index is the rarer.
    """
    index = np.asarray(graph.vs["index"], np.int64)
    found = []
    for node in range(graph.vcount()):
        key = (-firing_count[index[node]], index[node])
        leaves = [other for other in graph.neighbors(node) if (-firing_count[index[other]], index[other]) > key]
        if len(leaves) >= min_leaves:
            edges = graph.induced_subgraph(leaves).ecount()
            density = 2 * edges / (len(leaves) * (len(leaves) - 1))
            found.append((Candidate(int(index[node]), tuple(sorted(index[leaves].tolist()))), density))
    return found


def basis_counts(found: Subgraphs, rules: Rules) -> dict[str, dict[str, int]]:
    """Return how many egos of each class hold within vocabulary items, and how many do not."""
    counts: dict[str, dict[str, int]] = {}
    for (candidate, _, evidence), basis in zip(found.egos, found.ego_basis, strict=True):
        shape = ego_shape(len(candidate.leaves), evidence, rules)
        if shape is not None and basis is not None:
            counts.setdefault(shape, {"contextual": 0, "lexical": 0})[basis] += 1
    return counts


def census(found: Subgraphs, rules: Rules) -> Counter[tuple[str, str]]:
    """Return how many subgraphs of each kind have each class."""
    counts: Counter[tuple[str, str]] = Counter()
    for community in found.communities:
        counts[community.level, community_shape(community.numbers, community.evidence, rules)] += 1
    for candidate, _, evidence in found.egos:
        counts["ego", ego_shape(len(candidate.leaves), evidence, rules) or "mixed"] += 1
    return counts
