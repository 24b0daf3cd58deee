"""The null's corrections against simulation: uneven tokens, runs of firing, and p-values under permutation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from worlds import store

from atlas.artifacts import Run
from atlas.association import permute_within_strata, testing
from atlas.association.null import Expectations, Strata
from atlas.association.testing import Gates
from atlas.counting.stage import count_pairs
from atlas.counting.strata import stratified_counts
from atlas.firings import Firings

OPEN = Gates(q=1.0, min_joint=1, min_lift=0.0)
"""Gates that let every pair with more joint firings than expected have its p-value."""
ANY_LIFT = Gates(min_lift=1.0)
"""The usual gates but that of the lift, so that the test decides."""


def stored(directory: Path, firing: np.ndarray[Any, Any], document: np.ndarray[Any, Any]) -> Firings:
    with Run(directory) as run:
        return Firings(store(run, firing, document).path)


def pairs_of(firings: Firings, labels: np.ndarray[Any, Any], gates: Gates) -> testing.Tested:
    """Count and test firings in the strata of `labels`."""
    within = stratified_counts(firings.shards(), labels, n_strata=int(labels.max()) + 1, d_sae=firings.d_sae)
    counts = count_pairs(firings, firings.directory / ".scratch", memory=2**30)
    return testing.test_pairs(firings, counts, labels, within, gates=gates)


def claims(found: testing.Tested, gates: Gates) -> int:
    return int((found.q <= gates.q).sum())


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_crowding_weighs_the_strata_of_mean_and_variance(seed: int, dense: bool) -> None:
    """E_d = sum_d rho_d n_id n_jd / T_d; so has the variance; the uncorrected expectation has none."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 4)
    n = np.array([rng.integers(0, size + 1, 5) for size in sizes])
    rho = rng.uniform(0, 3, 4)
    strata = Strata(scipy.sparse.csr_matrix(n), sizes, rho)
    e, e0, v = Expectations(strata, memory=2**30 if dense else 0).block(np.arange(1, 4))
    assert e.shape == e0.shape == v.shape == (3, 5)
    for row, i in enumerate(range(1, 4)):
        for j in range(5):
            wanted = wanted0 = spread = 0.0
            for t, x, y, weight in zip(sizes, n[:, i], n[:, j], rho, strict=True):
                wanted += weight * x * y / t
                wanted0 += x * y / t
                if t > 1:
                    spread += weight * x * y * (t - x) * (t - y) / (t * t * (t - 1))
            assert (e[row, j], e0[row, j], v[row, j]) == pytest.approx((wanted, wanted0, spread))


def uneven_world(directory: Path) -> tuple[Firings, np.ndarray[Any, Any]]:
    """Return firings of independent features on tokens of lognormal level (CV .7), and their documents."""
    rng = np.random.default_rng(11)
    document = np.arange(100).repeat(400)
    level = rng.lognormal(0, 0.65, len(document))
    level /= level.mean()
    assert level.std() > 0.7
    firing = rng.random((len(level), 160)) < level[:, None] * rng.uniform(0.01, 0.04, 160)
    return stored(directory, firing, document), document


def test_uneven_tokens_make_hundreds_of_edges_without_the_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Independent features whose tokens differ in how many fire: rho takes away all but one false edge in 200."""
    firings, document = uneven_world(tmp_path / "run")
    corrected = claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT)
    monkeypatch.setattr("atlas.association.testing.crowding", lambda labels, levels, *, n_strata: np.ones(n_strata))
    without = claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT)
    assert without > 300
    assert corrected <= without / 200


def test_uneven_tokens_give_no_edge_with_the_correction(tmp_path: Path) -> None:
    """In the same world no edge is left, and p <= .01 is as rare as it says."""
    firings, document = uneven_world(tmp_path / "run")
    assert claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT) == 0
    found = pairs_of(firings, document, OPEN)
    assert (found.p <= 0.01).sum() <= 0.015 * found.n_tested


def test_runs_give_no_edge_with_the_autocorrelation_and_many_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bursts of five tokens make independent features meet in lumps: the factor of the variance allows for it."""
    rng = np.random.default_rng(12)
    starts = rng.random((40000, 100)) < 0.006
    firing = np.zeros_like(starts)
    for lag in range(5):
        firing[lag:] |= starts[: len(starts) - lag]
    document = np.arange(100).repeat(400)
    firings = stored(tmp_path / "run", firing, document)
    assert claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT) <= 2
    found = pairs_of(firings, document, OPEN)
    assert 0.003 * found.n_tested < (found.p <= 0.01).sum() <= 0.015 * found.n_tested
    monkeypatch.setattr("atlas.association.testing.autocorrelation", lambda indptr, *_: np.zeros((len(indptr) - 1, 16)))
    assert claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT) >= 100


def test_p_values_of_a_permuted_copy_are_not_too_small(tmp_path: Path) -> None:
    """On firings permuted within documents p <= .01 is as rare as it says; in one stratum topics make it common."""
    rng = np.random.default_rng(13)
    document = np.arange(80).repeat(400)
    topic = rng.random((80, 4)) < 0.3
    rate = np.where(topic, 0.07, 0.02)[document][:, np.arange(160) % 4]
    firing = rng.random(rate.shape) < rate
    firing[:, 1::8] |= firing[:, ::8]  # real pairs, which permuting undoes
    firings = stored(tmp_path / "run", firing, document)
    (tmp_path / "copy").mkdir()
    copy = permute_within_strata(firings, document, tmp_path / "copy", seed=1)

    def share(some: Firings, labels: np.ndarray[Any, Any]) -> float:
        found = pairs_of(some, labels, OPEN)
        assert found.n_tested == 160 * 159 // 2
        return float((found.p <= 0.01).sum() / found.n_tested)

    assert 0.003 < share(copy, document) <= 0.015
    assert share(copy, np.zeros_like(document)) > 0.05
    assert claims(pairs_of(copy, document, ANY_LIFT), ANY_LIFT) == 0
    assert claims(pairs_of(firings, document, ANY_LIFT), ANY_LIFT) >= 20
