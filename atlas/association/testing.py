"""Every pair of alive features against the null within documents, a block of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.association.fdr import benjamini_hochberg
from atlas.association.null import Expectations, Strata, autocorrelation, crowding, upper_tail
from atlas.counting.counts import PairCounts
from atlas.firings import Firings
from atlas.tracking import Track, untracked

Floats = npt.NDArray[np.float64]
BLOCK = 512


@dataclass(frozen=True)
class Gates:
    """What a pair must pass to be an edge, and which features are tested.

    Attributes
    ----------
    q : float
        False-discovery rate of Benjamini-Hochberg over all pairs of alive features.
    min_joint : int
        Smallest joint count, tokens.
    min_lift : float
        Smallest lift within documents.
    min_firings : int
        Features that fire on fewer tokens are dead.
    max_density : float
        Features that fire on a larger share of the tokens are dense.
    """

    q: float = 0.05
    min_joint: int = 5
    min_lift: float = 2.0
    min_firings: int = 20
    max_density: float = 0.1


@dataclass(frozen=True)
class Tested:
    """The pairs that pass the gates with p <= q, and how many were tested.

    Attributes
    ----------
    a, b : int32, shape (n,)
        Features, a < b.
    joint_count : int64; expected, expected_uncorrected, variance, p, q : float64; shape (n,)
        As in the table of edges; `variance` includes runs. q is Benjamini-Hochberg's over all
        `n_tested` pairs.
    n_seen, n_tested : int
        Pairs of alive features that fire together at least once, and all of them.
    """

    a: npt.NDArray[np.int32]
    b: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    expected: Floats
    expected_uncorrected: Floats
    variance: Floats
    p: Floats
    q: Floats
    n_seen: int
    n_tested: int

    def where(self, keep: npt.NDArray[np.bool_]) -> Tested:
        """Return the pairs at which `keep` holds."""
        arrays = {name: value[keep] for name, value in self.__dict__.items() if isinstance(value, np.ndarray)}
        return Tested(**arrays, n_seen=self.n_seen, n_tested=self.n_tested)


def alive_features(firing_count: npt.NDArray[np.int64], *, n_tokens: int, gates: Gates) -> npt.NDArray[np.int64]:
    """Return the features that are tested: neither dead nor dense, ascending."""
    alive = (firing_count >= gates.min_firings) & (firing_count <= gates.max_density * n_tokens)
    return np.flatnonzero(alive)


def token_levels(firings: Firings, features: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return how many of the features fire on each token: int64, shape (n_tokens,)."""
    chosen = np.zeros(firings.d_sae, np.int64)
    chosen[features] = 1
    parts = [np.diff(np.concatenate([[0], np.cumsum(chosen[shard.ids])])[shard.indptr]) for shard in firings.shards()]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def pairs_among(counts: PairCounts, features: npt.NDArray[np.integer]) -> PairCounts:
    """Return the counts of the chosen features alone, renumbered by their place in `features`."""
    place = np.full(len(counts.firing_count), -1, np.int64)
    place[features] = np.arange(len(features))
    a, b = place[counts.rows], place[counts.columns]
    keep = (a >= 0) & (b >= 0)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(a[keep], minlength=len(features)))])
    return PairCounts(
        counts.firing_count[features],
        indptr.astype(np.int64),
        b[keep].astype(np.int32),
        counts.joint_count[keep],
    )


def test_pairs(
    firings: Firings,
    counts: PairCounts,
    labels: npt.NDArray[np.integer],
    within: scipy.sparse.csr_matrix,
    *,
    gates: Gates,
    track: Track = untracked,
) -> Tested:
    """Return the pairs of alive features that pass the gates, tested within their documents.

    p is the upper tail of the joint count under independence within strata (`null`), with the
    correction for uneven tokens in the mean and for runs in the variance. Pairs that fail a gate
    count as tested with p = 1, which is on the strict side.

    Parameters
    ----------
    labels, within
        Stratum of each token, and firings per stratum, CSR of shape (n_strata, d_sae).
    track
        Told of the features done.
    """
    alive = alive_features(counts.firing_count, n_tokens=firings.n_tokens, gates=gates)
    chosen = pairs_among(counts, alive)
    strata, runs = _prepare(firings, labels, within, alive)
    expectations = Expectations(strata)
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    with track("edges", total=len(alive), unit="features") as advance:
        for low in range(0, len(alive), BLOCK):
            rows = np.arange(low, min(low + BLOCK, len(alive)))
            columns.append(_test_rows(rows, chosen, alive, expectations, runs, gates))
            advance(len(rows))
    return _joined(columns, n_seen=chosen.n_pairs, n_alive=len(alive))


def _test_rows(
    rows: npt.NDArray[np.int64],
    chosen: PairCounts,
    alive: npt.NDArray[np.int64],
    expectations: Expectations,
    runs: Floats,
    gates: Gates,
) -> tuple[npt.NDArray[Any], ...]:
    """Return (a, b, joint, expected, uncorrected, variance, p) of the pairs of some rows that pass with p <= q."""
    entries = slice(chosen.indptr[rows[0]], chosen.indptr[rows[-1] + 1])
    row = np.repeat(rows - rows[0], np.diff(chosen.indptr[rows[0] : rows[-1] + 2]))
    column, joint = chosen.columns[entries], chosen.joint_count[entries]
    e, e0, v = (block[row, column] for block in expectations.block(rows))
    v = v * (1 + 2 * (runs[rows] @ runs.T)[row, column])
    gated = (joint >= gates.min_joint) & (joint >= gates.min_lift * e) & (joint > e)
    a, b = alive[row[gated] + rows[0]], alive[column[gated]]
    joint, e, e0, v = joint[gated], e[gated], e0[gated], v[gated]
    p = upper_tail(joint, e, v)
    return tuple(x[p <= gates.q] for x in (a, b, joint, e, e0, v, p))


def _joined(columns: list[tuple[npt.NDArray[Any], ...]], *, n_seen: int, n_alive: int) -> Tested:
    """Return the blocks' pairs as one, with q over all pairs of alive features."""
    kinds = (np.int32, np.int32, np.int64, *(np.float64,) * 4)
    parts = zip(*columns, strict=True) if columns else ([np.zeros(0)],) * len(kinds)
    a, b, joint, e, e0, v, p = (np.concatenate(part).astype(kind) for part, kind in zip(parts, kinds, strict=True))
    n_tested = n_alive * (n_alive - 1) // 2
    return Tested(a, b, joint, e, e0, v, p, benjamini_hochberg(p, n_tests=n_tested), n_seen, n_tested)


def _prepare(
    firings: Firings,
    labels: npt.NDArray[np.integer],
    within: scipy.sparse.csr_matrix,
    alive: npt.NDArray[np.int64],
) -> tuple[Strata, Floats]:
    """Return the strata of the alive features and their autocorrelations."""
    sizes = np.bincount(labels, minlength=within.shape[0]).astype(np.int64)
    rho = crowding(labels, token_levels(firings, alive), n_strata=within.shape[0])
    strata = Strata(within[:, alive].tocsr(), sizes, rho)
    rows = [firings.tokens_of(int(feature)) for feature in alive]
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in rows])]).astype(np.int64)
    joined = np.concatenate(rows) if rows else np.zeros(0, np.uint32)
    return strata, autocorrelation(indptr, joined, labels, strata)


test_pairs.__test__ = False  # type: ignore[attr-defined]  # a statistical test, not one of the suite
