"""Features of two runs matched one to one, by direction or by firings, with the rate at which chance matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from atlas.firings import Firings
from atlas.tracking import Track

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Q = 0.05
"""False-discovery rate of matches."""
_BAND_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Nearest:
    """What each feature of one run is nearest to in the other, and the reverse.

    Attributes
    ----------
    index : int64, shape (n,)
        Features of this run that were compared, ascending.
    best : float64, shape (n,)
        Similarity of the nearest feature of the other run.
    partner : int64, shape (n,)
        That feature; -1 where this one is not the nearest to it in turn, or where nothing is similar at all.
    """

    index: Indices
    best: Floats
    partner: Indices

    @property
    def mutual(self) -> npt.NDArray[np.bool_]:
        """Whether each is its nearest's nearest: bool, shape (n,)."""
        found: npt.NDArray[np.bool_] = self.partner >= 0
        return found


@dataclass(frozen=True)
class Matches:
    """Mutual nearest pairs that chance does not explain.

    Attributes
    ----------
    index, other : int64, shape (m,)
        The pairs, ascending in `index`; no feature of either run occurs twice.
    value : float64, shape (m,)
        Their similarity.
    q : float64, shape (m,)
        Rate of chance pairs among pairs of this similarity or more; at most .05.
    median, median_null : float
        Median similarity of the nearest over all compared features, and the same under the null; 0 for none.
    """

    index: Indices
    other: Indices
    value: Floats
    q: Floats
    median: float
    median_null: float


def false_rate(real: Floats, null: Floats) -> Floats:
    """Return the false-discovery rate of keeping each value and all higher ones: float64, in the order of `real`.

    `q(v) = min over u <= v of (1 + #{null >= u}) / #{real >= u}`, at most 1: the same search on data in which nothing
    is to be found gives as many false pairs as the real search is expected to hold. The 1 keeps a search that finds
    a handful from claiming that none of them is false.

    References
    ----------
    Elias, Gygi 2007, doi:10.1038/nmeth1019 (the count for decoys); Barber, Candes 2015, doi:10.1214/15-AOS1337 (the 1).
    """
    order = np.argsort(-real, kind="stable")
    falling = real[order]
    kept = np.searchsorted(-falling, -falling, side="right")
    false = len(null) - np.searchsorted(np.sort(null), falling, side="left")
    rate = np.minimum.accumulate(np.minimum((1 + false) / np.maximum(kept, 1), 1)[::-1])[::-1]
    q = np.empty(len(real))
    q[order] = rate
    return q


def matched(real: Nearest, null: Nearest) -> Matches:
    """Return the mutual pairs whose similarity a search under the null reaches at a rate of 5 % at most."""
    mutual = np.flatnonzero(real.mutual)
    q = false_rate(real.best[mutual], null.best[null.mutual])
    kept = mutual[q <= Q]
    medians = (float(np.median(some.best)) if len(some.best) else 0.0 for some in (real, null))
    return Matches(real.index[kept], real.partner[kept], real.best[kept], q[q <= Q], *medians)


def nearest_directions(
    rows: npt.NDArray[np.floating], other: npt.NDArray[np.floating], index: Indices, other_index: Indices
) -> Nearest:
    """Return the nearest by cosine of decoder directions.

    Parameters
    ----------
    rows, other
        Decoder directions of all features, unit rows, shape (d, d_in) and (d', d_in).
    index, other_index
        Features that are compared, ascending.
    """
    theirs = _unit(np.asarray(other[other_index], np.float32))

    def bands() -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
        size = max(1, _BAND_BYTES // (4 * max(len(theirs), 1)))
        for low in range(0, len(index), size):
            yield low, _unit(np.asarray(rows[index[low : low + size]], np.float32)) @ theirs.T

    return _nearest(index, other_index, bands())


def random_directions(rows: npt.NDArray[np.floating], index: Indices, *, seed: int) -> npt.NDArray[np.float32]:
    """Return as many random unit directions with the mean and covariance of the given ones: (d, d_in), others 0.

    Directions of an SAE crowd into the few dimensions in which its model's activations vary; the nearest of random
    ones in all dimensions alike would be a null that everything beats.
    """
    some = _unit(np.asarray(rows[index], np.float64))
    drawn = np.zeros(rows.shape, np.float32)
    if not len(some):
        return drawn
    mean = some.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(some.T, bias=True)))
    root = vectors * np.sqrt(np.maximum(values, 0))
    noise = np.random.default_rng(seed).standard_normal((len(some), rows.shape[1]))
    drawn[index] = _unit(mean + noise @ root.T)
    return drawn


