"""What the tokens alone explain of an edge: the same null with vocabulary items as strata."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from atlas.association.fdr import benjamini_hochberg
from atlas.association.null import Strata, pair_expectations, upper_tail
from atlas.counting.strata import stratified_counts
from atlas.firings import Firings

RARE = 5
"""Items seen on fewer tokens are left out: a token seen once explains itself."""
LEXICAL, CONTEXTUAL = 1.2, 1.5


@dataclass(frozen=True)
class WithinItems:
    """The lift within vocabulary items of each pair, and what it says.

    Attributes
    ----------
    lift_t : object, shape (n,)
        Joint firings over expected on items seen often enough; None where none are expected.
    basis : str, shape (n,)
        `lexical` (lift_t < 1.2), `contextual` (lift_t >= 1.5 and significant), `mixed`, or
        `untested` where less than half of the joint firings are on such items.
    """

    lift_t: npt.NDArray[np.object_]
    basis: npt.NDArray[np.str_]


def within_items(
    firings: Firings,
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    joint_count: npt.NDArray[np.integer],
    *,
    q: float,
) -> WithinItems:
    """Return what the tokens alone explain of the joint firings of each pair.

    E_t = sum_v n_iv n_jv / T_v over the vocabulary items v with T_v >= 5; the joint count is that
    on the same items. A pair near 1 is a fact of the vocabulary (two features of one word), not
    of contexts; both are real, and different.

    Parameters
    ----------
    a, b, joint_count
        The pairs, shape (n,), and their joint firings on all tokens.
    q
        False-discovery rate of the test within items, over these pairs.
    """
    items = np.asarray(firings.token_id)
    seen = np.bincount(items) if len(items) else np.zeros(1, np.int64)
    frequent = np.flatnonzero(seen >= RARE)
    stratum = np.full(len(seen), -1, np.int64)
    stratum[frequent] = np.arange(len(frequent))
    labels = stratum[items]
    counts = stratified_counts(firings.shards(), labels, n_strata=len(frequent), d_sae=firings.d_sae)
    strata = Strata(counts, seen[frequent].astype(np.int64), np.ones(len(frequent)))
    expected, variance = pair_expectations(strata, a, b)
    joint = _intersections(firings.indptr, firings.rows, labels >= 0, a, b)
    lift = np.divide(joint, expected, out=np.full(len(a), np.nan), where=expected > 0)
    significant = benjamini_hochberg(upper_tail(joint, expected, variance)) <= q
    basis = np.full(len(a), "mixed", dtype="<U10")
    basis[lift < LEXICAL] = "lexical"
    basis[(lift >= CONTEXTUAL) & significant] = "contextual"
    basis[(joint < 0.5 * joint_count) | np.isnan(lift)] = "untested"
    known = lift.astype(object)
    known[np.isnan(lift)] = None
    return WithinItems(known, basis)


@numba.njit(cache=True, parallel=True, nogil=True)
def _intersections(indptr, rows, keep, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return for each pair the number of kept rows that both features' ascending lists hold."""
    out = np.zeros(len(a), np.int64)
    for k in numba.prange(len(a)):
        i, j = indptr[a[k]], indptr[b[k]]
        while i < indptr[a[k] + 1] and j < indptr[b[k] + 1]:
            if rows[i] < rows[j]:
                i += 1
            elif rows[i] > rows[j]:
                j += 1
            else:
                out[k] += keep[rows[i]]
                i += 1
                j += 1
    return out
