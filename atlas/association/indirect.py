"""Edges that a third feature explains: two features that meet because both go with the same one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from atlas.association.common import meet
from atlas.association.null import Floats
from atlas.association.sample import Sample

MIN_EXPECTED = 10.0
"""Joint firings that the third feature must make expected before it is asked whether they cover the joint count."""
NEAR_ONE = 1.25
"""Joint count over these, up to below which nothing is left to explain."""


def explained_by(
    sample: Sample,
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    joint_count: npt.NDArray[np.integer],
    phi: Floats,
) -> Any:
    """Return for each edge of a backbone the feature that explains it, masked where none does.

    Asked is the strongest common neighbour h of a and b on the backbone: the largest min(phi_ah, phi_bh),
    of equal ones that with the lowest index; only where this is above phi_ab, so that of three edges the
    weakest alone can be explained. Given h, the joint firings expected within strata are those on tokens
    with h and those on tokens without it,
    E = sum_d n_had n_hbd / n_hd + sum_d (n_ad - n_had) (n_bd - n_hbd) / (T_d - n_hd),
    and h explains the edge where E >= 10 and c < 1.25 E: a and b are then as good as independent given h, as
    the ends of a chain are. The edge is no less real for that. Members of one clique, too, may explain the
    weakest of its edges, since each of them tells when the clique fires: this is no rule for leaving edges
    out of shapes. Uneven tokens raise c over E, so the rule errs on the side of edges that are not explained.

    Parameters
    ----------
    a, b, joint_count, phi
        The backbone, in order of (a, b), shape (n,).

    Returns
    -------
    masked int64, shape (n,)

    Notes
    -----
    Leaving out the weakest edge of a triangle that the other two explain is the rule of ARACNE (Margolin
    et al. 2006, doi:10.1186/1471-2105-7-S1-S7), which judges by mutual information.
    """
    ends = np.concatenate([a, b]).astype(np.int64)
    order = np.lexsort((np.concatenate([b, a]), ends))
    d = sample.firings.d_sae
    indptr = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=d))]).astype(np.int64)
    others, weights = np.concatenate([b, a])[order].astype(np.int64), np.tile(phi, 2)[order]
    third = _common(a.astype(np.int64), b.astype(np.int64), phi, indptr, others, weights)
    expected = _given(
        a.astype(np.int64), b.astype(np.int64), third,
        sample.firings.indptr, np.asarray(sample.firings.rows), sample.labels, sample.sizes,
    )  # fmt: skip
    explained = (third >= 0) & (expected >= MIN_EXPECTED) & (joint_count < NEAR_ONE * expected)
    return np.ma.masked_array(third, ~explained)


@numba.njit(cache=True, parallel=True, nogil=True)
def _common(a, b, phi, indptr, others, weights):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the strongest common neighbour of each edge's ends that is stronger than the edge, or -1."""
    out = np.full(len(a), -1, np.int64)
    for k in numba.prange(len(a)):
        best = phi[k]
        i_end, j_end = indptr[a[k] + 1], indptr[b[k] + 1]
        i, j = meet(others, indptr[a[k]], i_end, indptr[b[k]], j_end)
        while i < i_end and j < j_end:
            if min(weights[i], weights[j]) > best:
                best, out[k] = min(weights[i], weights[j]), others[i]
            i, j = meet(others, i + 1, i_end, j + 1, j_end)
    return out


@numba.njit(cache=True, parallel=True, nogil=True)
def _given(a, b, h, indptr, rows, labels, sizes):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return E given h of each edge that has one: the three features' rows are gone through side by side."""
    out = np.zeros(len(a))
    for edge in numba.prange(len(a)):
        if h[edge] < 0:
            continue
        i, j, k = indptr[a[edge]], indptr[b[edge]], indptr[h[edge]]
        i_end, j_end, k_end = indptr[a[edge] + 1], indptr[b[edge] + 1], indptr[h[edge] + 1]
        while i < i_end and j < j_end:
            stratum = labels[min(rows[i], rows[j])]
            while k < k_end and rows[k] < min(rows[i], rows[j]) and labels[rows[k]] != stratum:
                k += 1
            n = np.zeros(5)  # a, b, h, a with h, b with h
            while k < k_end and labels[rows[k]] == stratum:
                while i < i_end and rows[i] < rows[k] and labels[rows[i]] == stratum:
                    n[0] += 1
                    i += 1
                while j < j_end and rows[j] < rows[k] and labels[rows[j]] == stratum:
                    n[1] += 1
                    j += 1
                n[2] += 1
                if i < i_end and rows[i] == rows[k]:
                    n[0], n[3], i = n[0] + 1, n[3] + 1, i + 1
                if j < j_end and rows[j] == rows[k]:
                    n[1], n[4], j = n[1] + 1, n[4] + 1, j + 1
                k += 1
            while i < i_end and labels[rows[i]] == stratum:
                n[0] += 1
                i += 1
            while j < j_end and labels[rows[j]] == stratum:
                n[1] += 1
                j += 1
            if n[2] > 0:
                out[edge] += n[3] * n[4] / n[2]
            if sizes[stratum] > n[2]:
                out[edge] += (n[0] - n[3]) * (n[1] - n[4]) / (sizes[stratum] - n[2])
    return out
