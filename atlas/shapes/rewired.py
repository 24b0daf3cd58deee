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
def _marked(indptr, neighbours, node, mark, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many neighbours of a node are marked."""
    marked = 0
    for k in range(indptr[node], indptr[node + 1]):
        marked += mark[neighbours[k]] == stamp
    return marked


@numba.njit(cache=True, nogil=True)
def _replace(indptr, neighbours, node, old, new):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for k in range(indptr[node], indptr[node + 1]):
        if neighbours[k] == old:
            neighbours[k] = new
            return


@numba.njit(cache=True, nogil=True)
def _gain(indptr, neighbours, a, b, c, e, mark, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the triangles more that (a, b) and (c, e) make than (a, c) and (b, e), for which they stand.

    Triangles of an edge are the neighbours that its ends share. Those of the new edges that pass through an
    old one, (a, b, c), (a, b, e), (c, e, a) and (c, e, b), go with it.
    """
    gain = 0
    for node, new, old, number in ((a, b, c, stamp), (e, c, b, stamp + 1)):
        for k in range(indptr[node], indptr[node + 1]):
            mark[neighbours[k]] = number
        gain += _marked(indptr, neighbours, new, mark, number) - _marked(indptr, neighbours, old, mark, number)
    return gain - 2 * _has(indptr, neighbours, a, e) - 2 * _has(indptr, neighbours, b, c)


@numba.njit(cache=True, nogil=True)
def _close(indptr, neighbours, missing, trials, seed):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Join neighbours of nodes in place until `missing` triangles are made; a node keeps its row's length."""
    np.random.seed(seed)
    mark, stamp = np.full(len(indptr) - 1, -1), 0
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
        gain = _gain(indptr, neighbours, a, b, c, e, mark, stamp)
        stamp += 2
        if gain >= 0:
            missing -= gain
            for node, old, new in ((a, c, b), (c, a, e), (b, e, a), (e, b, c)):
                _replace(indptr, neighbours, node, old, new)
