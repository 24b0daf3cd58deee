"""The tables of the stage, as columns: features, ego subgraphs, communities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt

from atlas.association import benjamini_hochberg
from atlas.association.testing import Gates
from atlas.captions import caption
from atlas.firings import Firings
from atlas.shapes.chance import chance_of
from atlas.shapes.classes import Rules, community_shape
from atlas.shapes.evidence import GraphEvidence, graph_evidence
from atlas.shapes.families import ego_family
from atlas.shapes.peer import peer_scores
from atlas.shapes.subgraphs import Community, Subgraphs

EVIDENCE = ("testable_pairs", "depleted_pairs", "enriched_pairs", "covered_leaves", "leaf_association", "hub_role")
NUMBERS = (
    "clustering", "diameter", "strength", "n_edges", "density", "centralization", "triangles", "hub", "leaf_ratio",
    "weighted_density", "weighted_centralization", "weighted_clustering",
)  # fmt: skip


def feature_columns(
    firings: Firings, tokens: list[list[str]], gates: Gates, neuronpedia_id: str | None
) -> dict[str, Any]:
    """Return the columns of the table of features."""
    count = firings.firing_count
    density = count / max(firings.n_tokens, 1)
    sums = np.zeros(firings.d_sae)
    largest = np.zeros(firings.d_sae)
    for feature in range(firings.d_sae):
        values = firings.activations_of(feature)
        if len(values):
            sums[feature], largest[feature] = values.sum(dtype=np.float64), values.max()
    kind = np.where(count < gates.min_firings, "dead", np.where(density > gates.max_density, "dense", "alive"))
    return {
        "index": np.arange(firings.d_sae),
        "name": [caption(some, fallback=f"feature {i}") for i, some in enumerate(tokens)],
        "firing_count": count,
        "density": density,
        "class": kind,
        "mean": sums / np.maximum(count, 1),
        "max": largest,
        "top_tokens": tokens,
        "neuronpedia_url": [
            f"https://www.neuronpedia.org/{neuronpedia_id}/{i}" if neuronpedia_id else None
            for i in range(firings.d_sae)
        ],
    }


def ego_columns(real: Subgraphs, tokens: list[list[str]], stable: Sequence[int | None]) -> dict[str, Any]:
    """Return the columns of the table of ego subgraphs."""
    egos = real.egos
    return {
        "index": [candidate.hub for candidate, _, _ in egos],
        "ego_size": [len(candidate.leaves) for candidate, _, _ in egos],
        "leaf_density": [density for _, density, _ in egos],
        **{f"ego_{name}": [getattr(found, name) for _, _, found in egos] for name in EVIDENCE},
        "ego_basis": real.ego_basis,
        "ego_coverage": [found.coverage for _, _, found in egos],
        "ego_hub_given_leaf": [found.hub_given_leaf for _, _, found in egos],
        "ego_family": [ego_family(tokens[one.hub], [tokens[leaf] for leaf in one.leaves]) for one, _, _ in egos],
        "ego_stable_cuts": stable,
    }


def shape_columns(
    graph: igraph.Graph,
    communities: Sequence[Community],
    tokens: list[list[str]],
    rules: Rules,
    *,
    seed: int,
    stable: dict[str, Sequence[int | None]],
) -> dict[str, Any]:
    """Return the columns of the table of shapes.

    Parameters
    ----------
    graph
        The backbone.
    stable
        The columns that other cuts and resolutions decide.
    """
    found = _evidence(graph, communities, seed)
    shapes = [community_shape(one.numbers, one.evidence, rules) for one in communities]
    tops = [_community_tokens(one.members, one.numbers.hub, tokens) for one in communities]
    described = [one.description for one in found]
    return {
        "level": [one.level for one in communities],
        "cluster": [one.number for one in communities],
        "name": [
            caption(top, fallback=f"{one.level} {one.number}") for top, one in zip(tops, communities, strict=True)
        ],
        **{name: [getattr(one.numbers, name) for one in found] for name in NUMBERS},
        **{name: [getattr(one.evidence, name) for one in communities] for name in EVIDENCE},
        "template": [one.template if one else None for one in described],
        "margin_bits": [one.margin_bits if one else None for one in described],
        "p": [one.p for one in found],
        "q": _adjusted(communities, [one.p for one in found]),
        "chance": [chance_of(shape, len(one.members), rules) for shape, one in zip(shapes, communities, strict=True)],
        **stable,
        **_peer_columns(found),
        "top_tokens": tops,
        "shape": shapes,
    }


def _evidence(graph: igraph.Graph, communities: Sequence[Community], seed: int) -> list[GraphEvidence]:
    """Return the evidence for each community; the same members on two levels are looked at once."""
    place = {index: node for node, index in enumerate(graph.vs["index"])}
    known: dict[tuple[int, ...], GraphEvidence] = {}
    for community in communities:
        members = tuple(community.members.tolist())
        if members not in known:
            known[members] = graph_evidence(graph.induced_subgraph([place[i] for i in members]), seed=seed)
    return [known[tuple(community.members.tolist())] for community in communities]


def _adjusted(communities: Sequence[Community], p: Sequence[float | None]) -> list[float | None]:
    """Return Benjamini-Hochberg adjusted p over the distinct communities; the same members are one."""
    distinct = {tuple(one.members.tolist()): value for one, value in zip(communities, p, strict=True)}
    tested = {members: value for members, value in distinct.items() if value is not None}
    q = benjamini_hochberg(np.array(list(tested.values()), np.float64)).tolist()
    adjusted = dict(zip(tested, q, strict=True))
    return [adjusted.get(tuple(one.members.tolist())) for one in communities]


def _peer_columns(found: Sequence[GraphEvidence]) -> dict[str, Any]:
    numbers = [one.numbers for one in found]
    scores = peer_scores(
        size=[one.size for one in numbers],
        density=[one.density for one in numbers],
        degree_ratio=[one.degree_ratio for one in numbers],
        clustering=[one.clustering for one in numbers],
        diameter=[one.diameter if one.components == 1 else one.size - 1 for one in numbers],
    )
    names = ("peer_hub_spoke", "peer_strongly_connected", "peer_linear")
    return {name: scores[:, column] for column, name in enumerate(names)}


def _community_tokens(members: npt.NDArray[np.int64], hub: int, tokens: list[list[str]]) -> list[str]:
    """Return the hub's first item and then the items that most members share, without repeats."""
    shared = Counter(token for member in members for token in tokens[member][:3])
    first = tokens[hub][:1]
    rest = [token for token, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])) if token not in first]
    return [*first, *rest][:8]
