"""What shape a community or an ego subgraph has, and the evidence for it."""

from atlas.shapes.classes import Rules, community_shape, ego_shape
from atlas.shapes.exclusivity import Candidate, Evidence, leaf_evidence
from atlas.shapes.rewired import rewire
from atlas.shapes.stage import STRUCTURE, structure
from atlas.shapes.topology import Topology, topology

__all__ = [
    "STRUCTURE",
    "Candidate",
    "Evidence",
    "Rules",
    "Topology",
    "community_shape",
    "ego_shape",
    "leaf_evidence",
    "rewire",
    "structure",
    "topology",
]
