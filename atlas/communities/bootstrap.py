"""Whether communities come back when the documents are drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import igraph
import numba
import numpy as np
import numpy.typing as npt

from atlas.association.common import meet
from atlas.association.measures import measures
from atlas.communities.agreement import best_jaccard
from atlas.communities.leiden import Labels, ends, partition
from atlas.communities.processes import N_ITERATIONS
from atlas.firings import Firings

REPLICATES = 10


def persistence(
    firings: Firings,
    graph: igraph.Graph,
    levels: Sequence[tuple[float, Labels]],
    *,
    cut: float,
    seed: int,
    n_replicates: int = REPLICATES,
) -> list[npt.NDArray[np.float64]] | None:
    """Return how well each community comes back in a bootstrap over documents: the mean best Jaccard index.

    In each replicate as many documents as there are are drawn with replacement, and phi of every edge
    of the graph is computed again with each document counted as often as it was drawn. Edges below the
    cut are dropped, and Leiden finds communities at the same gamma. A community's
    index is the largest Jaccard index with any of those. Only edges of the graph can come back, and
    those near the cut are lost half of the time: the figure errs on the low side. Levels are not
    nested in the replicates. Edges of negative weight, if there are any, stay as they are.

    Parameters
    ----------
    graph
        The backbone: `index` per node, `phi` per edge.
    levels
        Resolution and membership of each level.
    cut
        Smallest phi that the backbone lets in.
    seed
        Seed of the documents drawn and of Leiden.

    Returns
    -------
    list of float64, shape (n_communities,), within [0, 1], by number; or None
        None where the corpus has fewer than two documents, or the graph no edge.

    References
    ----------
    Hennig 2007, doi:10.1016/j.csda.2006.11.025 (cluster-wise assessment by the Jaccard index).
    """
    present = np.bincount(firings.document, minlength=1) > 0
    if present.sum() < 2 or graph.ecount() == 0:
        return None
    totals = [np.zeros(int(membership.max(initial=-1)) + 1) for _, membership in levels]
    drawn = np.random.default_rng(seed).multinomial(present.sum(), present / present.sum(), n_replicates)
    for number, copy in enumerate(_replicates(firings, graph, drawn, cut)):
        for total, (resolution, membership) in zip(totals, levels, strict=True):
            again = partition(copy, resolution=resolution, seed=seed + number, n_iterations=N_ITERATIONS)
            total += best_jaccard(membership, again)
    return [total / n_replicates for total in totals]


def _replicates(
    firings: Firings, graph: igraph.Graph, drawn: npt.NDArray[np.int64], cut: float
) -> Iterator[igraph.Graph]:
    """Yield the graph of each replicate: the edges whose phi is still at the cut or above."""
    phi = np.asarray(graph.es["phi"])
    attracts = phi >= 0
    for drawn_phi in bootstrapped_phi(firings, graph, drawn):
        again = np.where(attracts, drawn_phi, phi)
        keep = ~attracts | (again >= cut)
        copy = graph.subgraph_edges(np.flatnonzero(keep).tolist(), delete_vertices=False)
        copy.es["phi"] = again[keep].tolist()
        yield copy


def bootstrapped_phi(firings: Firings, graph: igraph.Graph, drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return phi of every edge with each document counted as often as it was drawn.

    Parameters
    ----------
    drawn
        Times that each document was drawn, int64, shape (n_replicates, n_documents).

    Returns
    -------
    float64, shape (n_replicates, n_edges)
    """
    index = np.asarray(graph.vs["index"], np.int64)
    a, b = (index[end] for end in ends(graph))
    times = np.ascontiguousarray(drawn.T)
    joint, single = _weighted(firings.indptr, firings.rows, np.asarray(firings.document), times, a, b, index)
    place = np.zeros(firings.d_sae, np.int64)
    place[index] = np.arange(len(index))
    n_tokens = np.bincount(firings.document, minlength=len(times)) @ times
    return np.array(
        [
            measures(joint[:, k], single[place[a], k], single[place[b], k], n_tokens=int(n_tokens[k]))["phi"]
            for k in range(times.shape[1])
        ]
    )


@numba.njit(cache=True, parallel=True, nogil=True)
def _weighted(indptr, rows, document, times, a, b, features):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the joint firings of each pair and the firings of each feature, by replicate, tokens counted as drawn."""
    n = times.shape[1]
    joint = np.zeros((len(a), n), np.int64)
    single = np.zeros((len(features), n), np.int64)
    for k in numba.prange(len(features)):
        for i in range(indptr[features[k]], indptr[features[k] + 1]):
            d = document[rows[i]]
            for r in range(n):
                single[k, r] += times[d, r]
    for k in numba.prange(len(a)):
        i_end, j_end = indptr[a[k] + 1], indptr[b[k] + 1]
        i, j = meet(rows, indptr[a[k]], i_end, indptr[b[k]], j_end)
        while i < i_end and j < j_end:
            d = document[rows[i]]
            for r in range(n):
                joint[k, r] += times[d, r]
            i, j = meet(rows, i + 1, i_end, j + 1, j_end)
    return joint, single
