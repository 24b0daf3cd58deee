"""The backbone rewired at random with every degree kept: what the census looks like by chance."""

from __future__ import annotations

import igraph
import numba
import numpy as np

from atlas.communities.leiden import seeded

TRIALS = 200


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


def rewire_clustered(graph: igraph.Graph, *, seed: int, trials: int = TRIALS) -> igraph.Graph:
    """Return a rewired copy whose triangles are restored: every degree and the clustering are kept.

    The copy of `rewire` loses its triangles; then two neighbours a and b of a random node are joined,
    (a, c) and (b, d) giving way to (a, b) and (c, d), wherever that makes no triangles fewer, until
    there are as many as in the graph. What this copy shows as often, degrees and clustering alone
    explain. Where the trials end first, it has fewer triangles: compare the clustering of the two.

    Parameters
    ----------
    trials
        Joins tried at most, for each edge.

    References
    ----------
    Bansal, Khandelwal, Meyers 2009, doi:10.1186/1471-2105-10-405.
    """
    copy = rewire(graph, seed=seed)
    ends = np.asarray(copy.get_edgelist(), np.int64).reshape(-1, 2)
    degree = np.asarray(copy.degree(), np.int64)
    indptr = np.concatenate([[0], np.cumsum(degree)])
    both = np.concatenate([ends, ends[:, ::-1]])
    neighbours = both[np.argsort(both[:, 0], kind="stable"), 1].copy()
    missing = len(graph.list_triangles()) - len(copy.list_triangles())
    if missing > 0:
        _close(indptr, neighbours, missing, trials * len(ends), seed)
    owner = np.repeat(np.arange(len(degree)), degree)
    once = owner < neighbours
    closed = igraph.Graph(len(degree), np.column_stack([owner[once], neighbours[once]]).tolist())
    closed.vs["index"] = graph.vs["index"]
    closed.es["phi"] = copy.es["phi"] if len(ends) else []
    return closed


@numba.njit(cache=True, nogil=True)
def _has(indptr, neighbours, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if indptr[x + 1] - indptr[x] > indptr[y + 1] - indptr[y]:
        x, y = y, x
    for k in range(indptr[x], indptr[x + 1]):  # noqa: SIM110 - any() over a generator does not compile
        if neighbours[k] == y:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _shared(indptr, neighbours, x, y, mark, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many neighbours two nodes share: the triangles of their edge."""
    for k in range(indptr[x], indptr[x + 1]):
        mark[neighbours[k]] = stamp
    shared = 0
    for k in range(indptr[y], indptr[y + 1]):
        if mark[neighbours[k]] == stamp:
            shared += 1
    return shared


@numba.njit(cache=True, nogil=True)
def _replace(indptr, neighbours, node, old, new):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for k in range(indptr[node], indptr[node + 1]):
        if neighbours[k] == old:
            neighbours[k] = new
            return


@numba.njit(cache=True, nogil=True)
def _close(indptr, neighbours, missing, trials, seed):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Join neighbours of nodes in place until `missing` triangles are made; a node keeps its row's length."""
    np.random.seed(seed)
    n = len(indptr) - 1
    mark, stamp = np.full(n + 2, -1), 0  # n and n + 1 are no nodes: they stand where an edge is away
    for _ in range(trials):
        if missing <= 0:
            return
        v = neighbours[np.random.randint(0, len(neighbours))]  # by degree
        d = indptr[v + 1] - indptr[v]
        if d < 2:
            continue
        a = neighbours[indptr[v] + np.random.randint(0, d)]
        b = neighbours[indptr[v] + np.random.randint(0, d)]
        if a == b or _has(indptr, neighbours, a, b):
            continue
        c = neighbours[indptr[a] + np.random.randint(0, indptr[a + 1] - indptr[a])]
        e = neighbours[indptr[b] + np.random.randint(0, indptr[b + 1] - indptr[b])]
        if v in (c, e) or c == e or _has(indptr, neighbours, c, e):
            continue
        lost = _shared(indptr, neighbours, a, c, mark, stamp) + _shared(indptr, neighbours, b, e, mark, stamp + 1)
        for node, old, none in ((a, c, n), (c, a, n), (b, e, n + 1), (e, b, n + 1)):  # both edges away
            _replace(indptr, neighbours, node, old, none)
        gained = _shared(indptr, neighbours, a, b, mark, stamp + 2)
        gained += _shared(indptr, neighbours, c, e, mark, stamp + 3)
        stamp += 4
        if gained >= lost:
            missing -= gained - lost
            new = ((a, b, n), (c, e, n), (b, a, n + 1), (e, c, n + 1))
        else:
            new = ((a, c, n), (c, a, n), (b, e, n + 1), (e, b, n + 1))
        for node, other, none in new:
            _replace(indptr, neighbours, node, none, other)
