"""The backbone rewired at random with every degree kept: what the census looks like by chance."""

from __future__ import annotations

import igraph
import numpy as np

from atlas.communities.leiden import seeded


def rewire(graph: igraph.Graph, *, seed: int) -> igraph.Graph:
    """Return a copy with edges rewired at random, every degree kept, and `phi` shuffled over them.

    Ten switches an edge. Stars survive this as often as they arise by chance; cliques and local
    clustering do not.

    References
    ----------
    Maslov, Sneppen 2002, doi:10.1126/science.1065103.
    """
    copy = graph.copy()
    with seeded(seed):
        copy.rewire(n=10 * copy.ecount())
    phi = np.asarray(graph.es["phi"], np.float64) if graph.ecount() else np.zeros(0)
    copy.es["phi"] = np.random.default_rng(seed).permutation(phi).tolist()
    return copy
