"""What shape a community or an ego subgraph has, and the evidence for it."""

from atlas.shapes.chance import centralization_p, chance_of, connected_graphs
from atlas.shapes.classes import Rules, community_shape, ego_shape
from atlas.shapes.evidence import GraphEvidence, graph_evidence
from atlas.shapes.exclusivity import Candidate, Evidence, leaf_evidence, role_of_hub
from atlas.shapes.families import ego_family
from atlas.shapes.grid import census_grid
from atlas.shapes.peer import PeerCut, peer_clusters, peer_cut, peer_scores
from atlas.shapes.rewired import rewire, rewire_clustered
from atlas.shapes.stage import STRUCTURE, structure
from atlas.shapes.templates import Description, describe
from atlas.shapes.topology import Degrees, Topology, degrees_of, topology

__all__ = [
    "STRUCTURE",
    "Candidate",
    "Degrees",
    "Description",
    "Evidence",
    "GraphEvidence",
    "PeerCut",
    "Rules",
    "Topology",
    "census_grid",
    "centralization_p",
    "chance_of",
    "community_shape",
    "connected_graphs",
    "degrees_of",
    "describe",
    "ego_family",
    "ego_shape",
    "graph_evidence",
    "leaf_evidence",
    "peer_clusters",
    "peer_cut",
    "peer_scores",
    "rewire",
    "rewire_clustered",
    "role_of_hub",
    "structure",
    "topology",
]
