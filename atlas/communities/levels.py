"""One level of communities: many seeds, what they agree on, polished inside the level above."""

from __future__ import annotations

from dataclasses import dataclass

import igraph
import numpy as np
import numpy.typing as npt

from atlas.communities.agreement import mean_agreement, shared_members
from atlas.communities.leiden import Labels, by_size, ends, partition, polish, quality, within
from atlas.communities.processes import Runs, Task, in_turn

SEEDS = 20
AGREED = 0.5
"""Share of the seeds that must put the ends of an edge together for the consensus to keep it."""


@dataclass(frozen=True)
class Level:
    """The communities of one level and how far seeds agree on them.

    Attributes
    ----------
    resolution : float
        gamma.
    membership : int64, shape (n_nodes,)
        Number of each node's community, the largest 0; inside one community of the level above.
    stability : float
        Mean adjusted mutual information over all pairs of seeds, each a run on the whole graph.
    node_stability : float64, shape (n_nodes,)
        Mean over the seeds of the share of co-members that are the same, `shared_members`.
    quality : float
        Of the membership, as in `leiden.quality`.
    """

    resolution: float
    membership: Labels
    stability: float
    node_stability: npt.NDArray[np.float64]
    quality: float


def find_level(
    graph: igraph.Graph, above: Labels, *, resolution: float, seed: int, n_seeds: int = SEEDS, runs: Runs | None = None
) -> Level:
    """Return the communities at a resolution, each inside one community of the level above.

    The edges whose ends at least half of the seeds put together are partitioned again (consensus),
    inside the communities above, and leidenalg polishes the result on the edges inside them. The
    seeds run on the whole graph: stability says how well the data decide the level, not how well
    they decide it given the level above.

    Parameters
    ----------
    above
        Community of each node on the next coarser level; all 0 for the coarsest.
    seed
        First of `n_seeds` consecutive seeds; also that of consensus and polish.
    runs
        What runs the seeds on the graph; by default `in_turn`.

    References
    ----------
    Lancichinetti, Fortunato 2012, doi:10.1038/srep00336 (consensus).
    """
    found = list((runs or in_turn(graph))([Task(resolution, seed + k) for k in range(n_seeds)]))
    a, b = ends(graph)
    together = sum((one[a] == one[b] for one in found), np.zeros(len(a), np.int64))
    agreed = partition(within(graph, above, together >= AGREED * n_seeds), resolution=resolution, seed=seed)
    membership = by_size(polish(within(graph, above), agreed, resolution=resolution, seed=seed))
    return Level(
        resolution,
        membership,
        mean_agreement(found),
        np.mean([shared_members(membership, one) for one in found], axis=0),
        quality(graph, membership, resolution=resolution),
    )
