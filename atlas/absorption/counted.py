"""What was counted of chosen pairs, those never seen together included: joint firings, and what chance expects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.absorption.directions import Floats, Integers
from atlas.association.sample import Sample
from atlas.counting.rules import ANY, STRONG
from atlas.counting.stage import PAIRS
from atlas.firings import BY_FEATURE, Firings
from atlas.hierarchy.candidates import of_rule
from atlas.indexing import stored_bands
from atlas.mapped import map_arrays

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
    firing_count: Integers
    strong_count: Integers
    mean: Floats
    median: Floats

    @classmethod
    def of(cls, firings: Firings, counts: Path, alive: npt.NDArray[np.integer], *, memory: int) -> Self:
        """Return the counts in a directory, with the null that the firings of the alive features make."""
        sample = Sample.of(firings, counts)
        rho, _ = sample.crowding_of(alive)
        stored = map_arrays(counts / PAIRS)
        return cls(
            sample,
            rho / np.maximum(sample.sizes, 1),
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
        """Return E_d = sum_d rho_d n_ad n_bd / T_d of each pair: float64, tokens.

        Of each pair the commoner feature's firings are laid out by stratum, those of the rarer gone through: memory for
        one feature.
        """
        swap = self.firing_count[a] < self.firing_count[b]
        common, rare = (np.where(swap, *ends).astype(np.int64) for ends in ((b, a), (a, b)))
        order = np.argsort(common, kind="stable")
        found = np.empty(len(order))
        firings = self.sample.firings
        found[order] = _expected(
            firings.indptr, np.asarray(firings.rows), self.sample.labels, self.weights, common[order], rare[order]
        )
        return found


@numba.njit(cache=True, nogil=True)
def _expected(indptr, rows, labels, weights, common, rare):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return sum_d w_d n_ad n_bd of each pair; pairs of one commoner feature stand together."""
    found, within = np.zeros(len(common)), np.zeros(len(weights), np.int64)
    for pair in range(len(common)):
        a, b = common[pair], rare[pair]
        if pair == 0 or a != common[pair - 1]:
            if pair:
                for token in rows[indptr[common[pair - 1]] : indptr[common[pair - 1] + 1]]:
                    within[labels[token]] = 0
            for token in rows[indptr[a] : indptr[a + 1]]:
                within[labels[token]] += 1
        total = 0.0
        k, end = indptr[b], indptr[b + 1]
        while k < end:
            stratum, n = labels[rows[k]], 0
            while k < end and labels[rows[k]] == stratum:
                n += 1
                k += 1
            if within[stratum]:
                total += within[stratum] * n * weights[stratum]
        found[pair] = total
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
