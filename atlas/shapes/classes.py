"""The rules that give a subgraph its class, in Python: what the Cypher queries are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atlas.shapes.exclusivity import Evidence
from atlas.shapes.topology import Degrees, Topology

CommunityShape = Literal["pair", "triangle", "fully connected", "hub-spoke", "star-like", "undetermined"]
EgoShape = Literal["hub-spoke", "joint", "mixed"]


@dataclass(frozen=True)
class Rules:
    """Thresholds of the classes; the queries' parameters have the same names and defaults.

    Attributes
    ----------
    min_density : float
        From here a community is fully connected.
    min_centralization : float
        From here one of lower density is a star by topology.
    min_leaves : int
        Leaves that an ego subgraph needs for a class.
    min_testable : int
        Testable pairs of leaves that a claim about exclusivity needs.
    min_cover : float
        Share of the leaves that these pairs must cover.
    min_depleted, min_enriched : float
        Share of the testable pairs that must be exclusive, or joint.
    """

    min_density: float = 0.8
    min_centralization: float = 0.6
    min_leaves: int = 4
    min_testable: int = 3
    min_cover: float = 0.5
    min_depleted: float = 0.5
    min_enriched: float = 0.8


def covered(evidence: Evidence, leaves: int, rules: Rules) -> bool:
    """Return whether enough pairs of leaves are testable for a claim about their exclusivity."""
    return evidence.testable_pairs >= rules.min_testable and evidence.covered_leaves >= rules.min_cover * leaves


def _exclusive(evidence: Evidence, leaves: int, rules: Rules) -> bool:
    return (
        covered(evidence, leaves, rules)
        and evidence.depleted_pairs >= rules.min_depleted * evidence.testable_pairs
        and evidence.depleted_pairs > evidence.enriched_pairs
    )


def community_shape(numbers: Topology | Degrees, evidence: Evidence, rules: Rules | None = None) -> CommunityShape:
    """Return the class of a community.

    A star by topology is `hub-spoke` only where its leaves are exclusive given the hub; else it
    is `star-like`, which sparse random graphs of the same degrees show as often.
    """
    rules = rules or Rules()
    if numbers.size == 2:
        return "pair"
    if numbers.size == 3:
        return "triangle" if numbers.n_edges == 3 else "undetermined"
    if numbers.density >= rules.min_density:
        return "fully connected"
    if numbers.centralization >= rules.min_centralization:
        return "hub-spoke" if _exclusive(evidence, numbers.size - 1, rules) else "star-like"
    return "undetermined"


def ego_shape(leaves: int, evidence: Evidence, rules: Rules | None = None) -> EgoShape | None:
    """Return the class of an ego subgraph with `leaves` leaves; None where they are too few."""
    rules = rules or Rules()
    if leaves < rules.min_leaves:
        return None
    if _exclusive(evidence, leaves, rules):
        return "hub-spoke"
    if covered(evidence, leaves, rules) and evidence.enriched_pairs >= rules.min_enriched * evidence.testable_pairs:
        return "joint"
    return "mixed"
