"""The community that a feature leans to beside its own."""

from __future__ import annotations

import igraph
import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.communities.leiden import Labels, ends


def second_best(graph: igraph.Graph, membership: Labels) -> tuple[Labels, npt.NDArray[np.float64]]:
    """Return each node's second community and the share of its weight that goes there.

    It is the community other than its own to whose members the node's edges weigh most; ties go to
    the lower number. A feature with two senses has a high share; a hard partition hides it. A large
    community draws weight by its size alone, so a high share is no proof of a second sense. Edges of
    negative weight count for nothing, and a lone node is no community.

    Returns
    -------
    second : int64, shape (n_nodes,)
        -1 where all of the weight stays in the node's community or goes to lone nodes.
    share : float64, shape (n_nodes,), within [0, 1]
        Of the weight of all the node's edges; 0 where `second` is -1.
    """
    n = graph.vcount()
    a, b = ends(graph)
    weight = np.maximum(np.asarray(graph.es["phi"] if len(a) else [], np.float64), 0)
    node, other, weight = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([weight, weight])
    total = np.bincount(node, weight, minlength=n)
    goes = membership[other]
    leaves = (goes != membership[node]) & (np.bincount(membership, minlength=1)[goes] >= 2) & (weight > 0)
    shape = (n, int(membership.max(initial=0)) + 1)
    to = scipy.sparse.coo_matrix((weight[leaves], (node[leaves], goes[leaves])), shape=shape).tocsr().tocoo()
    order = np.lexsort((to.col, -to.data, to.row))
    rows, first = np.unique(to.row[order], return_index=True)
    second, share = np.full(n, -1, np.int64), np.zeros(n)
    second[rows] = to.col[order][first]
    share[rows] = np.minimum(to.data[order][first] / total[rows], 1)
    return second, share
