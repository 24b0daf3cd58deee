"""What was counted of chosen pairs, those never seen together included: joint firings, and what chance expects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.absorption.directions import Floats, Integers
from atlas.association.sample import Sample
from atlas.counting.rules import ANY, STRONG
from atlas.counting.stage import PAIRS
from atlas.firings import BY_FEATURE, Firings
from atlas.hierarchy.candidates import of_rule
from atlas.indexing import stored_bands
from atlas.mapped import map_arrays

_PAIRS_AT_ONCE = 2**12
_BAND = 2**26


@dataclass(frozen=True)
class Counted:
    """The counts of a run, asked for by pair.

    Attributes
    ----------
    firing_count, strong_count : int64, shape (d,)
        Firings of each feature under the rules `any` and `rel:0.5`.
    mean, median : float64, shape (d,)
        Of each feature's positive activations; 0 where it has none.
    """

    sample: Sample
    weights: Floats
    within: scipy.sparse.csr_matrix
    firing_count: Integers
    strong_count: Integers
    mean: Floats
    median: Floats

    @classmethod
    def of(cls, firings: Firings, counts: Path, alive: npt.NDArray[np.integer], *, memory: int) -> Self:
        """Return the counts in a directory, with the null that the firings of the alive features make."""
        sample = Sample.of(firings, counts)
        rho, _ = sample.crowding_of(alive)
        shape = (len(sample.sizes), firings.d_sae)
        within = scipy.sparse.csr_matrix((sample.counts, sample.features, sample.indptr), shape=shape)
        stored = map_arrays(counts / PAIRS)
        return cls(
            sample,
            rho / np.maximum(sample.sizes, 1),
            within,
            np.asarray(stored["firing_count"], np.int64),
            np.asarray(stored[of_rule("firing_count", STRONG)], np.int64),
            _means(firings),
            firings.medians(memory=memory // 4).astype(np.float64),
        )

    def joint(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> tuple[Integers, Integers]:
        """Return the joint firings of each pair under `any` and `rel:0.5`: int64; 0 where it was not counted."""
        stored = map_arrays(self.sample.pairs)
        indptr, columns = stored["indptr"], stored["columns"]
        low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b).astype(np.int64)
        place = np.full(len(low), -1, np.int64)
        order = np.argsort(low, kind="stable")
        rows, first = np.unique(low[order], return_index=True)
        for row, begin, end in zip(rows.tolist(), first, [*first[1:], len(low)], strict=False):
            some = order[begin:end]
            start, stop = int(indptr[row]), int(indptr[row + 1])
            at = np.searchsorted(columns[start:stop], high[some])
            found = at < stop - start
            found[found] = columns[start + at[found]] == high[some][found]
            place[some] = np.where(found, start + at, -1)
        seen = place >= 0
        joint = []
        for rule in (ANY, STRONG):
            counts = np.zeros(len(low), np.int64)
            counts[seen] = stored[of_rule("joint_count", rule)][place[seen]]
            joint.append(counts)
        return joint[0], joint[1]

    def expected(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Floats:
        """Return E_d = sum_d rho_d n_ad n_bd / T_d of each pair: float64, tokens."""
        some = np.unique(np.concatenate([a, b]))
        within = self.within[:, some].tocsc()
        i, j = np.searchsorted(some, a), np.searchsorted(some, b)
        found = np.empty(len(i))
        for low in range(0, len(i), _PAIRS_AT_ONCE):
            at = slice(low, low + _PAIRS_AT_ONCE)
            found[at] = within[:, i[at]].multiply(within[:, j[at]]).T @ self.weights
        return found


def _means(firings: Firings) -> Floats:
    """Return the mean of each feature's positive activations, in one pass over the index by feature."""
    total, n = np.zeros(firings.d_sae), np.zeros(firings.d_sae, np.int64)
    for band in stored_bands(firings.directory / BY_FEATURE, memory=_BAND):
        ids = np.repeat(np.arange(band.high - band.low), np.diff(band.indptr))
        positive = band.activations > 0
        width = band.high - band.low
        total[band.low : band.high] = np.bincount(ids[positive], band.activations[positive], minlength=width)
        n[band.low : band.high] = np.bincount(ids[positive], minlength=width)
    return total / np.maximum(n, 1)
