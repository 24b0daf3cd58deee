"""How a parent is divided among its direct children: what they cover of it, and whether they overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse.csgraph

from atlas.hierarchy.candidates import Floats
from atlas.hierarchy.fired import Fired, seek

KINDS = ("partition", "facets", "loose")


@dataclass(frozen=True)
class Thresholds:
    """What makes a parent's children a partition or facets of it.

    Attributes
    ----------
    min_coverage : float
        Smallest share of the parent's firings that its children cover together.
    min_exclusivity : float
        Smallest share of these that one child alone covers: facets below, a partition from here on.
    """

    min_coverage: float = 0.8
    min_exclusivity: float = 0.8


@dataclass(frozen=True)
class Divisions:
    """How each parent is divided.

    Attributes
    ----------
    parent : int64, shape (n,)
        Features with a direct child, ascending.
    n_children : int64, shape (n,)
        Direct children.
    coverage, exclusivity : float64, shape (n,), in [0, 1]
        Share of the parent's firings on which a direct child fires, and share of these on which one alone does.
    kind : str, shape (n,)
        `partition`, `facets` or `loose`.
    """

    parent: npt.NDArray[np.int64]
    n_children: npt.NDArray[np.int64]
    coverage: Floats
    exclusivity: Floats
    kind: npt.NDArray[np.str_]


def divide(
    parent: npt.NDArray[np.integer],
    child: npt.NDArray[np.integer],
    fired: Fired,
    *,
    same: tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]],
    thresholds: Thresholds | None = None,
) -> Divisions:
    """Return how the direct children of each parent divide its firings.

    With the tokens F_p of the parent and F_c of its children, U = |F_p and any F_c| / |F_p| (`coverage`) and
    X = |F_p and exactly one F_c| / |F_p and any F_c| (`exclusivity`). Children that are the same feature twice,
    directly or through others, count as one in X: they would make any partition look like facets.

    `partition`: U >= .8 and X >= .8, the children share the parent out among them. `facets`: U >= .8 and X below,
    they describe the same firings in several ways. `loose`: the parent fires on much that none of them explains,
    or has one child (counted as above). A corpus without some children's contexts makes a partition look loose.

    Parameters
    ----------
    parent, child
        The direct pairs, shape (n,).
    fired
        The tokens of all of them.
    same
        Pairs of features that are the same.
    """
    thresholds = thresholds or Thresholds()
    d = len(fired.indptr) - 1
    links = scipy.sparse.csr_matrix((np.ones(len(same[0]), bool), same), shape=(d, d))
    _, group = scipy.sparse.csgraph.connected_components(links, directed=False)
    order = np.lexsort((child, group[child], parent))
    parent, child = np.asarray(parent, np.int64)[order], np.asarray(child, np.int64)[order]
    unique, first = np.unique(parent, return_index=True)
    starts = np.append(first, len(parent)).astype(np.int64)
    covered, alone = _divide(fired.indptr, fired.tokens, unique, starts, child, group[child].astype(np.int64))
    n = (fired.indptr[unique + 1] - fired.indptr[unique]).astype(np.float64)
    coverage, exclusivity = covered / n, alone / np.maximum(covered, 1)
    distinct = np.unique(np.column_stack([parent, group[child]]), axis=0)[:, 0]
    groups = np.bincount(np.searchsorted(unique, distinct), minlength=len(unique))
    kind = np.full(len(unique), "loose", dtype="<U9")
    shared = (coverage >= thresholds.min_coverage) & (groups > 1)
    kind[shared] = np.where(exclusivity[shared] >= thresholds.min_exclusivity, "partition", "facets")
    return Divisions(unique, np.diff(starts), coverage, exclusivity, kind)


@numba.njit(cache=True, parallel=True, nogil=True)
def _divide(indptr, tokens, parents, starts, children, groups):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return on how many tokens of each parent any of its children fires, and one group of them alone."""
    covered = np.zeros(len(parents), np.int64)
    alone = np.zeros(len(parents), np.int64)
    for k in numba.prange(len(parents)):
        low, high = indptr[parents[k]], indptr[parents[k] + 1]
        last = np.full(high - low, -1, np.int64)  # the group that covered each token last
        times = np.zeros(high - low, np.int32)
        for e in range(starts[k], starts[k + 1]):
            p = low
            for c in range(indptr[children[e]], indptr[children[e] + 1]):
                p = seek(tokens, p, high, np.int64(tokens[c]))
                if p < high and tokens[p] == tokens[c] and last[p - low] != groups[e]:
                    last[p - low] = groups[e]
                    times[p - low] += 1
        for t in times:
            covered[k] += t > 0
            alone[k] += t == 1
    return covered, alone
