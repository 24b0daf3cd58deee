"""All that the graph of one community says of its shape."""

from __future__ import annotations

from dataclasses import dataclass

import igraph

from atlas.shapes.chance import centralization_p
from atlas.shapes.templates import Description, describe
from atlas.shapes.topology import Topology, topology


@dataclass(frozen=True)
class GraphEvidence:
    """Numbers, shortest description and p-value of the centralization of one subgraph."""

    numbers: Topology
    description: Description | None
    p: float | None


def graph_evidence(graph: igraph.Graph, *, seed: int = 0) -> GraphEvidence:
    """Return the evidence in a simple graph with edge attribute `phi` and node attribute `index`."""
    numbers = topology(graph)
    return GraphEvidence(numbers, describe(graph), centralization_p(numbers, seed=seed))
