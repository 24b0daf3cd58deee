"""The null's corrections against simulation: uneven tokens, runs of firing, and p-values under permutation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import sample_of, stored

from atlas.association import permute_within_strata, shift_within_strata, testing, topic
from atlas.association.null import Runs, lower_tail
from atlas.association.sample import Null, Sample
from atlas.association.testing import Gates

OPEN = Gates(q=1.0, min_joint=1, min_lift=0.0)
"""Gates that let every pair with more joint firings than expected have its p-value."""
ANY_LIFT = Gates(min_lift=1.0)
"""The usual gates but that of the lift, so that the test decides."""


def claims(sample: Sample, kind: str = testing.CO_OCCURS) -> int:
    """Return how many pairs of a kind are significant, whatever their lift."""
    found = testing.test_pairs(sample, gates=ANY_LIFT).pairs[kind]
    return int((found.q <= ANY_LIFT.q).sum())


def share(sample: Sample) -> float:
    """Return the share of all pairs that have p <= .01."""
    found = testing.test_pairs(sample, gates=OPEN)
    return float((found.pairs[testing.CO_OCCURS].p <= 0.01).sum() / found.n_tested)


def without_crowding(self: Sample, features: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    return np.ones(len(self.sizes)), 1.0


def without_runs(self: Sample, features: np.ndarray[Any, Any]) -> Runs:
    return Runs(np.zeros((self.firings.d_sae, 1)), np.zeros(self.firings.d_sae))


def uneven_world(directory: Path) -> Sample:
    """Return independent features on tokens of lognormal level (CV .7)."""
    rng = np.random.default_rng(11)
    document = np.arange(100).repeat(400)
    level = rng.lognormal(0, 0.65, len(document))
    level /= level.mean()
    assert level.std() > 0.7
    firing = rng.random((len(level), 160)) < level[:, None] * rng.uniform(0.01, 0.04, 160)
    return sample_of(stored(directory, firing, document), document)


def bursts(directory: Path) -> Sample:
    """Return independent features that fire in bursts of five tokens."""
    rng = np.random.default_rng(12)
    starts = rng.random((40000, 100)) < 0.006
    firing = np.zeros_like(starts)
    for lag in range(5):
        firing[lag:] |= starts[: len(starts) - lag]
    document = np.arange(100).repeat(400)
    return sample_of(stored(directory, firing, document), document)


def test_uneven_tokens_make_hundreds_of_edges_without_the_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Independent features whose tokens differ in how many fire: none is an edge, and p <= .01 is as rare as it says.

    Without rho hundreds are edges. None of them lacks joint firings either way.
    """
    sample = uneven_world(tmp_path / "run")
    assert claims(sample) == 0
    assert share(sample) <= 0.015
    assert claims(sample, testing.EXCLUDES) == 0
    monkeypatch.setattr(Sample, "crowding_of", without_crowding)
    assert claims(sample) > 300


def test_runs_give_no_edge_with_the_autocorrelation_and_many_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bursts of five tokens make independent features meet in lumps: the factor of the variance allows for it."""
    sample = bursts(tmp_path / "run")
    assert claims(sample) <= 2
    assert claims(sample, testing.EXCLUDES) == 0
    assert 0.003 < share(sample) <= 0.015
    monkeypatch.setattr(Sample, "runs_of", without_runs)
    assert claims(sample) >= 100


def test_bursts_lack_joint_firings_by_chance_without_the_autocorrelation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few long bursts none may meet: independent pairs then have none of 40 expected tokens, and only lumps tell."""
    rng = np.random.default_rng(15)
    starts = rng.random((8000, 80)) < 0.0035
    firing = np.zeros_like(starts)
    for lag in range(20):
        firing[lag:] |= starts[: len(starts) - lag]
    document = np.zeros(len(firing), int)
    sample = sample_of(stored(tmp_path / "run", firing, document), document)
    assert claims(sample, testing.EXCLUDES) <= 2
    monkeypatch.setattr("atlas.association.testing.lumped_lower_tail", lambda c, e, v, _: lower_tail(c, e, v))
    assert claims(sample, testing.EXCLUDES) >= 20


def test_cliques_do_not_make_independent_pairs_look_depleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cliques raise rho to 4: against an expectation so raised independent pairs would lack three in four."""
    rng = np.random.default_rng(16)
    document = np.arange(40).repeat(400)
    firing = rng.random((len(document), 130)) < 0.03
    firing[:, :100] = (rng.random(len(document)) < 0.03)[:, None]
    sample = sample_of(stored(tmp_path / "run", firing, document), document)
    assert claims(sample, testing.EXCLUDES) == 0
    whole = Null.of

    def raised(*given: Any) -> Null:
        found = whole(*given)
        return replace(found, weights=found.weights[:, [0, 0, 2]])  # the corrected expectation alone

    monkeypatch.setattr(Null, "of", raised)
    assert claims(sample, testing.EXCLUDES) >= 300


def test_p_values_of_a_moved_copy_are_not_too_small(tmp_path: Path) -> None:
    """On firings moved within documents p <= .01 is as rare as it says; in one stratum topics make it common.

    Permuted or shifted, nothing is claimed of the copy; of the firings themselves every planted pair is.
    """
    rng = np.random.default_rng(13)
    document = np.arange(80).repeat(400)
    topic = rng.random((80, 4)) < 0.3
    rate = np.where(topic, 0.07, 0.02)[document][:, np.arange(160) % 4]
    firing = rng.random(rate.shape) < rate
    firing[:, 1::8] |= firing[:, ::8]  # real pairs, which moving undoes
    firings = stored(tmp_path / "run", firing, document)
    assert claims(sample_of(firings, document)) >= 20
    for move in (permute_within_strata, shift_within_strata):
        (tmp_path / move.__name__).mkdir()
        copy = move(firings, document, tmp_path / move.__name__, seed=1)
        assert 0.003 < share(sample_of(copy, document)) <= 0.015
        assert share(sample_of(copy, np.zeros_like(document))) > 0.05
        assert claims(sample_of(copy, document)) <= 1
        assert claims(sample_of(copy, document), testing.EXCLUDES) == 0


def test_shifted_bursts_need_the_autocorrelation_and_permuted_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shifted copy keeps the runs, and so tests what is done about them."""
    sample = bursts(tmp_path / "run")
    found = {}
    for move in (permute_within_strata, shift_within_strata):
        (tmp_path / move.__name__).mkdir()
        found[move] = sample_of(move(sample.firings, sample.labels, tmp_path / move.__name__, seed=2), sample.labels)
    assert max(claims(copy) for copy in found.values()) <= 2
    monkeypatch.setattr(Sample, "runs_of", without_runs)
    assert claims(found[permute_within_strata]) <= 2
    assert claims(found[shift_within_strata]) >= 100


def test_features_of_independent_documents_share_no_subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each feature has documents of its own: without their spread in the variance dozens share a subject."""
    rng = np.random.default_rng(17)
    document = np.arange(60).repeat(300)
    rate = np.where(rng.random((60, 120)) < 0.15, rng.uniform(0.1, 0.3, (60, 120)), 0.001)[document]
    sample = sample_of(stored(tmp_path / "run", rng.random(rate.shape) < rate, document), document)
    assert claims(sample, testing.CO_TOPIC) <= 3
    whole = topic.Subjects.of

    def pooled(*given: Any) -> topic.Subjects:
        found = whole(*given)
        return replace(found, spread=np.zeros_like(found.spread))

    monkeypatch.setattr(topic.Subjects, "of", pooled)
    assert claims(sample, testing.CO_TOPIC) >= 60
