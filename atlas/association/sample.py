"""What is tested: firings with their counts and strata, and the sums over strata of a band of features against all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.association.null import Floats, Runs, crowding, runs_of
from atlas.counting.stage import PAIRS, STRATA
from atlas.firings import Firings
from atlas.mapped import ArrayFile, map_arrays

_PAIR = 64  # bytes that a pair takes while its band is worked on, with what is derived from it
_CELL = 160  # bytes of a pair that may be depleted, with what is derived; a row has as many as there are features
_ROWS = 512  # more rows at once make nothing faster


@dataclass(frozen=True)
class Sample:
    """Firings, their strata and their counts: mapped from disk or read in bands, and never copied whole.

    Attributes
    ----------
    firings : Firings
        With an index by feature.
    labels : int32, shape (n_tokens,)
        Stratum of each token; equal ones stand together.
    sizes : int64, shape (n_strata,)
        Tokens T_d of each stratum.
    indptr, features, counts : int64 (n_strata + 1,), int32 (nnz,), int64 (nnz,)
        Firings n_id per stratum, CSR with ascending features.
    pairs : Path
        File of the joint counts.
    """

    firings: Firings
    labels: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    features: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    pairs: Path

    @classmethod
    def of(cls, firings: Firings, counts: Path) -> Self:
        """Return the sample whose counts and strata lie in a directory."""
        stored = map_arrays(counts / STRATA)
        names = ("labels", "sizes", "indptr", "features", "counts")
        labels, sizes, indptr, features, n = (np.asarray(stored[name]) for name in names)
        return cls(firings, labels, sizes, indptr, features, n, counts / PAIRS)

    @property
    def n_tokens(self) -> int:
        """Kept tokens N."""
        return self.firings.n_tokens

    def crowding_of(self, features: npt.NDArray[np.integer]) -> tuple[Floats, float]:
        """Return rho_d of each stratum and rho of all tokens together, from the firings of some features."""
        chosen = np.zeros(self.firings.d_sae, np.int64)
        chosen[features] = 1
        total, pairs = np.zeros(len(self.sizes)), np.zeros(len(self.sizes))
        first = 0
        for shard in self.firings.shards():
            level = np.diff(np.concatenate([[0], np.cumsum(chosen[shard.ids])])[shard.indptr]).astype(np.float64)
            labels = self.labels[first : first + shard.n_tokens]
            first += shard.n_tokens
            if len(labels):
                low = int(labels.min())
                for sums, weights in ((total, level), (pairs, level * (level - 1))):
                    part = np.bincount(labels - low, weights)
                    sums[low : low + len(part)] += part
        whole = crowding(np.array([self.n_tokens]), total.sum(keepdims=True), pairs.sum(keepdims=True))
        return crowding(self.sizes, total, pairs), float(whole[0])

    def runs_of(self, features: npt.NDArray[np.integer]) -> Runs:
        """Return the autocorrelations and spreads of some features."""
        return runs_of(features, self.firings.indptr, self.firings.rows, self.labels, self.sizes)

    def bands(self, *, memory: int) -> Iterator[Band]:
        """Yield all pairs by ascending rows, in bands that take at most about `memory` bytes, or are one feature."""
        d = self.firings.d_sae
        rows = min(_ROWS, max(1, memory // 2 // (_CELL * max(d, 1))))
        with ArrayFile(self.pairs) as stored:
            indptr = stored.read("indptr")
            low = 0
            while low < d:
                fitting = int(np.searchsorted(indptr, indptr[low] + memory // 2 // _PAIR, side="right")) - 1
                high = min(d, low + rows, max(fitting, low + 1))
                span = int(indptr[low]), int(indptr[high])
                columns, joint = stored.read("columns", *span), stored.read("joint_count", *span)
                yield Band(low, high, indptr[low : high + 1] - indptr[low], columns, joint)
                low = high


@dataclass(frozen=True)
class Band:
    """The pairs that fire together and whose lower feature is one of `low` to `high - 1`.

    Attributes
    ----------
    indptr : int64, shape (high - low + 1,)
        Where each row's pairs begin.
    columns : int32, shape (n,)
        The higher feature of each pair, ascending within a row.
    joint_count : int64, shape (n,)
        Tokens on which both fire.
    """

    low: int
    high: int
    indptr: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The lower feature of each pair."""
        return np.repeat(np.arange(self.low, self.high), np.diff(self.indptr))


