"""Association: measures by hand, the null against simulation and scipy, claims against planted truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from worlds import fire, plan, planted_run, store

from atlas.artifacts import Run
from atlas.association import (
    associate,
    benjamini_hochberg,
    benjamini_yekutieli,
    choose_phi_cut,
    disparity_filter,
    lower_tail,
    measures,
    mutual_top_k,
    permute_within_strata,
    shift_within_strata,
    upper_tail,
)
from atlas.association.null import crowding, lumped_lower_tail, runs_of
from atlas.association.testing import Gates
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.firings import Firings


def test_measures_by_hand() -> None:
    """N = 100, n_a = 20, n_b = 10, c = 5: every measure worked out on paper."""
    found = {name: value[0] for name, value in measures(
        np.array([5]), np.array([20]), np.array([10]), n_tokens=100).items()}  # fmt: skip
    assert found["jaccard"] == pytest.approx(5 / 25)
    assert found["dice"] == pytest.approx(10 / 30)
    assert found["overlap"] == pytest.approx(0.5)
    assert found["cosine"] == pytest.approx(5 / np.sqrt(200))
    assert found["phi"] == pytest.approx((500 - 200) / np.sqrt(20 * 10 * 80 * 90))
    assert found["phi_ratio"] == pytest.approx((500 - 200) / (1000 - 200))
    assert found["lift"] == pytest.approx(2.5)
    assert found["pmi"] == pytest.approx(np.log2(2.5))
    assert found["npmi"] == pytest.approx(np.log2(2.5) / np.log2(20))
    assert found["p_a_given_b"] == pytest.approx(0.5)
    assert found["p_b_given_a"] == pytest.approx(0.25)


tables = st.integers(1, 60).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda a: st.integers(0, n).flatmap(
            lambda b: st.tuples(st.just(n), st.just(a), st.just(b), st.integers(max(0, a + b - n), min(a, b)))
        )
    )
)


@given(tables)
def test_measures_of_any_table(table: tuple[int, int, int, int]) -> None:
    """phi is numpy's correlation, g2 scipy's statistic, and nothing is ever NaN (fault 46)."""
    n, a, b, c = table
    found = measures(np.array([c]), np.array([a]), np.array([b]), n_tokens=n)
    assert all(np.isfinite(value).all() for value in found.values())
    x, y = np.zeros(n), np.zeros(n)
    x[:a] = 1
    y[a - c : a - c + b] = 1
    if 0 < a < n and 0 < b < n:
        assert found["phi"][0] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
        cells = np.array([[c, a - c], [b - c, n - a - b + c]])
        g2 = scipy.stats.chi2_contingency(cells, correction=False, lambda_="log-likelihood").statistic
        assert abs(found["g2"][0]) == pytest.approx(g2, abs=1e-8)
    assert -1 <= found["npmi"][0] <= 1


@given(st.integers(0, 60), st.floats(0.5, 40), st.sampled_from([0.4, 0.999, 1.0, 1.5, 4.0]))
def test_tails_agree_with_scipy(c: int, mean: float, ratio: float) -> None:
    """Binomial, Poisson or negative binomial of that mean and variance, as scipy has them."""
    variance = mean * ratio
    up = upper_tail(np.array([c]), np.array([mean]), np.array([variance]))[0]
    down = lower_tail(np.array([c]), np.array([mean]), np.array([variance]))[0]
    if ratio > 1:
        law = scipy.stats.nbinom(mean**2 / (variance - mean), mean / variance)
    elif ratio == 1:
        law = scipy.stats.poisson(mean)
    else:
        trials = mean**2 / (mean - variance)
        if c > trials:
            assert up == pytest.approx(scipy.stats.poisson(mean).sf(c - 1), rel=1e-6)
            return
        if abs(trials - round(trials)) > 1e-6:  # scipy's binomial wants whole trials
            assert 0 <= up <= 1
            assert 0 <= down <= 1
            return
        law = scipy.stats.binom(round(trials), 1 - variance / mean)
    assert up == pytest.approx(law.sf(c - 1), rel=1e-6, abs=1e-300)
    assert down == pytest.approx(law.cdf(c), rel=1e-6, abs=1e-300)


def test_lumps_of_joint_firings_count_once() -> None:
    """Eight tokens expected in lumps of two, with a Poisson's variance of lumps: four lumps, of which two are seen."""
    given = np.array([4]), np.array([8.0]), np.array([16.0])
    assert lumped_lower_tail(*given, np.array([2.0]))[0] == pytest.approx(scipy.stats.poisson(4).cdf(2))
    assert lumped_lower_tail(*given, np.array([0.3]))[0] == lower_tail(*given)[0]


