"""Every pair of alive features against the nulls, a band of rows at a time: three kinds of edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atlas.association.fdr import adjusted
from atlas.association.null import Floats, lumped_lower_tail, upper_tail
from atlas.association.sample import Band, Null, Sample, Sums, band_sums
from atlas.association.topic import Subjects, topic_p
from atlas.counting.passes import Settings, use_threads
from atlas.tracking import Track, untracked

CO_OCCURS, CO_TOPIC, EXCLUDES = "CO_OCCURS", "CO_TOPIC", "EXCLUDES"
KINDS = (CO_OCCURS, CO_TOPIC, EXCLUDES)
MIN_EXPECTED = 5.0
"""Joint firings that must be expected of a pair before their lack is tested."""
MAX_LIFT = 0.5
"""Largest share of them that a depleted pair has."""
_DTYPES = (np.int32, np.int32, np.int64, *(np.float64,) * 4)  # of the columns of Pairs but q


@dataclass(frozen=True)
class Gates:
    """What a pair must pass to be an edge, and which features are tested.

    Attributes
    ----------
    q : float
        False-discovery rate within each kind of edges.
    min_joint : int
        Smallest joint count, tokens.
    min_lift : float
        Smallest lift within documents.
    min_firings : int
        Features that fire on fewer tokens are dead.
    max_density : float
        Features that fire on a larger share of the tokens are dense.
    fdr : str
        `bh` (Benjamini-Hochberg) or `by` (Benjamini-Yekutieli, the strict choice).
    """

    q: float = 0.05
    min_joint: int = 5
    min_lift: float = 2.0
    min_firings: int = 20
    max_density: float = 0.1
    fdr: str = "bh"

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the gates among the parameters of an artifact of edges."""
        return cls(**{field.name: parameters[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Pairs:
    """The pairs of one kind that pass its gates with p <= q, in order of (a, b).

    Attributes
    ----------
    a, b : int32, shape (n,)
        Features, a < b.
    joint_count : int64; expected, expected_uncorrected, variance, p, q : float64; shape (n,)
        As in the table of edges; `variance` includes runs. q is adjusted over all `n_tests` of the kind.
    n_tests : int
        Size of the family.
    """

    a: npt.NDArray[np.int32]
    b: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    expected: Floats
    expected_uncorrected: Floats
    variance: Floats
    p: Floats
    q: Floats
    n_tests: int

    def __len__(self) -> int:
        return len(self.a)

    def at(self, which: npt.NDArray[Any] | slice) -> Self:
        """Return some of the pairs: by a mask, by places, or by a slice."""
        arrays = {name: value[which] for name, value in self.__dict__.items() if isinstance(value, np.ndarray)}
        return type(self)(**arrays, n_tests=self.n_tests)


@dataclass(frozen=True)
class Tested:
    """What the test found.

    Attributes
    ----------
    pairs : dict of kind to Pairs
        Each kind is a family of its own.
    gates : Gates
        What they passed.
    alive : int64, shape (n_alive,)
        The features tested.
    n_seen, n_tested : int
        Pairs of alive features that fire together at least once, and all of them.
    crowding : float
        rho over all tokens.
    spread : float64, shape (d,)
        sum_d n_id (T_d - n_id) / T_d over strata.
    """

    pairs: dict[str, Pairs]
    gates: Gates
    alive: npt.NDArray[np.int64]
    n_seen: int
    n_tested: int
    crowding: float
    spread: Floats


def alive_features(firing_count: npt.NDArray[np.int64], *, n_tokens: int, gates: Gates) -> npt.NDArray[np.int64]:
    """Return the features that are tested: neither dead nor dense, ascending."""
    alive = (firing_count >= gates.min_firings) & (firing_count <= gates.max_density * n_tokens)
    return np.flatnonzero(alive)


def test_pairs(
    sample: Sample,
    *,
    gates: Gates,
    kinds: tuple[str, ...] = KINDS,
    settings: Settings | None = None,
    track: Track = untracked,
) -> Tested:
    """Return the pairs of alive features that pass the test of a kind.

    CO_OCCURS
        p is the upper tail of the joint count under independence within strata, with the correction for
        uneven tokens in the mean and for runs in the variance; gates c >= min_joint and lift_d >= min_lift.
        The family is all pairs of alive features, those never seen included.
    CO_TOPIC
        p as in `topic_p`, gate c >= min_joint, and no CO_OCCURS. The family is all pairs, too.
    EXCLUDES
        p is the lower tail of lumps (`lumped_lower_tail`), gate lift_d <= .5. The family is the pairs with
        E_d >= 5, enumerated from the product of the firings per stratum, those never seen together included.
        The mean is the smaller of the expectations with and without the correction for uneven tokens: cliques
        raise the one, and would make independent pairs look depleted.

    Pairs of the family that fail a gate count as tested with p = 1, which is on the strict side.

    Parameters
    ----------
    kinds
        Kinds to look for; the others come out empty.
    settings
        Memory and threads. They do not change the result.
    track
        Told of the features done.
    """
    settings = settings or Settings()
    use_threads(settings.threads)
    count = sample.firings.firing_count
    alive = alive_features(count, n_tokens=sample.n_tokens, gates=gates)
    null = Null.of(sample, alive)
    subjects = Subjects.of(sample, alive, null.crowding)
    found: dict[str, list[tuple[npt.NDArray[Any], ...]]] = {kind: [] for kind in kinds}
    n_seen = n_expected = 0
    limits = {"min_expected": MIN_EXPECTED if EXCLUDES in kinds else np.inf, "share": MAX_LIFT}
    with track("edges", total=sample.firings.d_sae, unit="features") as advance:
        for band in sample.bands(memory=settings.memory // 4):
            sums = band_sums(sample, null, band, **limits)
            a = band.rows
            n_seen += int((null.alive[a] & null.alive[band.columns]).sum())
            n_expected += sums.n_expected
            tested = _test_band(band, a, sums, null, subjects, gates)
            for kind, bands in found.items():
                bands.append(tested[kind])
            advance(band.high - band.low)
    n_tested = len(alive) * (len(alive) - 1) // 2
    sizes = {CO_OCCURS: n_tested, CO_TOPIC: n_tested, EXCLUDES: n_expected}
    pairs = {kind: _joined(found.pop(kind, []), n_tests=sizes[kind], fdr=gates.fdr) for kind in KINDS}
    return Tested(pairs, gates, alive, n_seen, n_tested, null.crowding, null.runs.spread)


def _test_band(
    band: Band, a: npt.NDArray[np.int64], sums: Sums, null: Null, subjects: Subjects, gates: Gates
) -> dict[str, tuple[npt.NDArray[Any], ...]]:
    """Return (a, b, joint, expected, uncorrected, variance, p) of a band's pairs with p <= q, by kind."""
    at = np.flatnonzero((band.joint_count >= gates.min_joint) & null.alive[a] & null.alive[band.columns])
    joint, e, v = band.joint_count[at], sums.expected[at], sums.variance[at]
    seen = (a[at], band.columns[at], joint, e, sums.expected_uncorrected[at], v)
    gated = (joint >= gates.min_lift * e) & (joint > e)
    p = np.ones(len(at))
    p[gated] = upper_tail(joint[gated], e[gated], v[gated])
    p_topic = topic_p(subjects, null.runs, seen[0], seen[1], joint, e, v)
    p_topic[gated] = 1
    _, _, joint, e, e0, v, kappa = sums.depleted
    p_lower = lumped_lower_tail(joint, np.minimum(e, e0), v, kappa)
    tested = {CO_OCCURS: (*seen, p), CO_TOPIC: (*seen, p_topic), EXCLUDES: (*sums.depleted[:-1], p_lower)}
    return {
        kind: tuple(column[some[-1] <= gates.q].astype(dtype) for column, dtype in zip(some, _DTYPES, strict=True))
        for kind, some in tested.items()
    }


def _joined(bands: list[tuple[npt.NDArray[Any], ...]], *, n_tests: int, fdr: str) -> Pairs:
    """Return the pairs of all bands as one, with q over the whole family; the bands are given up for it."""
    parts = [[band[k] for band in bands] or [np.zeros(0, dtype)] for k, dtype in enumerate(_DTYPES)]
    bands.clear()
    a, b, joint, e, e0, v, p = (np.concatenate(parts.pop(0)) for _ in _DTYPES)
    return Pairs(a, b, joint, e, e0, v, p, adjusted(p, fdr, n_tests=n_tests), n_tests)


test_pairs.__test__ = False  # type: ignore[attr-defined]  # a statistical test, not one of the suite