@dataclass(frozen=True)
class Null:
    """The null within strata of a sample: weights, runs, and the features that it is about.

    Attributes
    ----------
    alive : bool, shape (d,)
        Features that are tested.
    weights : float64, shape (n_strata, 3)
        Factors of n_id n_jd in E, of the same in E without crowding, and of
        n_id (T_d-n_id) n_jd (T_d-n_jd) in V.
    runs : Runs
        Of the alive features.
    crowding : float
        rho over all tokens.
    room : float64, shape (threads, d, 4)
        Zeros, for the sums of one row a thread.
    """

    alive: npt.NDArray[np.bool_]
    weights: Floats
    runs: Runs
    crowding: float
    room: Floats

    @classmethod
    def of(cls, sample: Sample, features: npt.NDArray[np.integer]) -> Self:
        """Return the null that the firings of some features make."""
        alive = np.zeros(sample.firings.d_sae, bool)
        alive[features] = True
        rho, whole = sample.crowding_of(features)
        t = sample.sizes.astype(np.float64)
        some = np.maximum(t, 1)
        variance = rho * (t > 1) / (some**2 * np.maximum(t - 1, 1))
        weights = np.column_stack([rho / some, 1 / some, variance])
        room = np.zeros((numba.get_num_threads(), len(alive), 4))
        return cls(alive, weights, sample.runs_of(features), whole, room)


@dataclass(frozen=True)
class Sums:
    """What the null expects of a band.

    Attributes
    ----------
    expected, expected_uncorrected, variance : float64, shape (n,)
        Of each pair of the band; 0 where one of the two is not tested.
    depleted : tuple of arrays
        (a, b, joint count, expected, expected without crowding, variance, kappa) of the pairs, those never
        seen together included, that are expected often enough and seen at most the given share of it.
    n_expected : int
        Pairs that are expected often enough.
    """

    expected: Floats
    expected_uncorrected: Floats
    variance: Floats
    depleted: tuple[npt.NDArray[Any], ...]
    n_expected: int


def band_sums(sample: Sample, null: Null, band: Band, *, min_expected: float, share: float) -> Sums:
    """Return what the null expects of the pairs of a band, and the pairs that fall short of it.

    E_ij = sum_d rho_d n_id n_jd / T_d, the same with rho_d = 1, and
    V_ij = kappa_ij sum_d rho_d n_id n_jd (T_d-n_id)(T_d-n_jd) / (T_d^2 (T_d-1)), a stratum of one token
    giving 0, with kappa_ij = 1 + 2 sum_l r_i(l) r_j(l). Falling short is judged by the smaller of the
    two expectations, since cliques raise rho_d.

    Each row adds the filled strata of its feature into one place per feature: O(sum_d nnz_d^2 / 2) over
    all bands, and memory for one row a thread.

    Parameters
    ----------
    min_expected
        Smallest of the two expectations for a pair to be enumerated, tokens; infinite for none.
    share
        Largest joint count over that expectation.

    Notes
    -----
    rho_d is in the variance, too: with it in the mean alone the matched tail is too thin, and of 12,720
    independent pairs on uneven tokens 20 were significant at lift 1 (none with both; the suite simulates it).
    """
    n_rows, d = band.high - band.low, sample.firings.d_sae
    width = d if np.isfinite(min_expected) else 0
    columns, values = np.empty((n_rows, width), np.int32), np.empty((n_rows, width, 5))
    sums, found, expected = np.zeros((3, len(band.columns))), np.zeros(n_rows, np.int64), np.zeros(n_rows, np.int64)
    _add_up(
        band.low, band.indptr, band.columns, band.joint_count,
        sample.firings.indptr, np.asarray(sample.firings.rows), sample.labels,
        sample.sizes, sample.indptr, sample.features, sample.counts,
        null.alive, null.weights, null.runs.autocorrelation, min_expected, share,
        null.room, sums, columns, values, found, expected,
    )  # fmt: skip
    some = [values[row, :n] for row, n in enumerate(found)]
    e, e0, v, joint, kappa = np.concatenate(some).T
    b = np.concatenate([columns[row, :n] for row, n in enumerate(found)])
    a = np.repeat(np.arange(band.low, band.high), found)
    depleted = (a, b, joint.astype(np.int64), e, e0, v, kappa)
    return Sums(sums[0], sums[1], sums[2], depleted, int(expected.sum()))


