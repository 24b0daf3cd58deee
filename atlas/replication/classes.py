"""The class of the same members, and of the same hub and leaves, on each half of the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import igraph
import numpy as np
import numpy.typing as npt

from atlas.communities import LEVELS
from atlas.communities.stage import graph_of
from atlas.replication.claims import Claims, Community
from atlas.replication.recompute import Found
from atlas.shapes import Candidate, Degrees, Evidence, Rules, community_shape, degrees_of, ego_shape, leaf_evidence
from atlas.shapes.classes import covered
from atlas.shapes.subgraphs import candidate_of
from atlas.tracking import Track

MIN_SHARE = 0.8
"""Share of the members that must be alive in both halves for a class to be looked at again."""
STARS = ("hub-spoke", "star-like")


@dataclass(frozen=True)
class Again:
    """The classes of subgraphs in both halves.

    Attributes
    ----------
    shapes : list of (class or None) per half, or None
        None where too few of the members are alive in both halves.
    halves : list of int or None
        In how many the class is the same; None also where a half has too few pairs of leaves to test what the
        class claims about them.
    """

    shapes: list[list[str | None] | None]
    halves: list[int | None]


def communities_again(
    claims: Claims, halves: Sequence[Found], alive: npt.NDArray[np.bool_], *, track: Track
) -> Again:
    """Return the class of each community's members on the backbone of each half.

    The members are those of the run that are alive in both halves, at least four fifths of them, and four (or all
    of two or three). A star must have the same hub again.
    """
    members = [one.members[alive[one.members]] for one in claims.communities]
    wanted = [
        place
        for place, (one, kept) in enumerate(zip(claims.communities, members, strict=True))
        if len(kept) >= max(MIN_SHARE * len(one.members), min(4, len(one.members)))
    ]
    subjects = [(claims.communities[place].level, members[place]) for place in wanted]
    found = [_shapes(half, subjects, claims.rules, track) for half in halves]
    again = _nothing(len(claims.communities))
    for at, place in enumerate(wanted):
        one = claims.communities[place]
        again.shapes[place] = [half[at][0] for half in found]
        if one.shape != "hub-spoke" or all(half[at][2] for half in found):
            again.halves[place] = sum(_same(one, *half[at][:2]) for half in found)
    return again


def egos_again(claims: Claims, halves: Sequence[Found], alive: npt.NDArray[np.bool_], *, track: Track) -> Again:
    """Return the class of each hub with the leaves that it has in the run, by the triples of each half."""
    wanted, candidates = [], []
    for place, (ego, shape) in enumerate(claims.egos):
        leaves = tuple(leaf for leaf in ego.leaves if alive[leaf])
        enough = max(MIN_SHARE * len(ego.leaves), claims.rules.min_leaves)
        if shape is not None and alive[ego.hub] and len(leaves) >= enough:
            wanted.append(place)
            candidates.append(Candidate(ego.hub, leaves))
    found = [leaf_evidence(half.firings, half.labels, candidates, track=track) for half in halves]
    again = _nothing(len(claims.egos))
    for at, place in enumerate(wanted):
        n, shape = len(candidates[at].leaves), claims.egos[place][1]
        shapes = [ego_shape(n, half[at], claims.rules) for half in found]
        again.shapes[place] = list(shapes)
        if shape == "mixed" or all(covered(half[at], n, claims.rules) for half in found):
            again.halves[place] = sum(one == shape for one in shapes)
    return again


def _nothing(n: int) -> Again:
    return Again([None] * n, [None] * n)


def _shapes(
    half: Found, subjects: Sequence[tuple[str, npt.NDArray[np.int64]]], rules: Rules, track: Track
) -> list[tuple[str, int, bool]]:
    """Return class, hub, and whether enough pairs of leaves are testable, of members on a half's backbone."""
    graph = _with_nodes(half.graph, [members for _, members in subjects])
    index = np.asarray(graph.vs["index"], np.int64)
    numbers: dict[int, Degrees] = {}
    for level in LEVELS:
        some = [place for place, subject in enumerate(subjects) if subject[0] == level]
        membership = np.full(len(index), -1, np.int64)
        for number, place in enumerate(some):
            membership[np.searchsorted(index, subjects[place][1])] = number
        numbers |= dict(zip(some, degrees_of(graph, membership), strict=True))
    candidates = [candidate_of(members, numbers[place].hub) for place, (_, members) in enumerate(subjects)]
    evidence: list[Evidence] = leaf_evidence(half.firings, half.labels, candidates, track=track)
    return [
        (community_shape(numbers[at], one, rules), numbers[at].hub, covered(one, numbers[at].size - 1, rules))
        for at, one in enumerate(evidence)
    ]


def _with_nodes(graph: igraph.Graph, members: Sequence[npt.NDArray[np.int64]]) -> igraph.Graph:
    """Return a graph with these features among its nodes, in order of index."""
    own = np.asarray(graph.vs["index"] if graph.vcount() else [], np.int64)
    index = np.unique(np.concatenate([own, *members]))
    place = np.searchsorted(index, own)
    a, b = place[np.asarray(graph.get_edgelist(), np.int64).reshape(-1, 2)].T
    return graph_of(index, a, b, np.asarray(graph.es["phi"] if graph.ecount() else [], np.float64))


def _same(one: Community, shape: str, hub: int) -> bool:
    return shape == one.shape and (shape not in STARS or hub == one.hub)