def nearest_firings(
    one: Firings, other: Firings, index: Indices, other_index: Indices, *, track: Track, label: str
) -> Nearest:
    """Return the nearest by the correlation phi of firings on the same tokens.

    `phi = (N c - n_i n_j) / sqrt(n_i n_j (N - n_i) (N - n_j))`, with `c` tokens on which feature i of the one run and
    feature j of the other fire. Both runs hold the same tokens in the same order; pairs that never meet are passed
    over. Memory holds a band of the counts (256 MiB) and a shard of each run.
    """

    def bands() -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
        size = max(1, _BAND_BYTES // (4 * max(len(other_index), 1)))
        n_bands = -(-len(index) // size)
        with track(label, total=n_bands * one.n_tokens, unit="tokens") as advance:
            for low in range(0, len(index), size):
                joint = np.zeros((len(index[low : low + size]), len(other_index)), np.int32)
                rows, columns = _places(index[low : low + size], one.d_sae), _places(other_index, other.d_sae)
                for n, mine, theirs in _together(one, other):
                    _count(*mine, *theirs, rows, columns, joint)
                    advance(n)
                for first in range(0, len(joint), 256):
                    yield low + first, _phi(
                        joint[first : first + 256],
                        one.firing_count[index[low + first : low + first + 256]],
                        other.firing_count[other_index],
                        one.n_tokens,
                    )

    return _nearest(index, other_index, bands())


def _nearest(
    index: Indices, other_index: Indices, bands: Iterator[tuple[int, npt.NDArray[np.floating]]]
) -> Nearest:
    """Return the mutual nearest from bands of rows of similarities; of ties the lower index counts."""
    best, partner = np.zeros(len(index)), np.full(len(index), -1, np.int64)
    back, back_best = np.full(len(other_index), -1, np.int64), np.full(len(other_index), -np.inf)
    if len(other_index):
        for low, band in bands:
            rows = np.arange(len(band))
            columns = band.argmax(axis=1)
            best[low + rows], partner[low + rows] = band[rows, columns], columns
            highest = band.argmax(axis=0)
            value = band[highest, np.arange(len(other_index))]
            better = value > back_best
            back[better], back_best[better] = low + highest[better], value[better]
        mutual = (back[partner] == np.arange(len(index))) & (best > 0)
        partner = np.where(mutual, other_index[partner], -1)
    return Nearest(index, best, partner)


def _unit(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: npt.NDArray[np.floating] = rows / np.maximum(lengths, np.finfo(rows.dtype).tiny)
    return unit


def _places(index: Indices, d: int) -> npt.NDArray[np.int32]:
    places = np.full(d, -1, np.int32)
    places[index] = np.arange(len(index))
    return places


def _phi(
    joint: npt.NDArray[np.int32], n: npt.NDArray[np.int64], m: npt.NDArray[np.int64], n_tokens: int
) -> npt.NDArray[np.float64]:
    """Return phi of a band of pairs; 0 where a feature fires on all tokens."""
    covariance = n_tokens * joint.astype(np.float64) - n[:, None] * m.astype(np.float64)
    spread = np.sqrt(n * (n_tokens - n))[:, None] * np.sqrt(m * (n_tokens - m))
    phi: npt.NDArray[np.float64] = np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0)
    return phi


Csr = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]


def _together(one: Firings, other: Firings) -> Iterator[tuple[int, Csr, Csr]]:
    """Yield the firings of both runs on the same runs of tokens: number, then indptr and ids of each."""
    shards = (one.shards(), other.shards())
    held: list[Csr] = [(np.zeros(1, np.int64), np.zeros(0, np.int32))] * 2
    left = one.n_tokens
    while left:
        for side in (0, 1):
            if len(held[side][0]) == 1:
                shard = next(shards[side])
                held[side] = (shard.indptr, shard.ids)
        n = min(len(indptr) - 1 for indptr, _ in held)
        yield n, held[0], held[1]
        held = [(indptr[n:], ids) for indptr, ids in held]
        left -= n


@numba.njit(cache=True, nogil=True)
def _count(indptr, ids, other_indptr, other_ids, rows, columns, joint):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add each token's pairs of a feature of the one run and one of the other."""
    for t in range(min(len(indptr), len(other_indptr)) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            row = rows[ids[k]]
            if row < 0:
                continue
            for m in range(other_indptr[t], other_indptr[t + 1]):
                column = columns[other_ids[m]]
                if column >= 0:
                    joint[row, column] += 1