def test_untestable_pairs_have_p_one() -> None:
    """Variance 0 (a feature that fires on every token of its documents) cannot be tested."""
    assert upper_tail(np.array([5]), np.array([5.0]), np.array([0.0]))[0] == 1
    assert lower_tail(np.array([5]), np.array([5.0]), np.array([0.0]))[0] == 1


def test_benjamini_hochberg_by_hand_and_by_scipy() -> None:
    """Adjusted values equal scipy's; leaving out large ones with the family's size named changes no small one."""
    p = np.array([0.001, 0.2, 0.01, 0.03, 0.8])
    assert benjamini_hochberg(p) == pytest.approx([0.005, 0.25, 0.025, 0.05, 0.8])
    assert benjamini_hochberg(p) == pytest.approx(scipy.stats.false_discovery_control(p))
    small = p <= 0.05
    assert benjamini_hochberg(p[small], n_tests=5) == pytest.approx(benjamini_hochberg(p)[small])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_benjamini_yekutieli_over_the_whole_family(p: list[float], bound: float) -> None:
    """Adjusted values equal scipy's, also where only those up to a bound are at hand and the family's size is named."""
    some = np.array(p)
    wanted = scipy.stats.false_discovery_control(some, method="by")
    assert benjamini_yekutieli(some) == pytest.approx(wanted)
    small = some <= bound
    found = benjamini_yekutieli(some[small], n_tests=len(some))
    assert found[wanted[small] <= bound] == pytest.approx(wanted[small][wanted[small] <= bound])


def test_the_strict_choice_claims_less(tmp_path: Path) -> None:
    """`by` counts the pairs never seen, too: q is that of `bh` times 1 + 1/2 + ... + 1/m."""
    with Run(tmp_path / "run") as run:
        planted_run(run, n_documents=10)
        count(run)
        tables = [associate(run, gates=Gates(fdr=fdr), control="none").table("edges") for fdr in ("bh", "by")]
        n_tested = run.artifact("30-edges").results["n_pairs_tested"]
    bh, by = (dict(zip(zip(t["a"].to_pylist(), t["b"].to_pylist(), strict=True), t["q"].to_pylist(), strict=True))
              for t in tables)  # fmt: skip
    assert by
    assert set(by) <= set(bh)
    factor = (1 / np.arange(1, n_tested + 1)).sum()
    assert all(q == pytest.approx(min(bh[pair] * factor, 1)) for pair, q in by.items())


