"""What the atlas and its peer call the planted graphs of W8."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import igraph
import numpy as np

from atlas.score.judging import Counts
from atlas.shapes import Evidence, community_shape, describe, peer_scores, topology

Classifier = Callable[[igraph.Graph], str]
"""Names the shape of a connected graph with node attribute `index` and edge attribute `phi`."""
ARCHETYPE = {"hub-spoke": "star", "star-like": "star", "fully connected": "clique"}
"""The archetype that a class claims; the other classes have its name."""
PEER = ("star", "clique", "chain")
"""The archetypes of the peer's three scores, in their order."""
LARGE = 8
"""Nodes from which chance may make few stars."""
BANDS = ((4, 7), (8, 12), (13, 20))
"""Sizes by which the recall of stars is told apart."""


def atlas_shape(graph: igraph.Graph) -> str:
    """Return the archetype that the atlas claims by topology alone: a graph has no firings to test."""
    shape = str(community_shape(topology(graph), Evidence()))
    if shape == "undetermined":
        described = describe(graph)
        shape = "undetermined" if described is None else described.template
    return ARCHETYPE.get(shape, shape)


def peer_shape(graph: igraph.Graph) -> str:
    """Return the archetype whose score of Clarke et al. is the largest; they know no `undetermined`."""
    numbers = topology(graph)
    scores = peer_scores(
        size=numbers.size,
        density=numbers.density,
        degree_ratio=numbers.degree_ratio,
        clustering=numbers.clustering,
        diameter=numbers.diameter,
    )
    return PEER[int(np.argmax(scores))]


CLASSIFIERS: dict[str, Classifier] = {"atlas": atlas_shape, "peer": peer_shape}


def graph_counts(
    graphs: Iterable[tuple[str, int, igraph.Graph]],
) -> tuple[Counts, dict[str, dict[str, dict[str, int]]]]:
    """Return recall of each shape, stars called on random graphs, and the confusion of each classifier.

    Returns
    -------
    counts
        `shapes, WHO: SHAPE`, hits over graphs of that shape, of stars also by size; and `shapes, WHO:
        false star, n < 8` (n >= 8), stars over random connected graphs of that size.
    confusion
        By classifier, planted shape and the shape called.
    """
    hits: dict[str, list[int]] = {}
    confusion: dict[str, dict[str, dict[str, int]]] = {who: {} for who in CLASSIFIERS}
    for shape, n, graph in graphs:
        for who, classify in CLASSIFIERS.items():
            called = classify(graph)
            row = confusion[who].setdefault(shape, {})
            row[called] = row.get(called, 0) + 1
            for name, hit in _trials(shape, n, called):
                count = hits.setdefault(f"shapes, {who}: {name}", [0, 0])
                count[0] += hit
                count[1] += 1
    return {name: (hit, trials) for name, (hit, trials) in hits.items()}, confusion


def _trials(shape: str, n: int, called: str) -> list[tuple[str, bool]]:
    """Return the figures that a graph is a trial of, and whether it is a hit."""
    if shape == "random":
        return [(f"false star, n {'>=' if n >= LARGE else '<'} {LARGE}", called == "star")]
    hit = called == shape
    bands = [(f"star, n {low} to {high}", hit) for low, high in BANDS if shape == "star" and low <= n <= high]
    return [(shape, hit), *bands]