@numba.njit(cache=True, parallel=True, nogil=True)
def _add_up(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    low, pair_indptr, pair_columns, joint, indptr, tokens, labels, sizes, s_indptr, s_features, s_counts,
    alive, weights, runs, min_expected, share, room, sums, columns, values, found, n_expected,
):  # fmt: skip
    """Fill `sums` for the band's pairs, and the first `found[row]` places of a row with those that fall short."""
    d = len(alive)
    for part in numba.prange(len(room)):
        total = room[part]  # E, E without crowding, V, joint count of the row's feature with each
        for row in range(part, len(pair_indptr) - 1, len(room)):
            a = low + row
            if not alive[a]:
                continue
            for k in range(pair_indptr[row], pair_indptr[row + 1]):
                total[pair_columns[k], 3] = joint[k]
            _add_strata(a, indptr, tokens, labels, sizes, s_indptr, s_features, s_counts, weights, total)
            for k in range(pair_indptr[row], pair_indptr[row + 1]):
                b = pair_columns[k]
                if alive[b]:
                    sums[0, k], sums[1, k] = total[b, 0], total[b, 1]
                    sums[2, k] = total[b, 2] * _lumps(runs, a, b)
            for b in range(a + 1, d):
                if total[b, 1] == 0:  # the two share no stratum
                    continue
                least = min(total[b, 0], total[b, 1])
                if alive[b] and least >= min_expected:
                    n_expected[row] += 1
                    if total[b, 3] <= share * least:
                        at = found[row]
                        columns[row, at] = b
                        kappa = _lumps(runs, a, b)
                        values[row, at, 0], values[row, at, 1] = total[b, 0], total[b, 1]
                        values[row, at, 2], values[row, at, 3] = total[b, 2] * kappa, total[b, 3]
                        values[row, at, 4] = kappa
                        found[row] = at + 1
                total[b, 0] = total[b, 1] = total[b, 2] = total[b, 3] = 0


@numba.njit(cache=True, nogil=True, inline="always")
def _lumps(runs, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return kappa = 1 + 2 sum_l r_a(l) r_b(l)."""
    kappa = 1.0
    for lag in range(runs.shape[1]):
        kappa += 2 * runs[a, lag] * runs[b, lag]
    return kappa


@numba.njit(cache=True, nogil=True)
def _add_strata(a, indptr, tokens, labels, sizes, s_indptr, s_features, s_counts, weights, total):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add up E, E without crowding and V of feature a with every higher feature, over a's strata."""
    k, end = indptr[a], indptr[a + 1]
    while k < end:
        stratum = labels[tokens[k]]
        n = 0
        while k < end and labels[tokens[k]] == stratum:
            n += 1
            k += 1
        t = sizes[stratum]
        e, e0, v = weights[stratum, 0] * n, weights[stratum, 1] * n, weights[stratum, 2] * n * (t - n)
        stop = s_indptr[stratum + 1]
        first = s_indptr[stratum] + np.searchsorted(s_features[s_indptr[stratum] : stop], a, side="right")
        for at in range(first, stop):
            b, y = s_features[at], s_counts[at]
            total[b, 0] += e * y
            total[b, 1] += e0 * y
            total[b, 2] += v * (y * (t - y))