def brute_expectation(labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """E and V of METHODS section 4 written out, without the crowding factor."""
    e = v = 0.0
    for d in np.unique(labels):
        t, a, b = (labels == d).sum(), x[labels == d].sum(), y[labels == d].sum()
        e += a * b / t
        if t > 1:
            v += a * b * (t - a) * (t - b) / (t**2 * (t - 1))
    return e, v


def test_variance_of_the_null_is_that_of_permutations() -> None:
    """The mean and variance of 20,000 permutations within strata match E and V."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [10, 20, 5])
    x, y = rng.random(35) < 0.4, rng.random(35) < 0.3
    seen = []
    for _ in range(20000):
        order = np.lexsort((rng.random(35), labels))
        seen.append((x & y[order]).sum())
    e, v = brute_expectation(labels, x, y)
    assert np.mean(seen) == pytest.approx(e, rel=0.02)
    assert np.var(seen) == pytest.approx(v, rel=0.05)


def test_crowding_of_topk_is_its_negative_baseline() -> None:
    """k firings on every token give rho = (k - 1) / k; fault 50."""
    assert crowding(np.array([10]), np.array([40.0]), np.array([10 * 4 * 3.0])) == pytest.approx([0.75])


@given(st.integers(0, 2**32 - 1))
def test_runs_equal_the_formula(seed: int) -> None:
    """Autocorrelation and spread of each feature, written out, with strata of one token and empty ones."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 5, 30))
    firing = rng.random((30, 3)) < rng.choice([0.2, 0.7, 1.0])
    rows = [np.flatnonzero(firing[:, i]) for i in range(3)]
    indptr = np.concatenate([[0], np.cumsum([len(some) for some in rows])])
    found = runs_of(np.arange(3), indptr, np.concatenate(rows), labels, np.bincount(labels, minlength=5), lags=4)
    for i in range(3):
        n, t = (np.bincount(labels, weights, minlength=5) for weights in (firing[:, i], np.ones(30)))
        spread = sum(n[d] * (t[d] - n[d]) / t[d] for d in range(5) if t[d])
        assert found.spread[i] == pytest.approx(spread)
        for lag in range(1, 5):
            seen = sum(firing[k, i] & firing[k - lag, i] for k in range(lag, 30) if labels[k] == labels[k - lag])
            chance = sum(max(t[d] - lag, 0) * n[d] * (n[d] - 1) / (t[d] * (t[d] - 1)) for d in range(5) if t[d] > 1)
            wanted = (seen - chance) / spread if spread > 0 else 0
            assert found.autocorrelation[i, lag - 1] == pytest.approx(wanted, abs=1e-12)


def test_autocorrelation_of_runs_and_of_shuffled_firings() -> None:
    """A feature in runs of five correlates with itself one token later; permuted, it does not."""
    rng = np.random.default_rng(2)
    starts = rng.random(40000) < 0.01
    runs = np.convolve(starts, np.ones(5))[:40000] > 0
    labels = np.repeat(np.arange(80), 500)
    for firing, expected in ((runs, 0.79), (rng.permutation(runs), 0.0)):
        rows = np.flatnonzero(firing)
        found = runs_of(np.array([0]), np.array([0, len(rows)]), rows, labels, np.full(80, 500)).autocorrelation[0]
        assert found[0] == pytest.approx(expected, abs=0.03)
        assert found[12] == pytest.approx(0, abs=0.03)


def test_the_cut_is_the_smallest_that_meets_the_degree() -> None:
    """Ten features, mean degree 2: ten edges may stay."""
    phi = np.linspace(0.105, 0.5, 40)
    cut = choose_phi_cut(phi, n_features=10, target_degree=2)
    assert (phi >= cut).sum() <= 10 < (phi >= cut - 0.01).sum()
    assert choose_phi_cut(phi[:5], n_features=10, target_degree=2) == 0.1


def test_the_disparity_filter_by_hand() -> None:
    """Weights 8, 1, 1 at node 0: (1 - .8)^2 = .04 stands out, .81 does not; a lone edge says nothing by itself."""
    a, b = np.array([0, 0, 0, 4]), np.array([1, 2, 3, 5])
    assert disparity_filter(a, b, np.array([0.8, 0.1, 0.1, 0.9]), alpha=0.05).tolist() == [True, False, False, False]
    assert not disparity_filter(a, b, np.array([0.8, 0.1, 0.1, 0.9]), alpha=0.04 - 1e-9).any()


@pytest.mark.parametrize("k", [5, 10, 20])
def test_what_the_other_backbones_destroy(k: int) -> None:
    """Of a star and of a clique of equal weights the disparity filter keeps nothing; of a star of uneven ones mutual
    top-k keeps k spokes, since every leaf has one edge, and of a clique of k + 1 all."""
    spokes = np.zeros(k, int), np.arange(1, k + 1)
    pairs = np.triu_indices(k + 1, 1)
    for a, b in (spokes, pairs):
        assert not disparity_filter(a, b, np.full(len(a), 0.3), alpha=0.05).any()
    uneven = np.linspace(0.2, 0.5, k)
    assert mutual_top_k(*spokes, uneven, k=3).tolist() == (uneven >= uneven[-3]).tolist()
    assert mutual_top_k(*pairs, np.full(len(pairs[0]), 0.3), k=k).all()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]))),
       st.integers(1, 4))  # fmt: skip
