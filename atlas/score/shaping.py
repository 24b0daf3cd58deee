"""What the atlas and its peer call the planted graphs of W8."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import igraph
import numpy as np

from atlas.score.judging import Counts
from atlas.shapes import Evidence, community_shape, describe, peer_scores, topology
from atlas.shapes.placements import EXACT

Classifier = Callable[[igraph.Graph], str]
"""Names the shape of a connected graph with node attribute `index` and edge attribute `phi`."""
ARCHETYPE = {"hub-spoke": "star", "star-like": "star", "fully connected": "clique"}
"""The archetype that a class claims; the other classes have its name."""
PEER = ("star", "clique", "chain")
"""The archetypes of the peer's three scores, in their order."""
SEARCHED = ("chain", "ring")
"""Templates that are told, too, with every placement gone through."""
LARGE = 8
"""Nodes from which chance may make few stars."""
BANDS = ((4, 7), (8, 12), (13, 20))
"""Sizes by which the recall of stars is told apart."""


def atlas_shape(graph: igraph.Graph, *, exact: int = EXACT) -> str:
    """Return the archetype that the atlas claims by topology alone: a graph has no firings to test.

    Parameters
    ----------
    exact
        Nodes up to which every placement of a template is gone through.
    """
    shape = str(community_shape(topology(graph), Evidence()))
    if shape == "undetermined":
        described = describe(graph, exact=exact)
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
        `shapes, WHO: SHAPE`, hits over graphs of that shape, of stars also by size; `shapes, WHO: false
        star, n < 8` (n >= 8), stars over random connected graphs of that size; and for chains and rings
        `shapes, every placement: SHAPE`, what the atlas would claim if it searched for none: the rule's
        own bound under this noise.
    confusion
        By classifier, planted shape and the shape called.
    """
    hits: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    confusion: dict[str, dict[str, dict[str, int]]] = {who: {} for who in CLASSIFIERS}
    for shape, n, graph in graphs:
        for who, classify in CLASSIFIERS.items():
            called = classify(graph)
            row = confusion[who].setdefault(shape, {})
            row[called] = row.get(called, 0) + 1
            for name, hit in _trials(shape, n, called):
                hits[f"shapes, {who}: {name}"][0] += hit
                hits[f"shapes, {who}: {name}"][1] += 1
        if shape in SEARCHED:
            hits[f"shapes, every placement: {shape}"][0] += atlas_shape(graph, exact=n) == shape
            hits[f"shapes, every placement: {shape}"][1] += 1
    return {name: (hit, trials) for name, (hit, trials) in hits.items()}, confusion


def _trials(shape: str, n: int, called: str) -> list[tuple[str, bool]]:
    """Return the figures that a graph is a trial of, and whether it is a hit."""
    if shape == "random":
        return [(f"false star, n {'>=' if n >= LARGE else '<'} {LARGE}", called == "star")]
    hit = called == shape
    bands = [(f"star, n {low} to {high}", hit) for low, high in BANDS if shape == "star" and low <= n <= high]
    return [(shape, hit), *bands]
