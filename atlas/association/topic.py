"""Pairs of one subject: together more than independent documents explain, and within them as often as chance has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.association.null import Floats, Runs, lumped_lower_tail, upper_tail
from atlas.association.sample import Sample

MIN_LIFT = 2.0
"""Smallest lift over all tokens of a pair of one subject."""
ABOUT_ONE = (0.8, 1.25)
"""Half-open interval in which its lift within documents lies."""
RULED_OUT = 2.0
"""Lift within documents that its joint count must rule out, at the five percent level."""
_LEVEL = 0.05


@dataclass(frozen=True)
class Subjects:
    """How the firings of each feature are spread over the documents.

    Attributes
    ----------
    firing_count : int64, shape (d,)
        Tokens n_i on which each feature fires.
    spread : float64, shape (d,)
        S_i = sum_d n_id^2 / T_d - n_i^2 / N over documents d.
    documents : float
        Documents, as many of equal size as would vary as these do: N^2 / sum_d T_d^2.
    n_tokens : int
        Kept tokens N.
    crowding : float
        rho over all tokens.
    """

    firing_count: npt.NDArray[np.int64]
    spread: Floats
    documents: float
    n_tokens: int
    crowding: float

    @classmethod
    def of(cls, sample: Sample, features: npt.NDArray[np.integer], crowding: float) -> Self:
        """Return the spread of some features over the documents of a sample; 0 for all others."""
        firings = sample.firings
        sizes = np.bincount(firings.document).astype(np.float64)
        squares = _squares(features, firings.indptr, np.asarray(firings.rows), np.asarray(firings.document), sizes)
        n = firings.firing_count
        spread = np.where(squares > 0, np.maximum(squares - n.astype(np.float64) ** 2 / max(sample.n_tokens, 1), 0), 0)
        documents = float(sizes.sum() ** 2 / (sizes**2).sum()) if sizes.any() else 0.0
        return cls(n, spread, documents, sample.n_tokens, crowding)


def topic_p(
    subjects: Subjects,
    runs: Runs,
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    joint: npt.NDArray[np.integer],
    expected: Floats,
    variance: Floats,
) -> Floats:
    """Return P(X >= c) of each pair if its features' documents were independent; 1 where it is not of one subject.

    X is the joint count if documents were dealt to the one feature without regard to the other, and its
    firings within them by chance: mean E = rho n_a n_b / N, variance E V_d / E_d + S_a S_b / (D - 1), where
    V_d / E_d is the variance of a joint firing within strata and D the number of documents. So the unit is
    the document: two features that happen to share one long document are no subject, and one document alone
    tests nothing.

    A pair has a p-value below 1 only where all of these hold: lift N c / (n_a n_b) of 2 or more; lift_d
    from .8 up to below 1.25; and P(X <= c) <= .05 for X of mean 2 E_d, so that c is large enough to tell
    a lift_d of 1 from one of 2. It says same subject, not same token; the cause may be a style or
    a source as well as a subject.

    Parameters
    ----------
    a, b, joint, expected, variance
        The pairs, with their joint counts and E_d and V_d within strata, shape (n,).
    """
    out = np.ones(len(a))
    if subjects.documents - 1 <= 1e-9:
        return out
    n_a, n_b = subjects.firing_count[a].astype(np.float64), subjects.firing_count[b].astype(np.float64)
    mean = n_a * n_b / max(subjects.n_tokens, 1)
    low, high = ABOUT_ONE
    some = (joint >= MIN_LIFT * mean) & (joint >= low * expected) & (joint < high * expected) & (variance > 0)
    at = np.flatnonzero(some)
    twice = RULED_OUT * expected[at]
    ruled_out = lumped_lower_tail(joint[at], twice, RULED_OUT * variance[at], runs.lumps(a[at], b[at]))
    at = at[ruled_out <= _LEVEL]
    between = subjects.spread[a[at]] * subjects.spread[b[at]] / (subjects.documents - 1)
    chance = subjects.crowding * mean[at]
    out[at] = upper_tail(joint[at], chance, chance * variance[at] / expected[at] + between)
    return out


@numba.njit(cache=True, parallel=True, nogil=True)
def _squares(features, indptr, rows, document, sizes):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return sum_d n_id^2 / T_d of some features."""
    out = np.zeros(len(indptr) - 1)
    for place in numba.prange(len(features)):
        i = features[place]
        k, end = indptr[i], indptr[i + 1]
        while k < end:
            start, d = k, document[rows[k]]
            while k < end and document[rows[k]] == d:
                k += 1
            out[i] += np.float64(k - start) ** 2 / sizes[d]
    return out