def test_backbones_equal_plain_loops(edges: list[tuple[int, int, float]], k: int) -> None:
    """The definitions written out: fewer than k stronger edges at both ends; (1 - share)^(degree - 1) at either."""
    weight = {(min(a, b), max(a, b)): w for a, b, w in edges if a != b}
    at = {i: [w for pair, w in weight.items() if i in pair] for i in range(7)}
    top, standing = [], []
    for pair, w in weight.items():
        top.append(all(sum(other > w for other in at[i]) < k for i in pair))
        positive = {i: [other for other in at[i] if other > 0] for i in pair}
        alphas = [(1 - w / sum(positive[i])) ** (len(positive[i]) - 1) for i in pair if w > 0]
        standing.append(min(alphas, default=1.0) < 0.4)
    a, b = np.array(list(weight), int).reshape(-1, 2).T
    values = np.array(list(weight.values()))
    assert mutual_top_k(a, b, values, k=k).tolist() == top
    assert disparity_filter(a, b, values, alpha=0.4).tolist() == standing


@pytest.mark.parametrize(("backbone", "kept_by"), [("phi", "phi"), ("disparity", "disparity"), ("top-k", "top_k")])
def test_kept_by_names_what_kept_an_edge(tmp_path: Path, backbone: str, kept_by: str) -> None:
    """Every significant pair is in the table, whatever the backbone; the recorded cut is the smallest phi on it."""
    with Run(tmp_path / "run") as run:
        planted_run(run, n_documents=20)
        count(run)
        artifact = associate(run, backbone=backbone, alpha=0.45, top_k=2, control="none", excludes=False)
    rows = artifact.table("edges").to_pylist()
    kept = [row for row in rows if row["kept_by"]]
    assert {row["kept_by"] for row in kept} == {kept_by}
    assert (len(rows), len(kept)) == (artifact.results["n_significant"], artifact.results["n_edges"])
    smallest = min(row["phi"] for row in kept)
    assert artifact.results["phi_cut"] == pytest.approx(smallest) or backbone == "phi"
    assert artifact.results["phi_cut"] <= smallest


def test_planted_edges_are_found_and_nothing_else(tmp_path: Path) -> None:
    """Hub with leaves and members of cliques: all found; independent features: none; the copy keeps nothing."""
    with Run(tmp_path / "run") as run:
        world = planted_run(run)
        count(run)
        artifact = associate(run)
    truth = {(hub, leaf) for hub, leaves in world.stars for leaf in leaves}
    truth |= {(a, b) for clique in world.cliques for a in clique for b in clique if a < b}
    rows = artifact.table("edges").to_pylist()
    assert {(row["a"], row["b"]) for row in rows if row["kind"] == "CO_OCCURS"} == truth
    assert {row["kind"] for row in rows} == {"CO_OCCURS"}  # the leaves exclude each other, and are too rare to tell
    assert artifact.results["control_significant"] == 0
    assert artifact.results["empirical_fdr"] == 0
    assert artifact.results["n_pairs_tested"] == 54 * 53 // 2


def test_topics_without_token_structure_give_no_edges(tmp_path: Path) -> None:
    """Features of one subject fire in the same documents: high lift, and no edge (fault 48 names the remedy)."""
    rng = np.random.default_rng(3)
    document = np.arange(60).repeat(200)
    rate = np.where(rng.random((60, 1)) < 0.3, 0.08, 0.002).repeat(20, axis=1).repeat(200, axis=0)
    firing = rng.random(rate.shape) < rate
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        with pytest.raises(InputError, match="no pair") as caught:
            associate(run)
    assert "--tokens" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_cut_that_leaves_no_edge_names_the_largest_phi(tmp_path: Path) -> None:
    """An empty backbone is no graph: the remedy is a lower cut."""
    with Run(tmp_path / "run") as run:
        planted_run(run)
        count(run)
        with pytest.raises(InputError, match=r"phi >= 0\.99; the largest is 0\.9") as caught:
            associate(run, phi_cut=0.99, control="none")
        assert "--phi-cut" in caught.value.remedy
        with pytest.raises(InputError, match=r"disparity filter on phi at alpha 0\.01") as caught:
            associate(run, backbone="disparity", alpha=0.01, control="none")
    assert "--backbone phi" in caught.value.remedy


def test_runs_alone_give_no_edges(tmp_path: Path) -> None:
    """Bursts of five tokens make independent features meet in lumps; the variance allows for it."""
    rng = np.random.default_rng(4)
    starts = rng.random((60000, 40)) < 0.004
    firing = np.zeros_like(starts)
    for lag in range(5):
        firing[lag:] |= starts[: len(starts) - lag]
    with Run(tmp_path / "run") as run:
        store(run, firing, np.arange(120).repeat(500))
        count(run)
        with pytest.raises(InputError, match="no pair"):
            associate(run, gates=Gates(min_lift=1.0))


@pytest.mark.parametrize("move", [permute_within_strata, shift_within_strata])
def test_a_moved_copy_keeps_every_count_within_strata(tmp_path: Path, move: Callable[..., Firings]) -> None:
    """Firings move inside their stratum only, also where a shard ends inside one; the same seed gives the same."""
    world = plan(independent=5)
    firing = fire(world, n_documents=10, length=700, seed=5)
    document = np.arange(10).repeat(700)
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, document).path)
    labels = document * 2 + (np.arange(7000) % 700 >= 350)
    copies = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        copies.append(move(firings, labels, tmp_path / name, seed=9))
    for feature in range(firings.d_sae):
        rows = copies[0].tokens_of(feature)
        assert np.array_equal(rows, copies[1].tokens_of(feature))
        assert np.array_equal(np.bincount(labels[rows], minlength=20),
                              np.bincount(labels[firings.tokens_of(feature)], minlength=20))  # fmt: skip
    assert any(not np.array_equal(copies[0].tokens_of(f), firings.tokens_of(f)) for f in range(firings.d_sae))


def test_a_shifted_copy_moves_each_feature_round_each_stratum(tmp_path: Path) -> None:
    """In every stratum a feature's firings are the same ones, so many tokens later, from the end to the beginning;
    the number differs between features and between strata."""
    rng = np.random.default_rng(6)
    firing = rng.random((600, 8)) < 0.2
    document = np.arange(6).repeat(100)
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, document).path)
    (tmp_path / "copy").mkdir()
    copy = shift_within_strata(firings, document, tmp_path / "copy", seed=3)
    moved = np.zeros_like(firing)
    for feature in range(8):
        moved[copy.tokens_of(feature), feature] = True
    shifts = [
        [[k for k in range(100) if np.array_equal(np.roll(firing[at, i], k), moved[at, i])] for i in range(8)]
        for at in (slice(100 * d, 100 * d + 100) for d in range(6))
    ]
    assert all(len(found) == 1 for row in shifts for found in row)
    assert len({found[0] for row in shifts for found in row}) > 20
