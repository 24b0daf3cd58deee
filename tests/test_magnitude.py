"""Magnitude: classes of activations and what sets their peaks apart, solved by hand and against brute force."""

from __future__ import annotations

import itertools
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import hypergeom, spearmanr

from atlas import artifacts
from atlas.artifacts import Artifact, Run, Spec
from atlas.association import associate
from atlas.counting.stage import count
from atlas.firings import Firings, build_index
from atlas.magnitude import magnitude
from atlas.magnitude.explaining import Marks, Typical, explained_by_items, most_typical
from atlas.magnitude.jackknife import document_parts, jackknife_interval
from atlas.magnitude.modality import dip, find_density_peaks, histogram, magnitude_class, one_peaked_copy
from atlas.magnitude.picture import as_svg
from atlas.magnitude.surroundings import _among, item_keys
from atlas.magnitude.uncertainty import Spans, permutation_z, uncertainty
from atlas.score.latent import Sample
from atlas.score.recording import record

RNG = np.random.default_rng(3)
N_DOCUMENTS, LENGTH = 24, 500
SET, VARIABLE, BY_TOKEN, BY_NEIGHBOUR, NEIGHBOUR, CONSTANT, SILENT, RARE = range(8)
INTRINSIC, BY_RING, PARTNER, BY_ENTROPY, SIGNED, D_SAE = range(8, 14)
THRESHOLD = 2.0


# ---- one feature's activations


def test_dip_by_hand() -> None:
    """Half at one value and half at another is as far from one peak as can be; even spacing, or one value, has none."""
    two = np.repeat([0.0, 1.0], 50)
    assert dip(two, rng=RNG) == (pytest.approx(0.25), pytest.approx(0, abs=1e-3))
    assert dip(np.arange(300.0), rng=RNG) == (0, 1)
    assert dip(np.full(300, 2.5), rng=RNG) == (0, 1)


def test_a_large_sample_is_drawn_from_and_warns_of_nothing() -> None:
    """Beyond the table of p-values: the same draw for the same seed, and the same verdict."""
    values = np.sort(np.concatenate([RNG.normal(5, 1, 60_000), RNG.normal(12, 1, 40_000)]))
    first, again = (dip(values, rng=np.random.default_rng(5)) for _ in range(2))
    assert first == again
    assert first[1] < 0.01


def test_peaks_are_where_they_were_put() -> None:
    """A quarter around 20, the rest around 10: places, valley and shares; every value belongs to one peak."""
    values = np.sort(np.concatenate([RNG.normal(10, 1, 1500), RNG.normal(20, 1, 500)]))
    peaks = find_density_peaks(values)
    assert peaks.at == pytest.approx([10, 20], abs=0.5)
    assert 13 < peaks.edges[1] < 17
    assert (peaks.edges[0], peaks.edges[2]) == (0, values[-1])
    assert peaks.share == pytest.approx([0.75, 0.25])
    assert np.bincount(peaks.label(values)).tolist() == [1500, 500]


@pytest.mark.parametrize(
    "values",
    [np.full(500, 3.0), np.zeros(300), RNG.exponential(size=2000), RNG.random(2000), np.exp(RNG.normal(size=2000))],
    ids=["constant", "zero", "exponential", "uniform", "lognormal"],
)
def test_one_peak_is_one(values: np.ndarray[Any, Any]) -> None:
    """Also at 0, where the density is cut off, for a long tail, and where nothing varies."""
    peaks = find_density_peaks(np.sort(values))
    assert len(peaks.at) == 1
    assert peaks.share.tolist() == [1.0]
    assert 0 <= peaks.at[0] <= values.max()


def test_a_bump_of_two_in_a_hundred_is_no_peak() -> None:
    """Far off, and too small a share: its activations belong to the peak before it."""
    peaks = find_density_peaks(np.sort(np.concatenate([RNG.normal(10, 1, 980), RNG.normal(30, 0.2, 20)])))
    assert len(peaks.at) == 1


@pytest.mark.parametrize(
    ("cv", "p", "n_peaks", "name"),
    [
        (0.35, 0.01, 1, "set"), (0.36, 0.01, 1, "variable"), (0.1, 0.009, 2, "multi-peak"),
        (0.1, 0.009, 1, "unclear"), (0.1, 0.01, 2, "unclear"),
    ],
)  # fmt: skip
def test_class_by_hand(cv: float, p: float, n_peaks: int, name: str) -> None:
    """Both tests have to agree; the limits belong to the narrow and to the one-peaked side."""
    assert magnitude_class(cv, p, n_peaks) == name


@pytest.mark.parametrize(("n", "name"), [(199, ""), (200, "set")])
def test_a_class_needs_200_activations(tmp_path: Path, n: int, name: str) -> None:
    """One fewer: no class, no dip and no number of peaks, and a histogram all the same."""
    activations = np.zeros((600, 1), np.float32)
    activations[:n, 0] = 3.0
    sample = Sample(activations > 0, np.zeros(600, np.int64), np.arange(600) // 100, activations)
    with Run(tmp_path) as held:
        record(held, sample, seed=0)
        found = magnitude(held)
    (row,) = found.table("magnitude").to_pylist()
    assert (row["magnitude"] or "", row["positive_count"], sum(row["histogram"])) == (name, n, n)
    assert [row[column] is None for column in ("dip", "dip_p", "dip_q", "n_peaks")] == [not name] * 4
    assert (found.results["n_classified"], found.results["n_too_rare"]) == (int(n >= 200), int(n < 200))


def test_histogram_by_hand() -> None:
    """0 to 31 in 32 bins of one each, the two largest beyond the quantile in the last; nothing is lost."""
    counts, high = histogram(np.arange(33.0))
    assert high == 32
    assert counts == [1] * 31 + [2]
    assert histogram(np.zeros(5))[0][0] == 5


def test_a_copy_has_one_peak_and_the_rest_of_the_sample() -> None:
    """As many values, none below 0, of about the same mean; two clear peaks are one in it."""
    values = np.sort(np.concatenate([RNG.normal(10, 1, 1500), RNG.normal(20, 1, 500)]))
    copy = one_peaked_copy(values, rng=np.random.default_rng(0))
    assert len(find_density_peaks(copy).at) == 1
    assert dip(copy, rng=RNG)[1] > 0.05
    assert len(copy) == 2000
    assert copy.min() >= 0
    assert copy.mean() == pytest.approx(values.mean(), rel=0.05)


# ---- what goes with a peak


def test_the_most_typical_mark_by_hand() -> None:
    """Of 30 firings 10 are in the peak: mark 7 has 8 of its 9 there; the p-value is counted out, for 2 marks."""
    marks = Marks(np.array([4, 7, 9]), np.array([[10, 5], [1, 8], [2, 1]]))
    found = most_typical(marks, np.array([20, 10]), 1)
    assert found == Typical(7, 8, 1, 10, 20, 2)  # mark 9 has too few firings to be looked at
    assert found.p == pytest.approx(2 * hypergeom.pmf([8, 9], 30, 9, 10).sum())
    assert found.lift == pytest.approx(8.5 / 11 / (1.5 / 21))
    assert found.marks_peak(0.05, 0.05)
    assert not found.marks_peak(0.06, 0.05)
    assert not Typical(7, 4, 0, 10, 20, 1).marks_peak(0, 0.05)  # on less than half of the peak
    assert not Typical(7, 8, 6, 10, 20, 1).marks_peak(0, 0.05)  # less than three times as often inside
    assert most_typical(marks, np.array([20, 10]), 0) is None  # no mark goes with the first peak
    assert most_typical(Marks(np.array([4]), np.array([[20, 10]])), np.array([20, 10]), 1) is None


def test_items_counted_by_peak() -> None:
    """Three firings on item 5, one of them in the second peak."""
    marks = Marks.of_items(np.array([5, 2, 5, 5]), np.array([0, 1, 1, 0]), 2)
    assert dict(zip(marks.names.tolist(), marks.counts.tolist(), strict=True)) == {2: [0, 1], 5: [2, 1]}


def test_items_explain_what_they_decide_and_nothing_else() -> None:
    """Near 1 where the item decides, about 0 where it does not, by hand for two firings each, and none for one half."""
    items, half = RNG.integers(0, 20, 4000), RNG.integers(0, 2, 4000)
    decided = explained_by_items(items, items < 10, half)
    assert decided is not None
    assert decided > 0.97
    chance = explained_by_items(items, RNG.random(4000) < 0.4, half)
    assert chance is not None
    assert -0.05 < chance < 0.02
    by_hand = explained_by_items(np.array([1, 2, 1, 2]), np.array([True, False, True, False]), np.array([0, 0, 1, 1]))
    assert by_hand == pytest.approx(1 - (2 * (1 - 2 / 3) ** 2 + 2 * (1 / 3) ** 2) / 1)
    assert explained_by_items(items, items < 10, half * 0) is None


def test_items_of_one_spelling_have_one_key() -> None:
    """Case and outer spaces aside; halves of characters stay apart."""
    texts = [" The", "the", "\ufffd", "\ufffd", "\n"]
    keys, shown = item_keys(pa.table({"token_id": pa.array([3, 4, 6, 7, 8]), "text": texts}))
    assert keys[[3, 4]].tolist() == [3, 3]
    assert len(set(keys[[3, 6, 7, 8]].tolist())) == 4
    assert keys[5] == -1
    assert shown[3] == "The"


def test_among_is_membership_either_way() -> None:
    """The shorter list is looked up in the longer: the same answer."""
    for few, many in itertools.product(([], [3], [3, 9, 40], [0, 99]), (range(0, 60, 3), [9], [])):
        rows, others = np.array(few, np.int64), np.array(many, np.uint32)
        assert _among(rows, others).tolist() == np.isin(rows, others).tolist()
        assert _among(np.array(many, np.int64), np.array(few, np.uint32)).tolist() == np.isin(others, rows).tolist()


# ---- entropy


def test_permutation_z_has_the_moments_of_every_permutation() -> None:
    """Over all 3! 4! orders within two strata the mean is 0, the variance 1; one order by numpy's covariance."""
    x, y, stratum = RNG.random(7), RNG.random(7), np.repeat([4, 6], [3, 4])
    orders = itertools.product(itertools.permutations(range(3)), itertools.permutations(range(3, 7)))
    z = [permutation_z(x, y[[*first, *second]], stratum) for first, second in orders]
    assert np.mean(z) == pytest.approx(0, abs=1e-9)
    assert np.var(z) == pytest.approx(1)
    assert permutation_z(np.ones(7), y, stratum) == 0


def test_the_difference_of_entropies_by_hand() -> None:
    """In one span 6 and 4 against 1 and 1, in another 3 against 3; a span that fires throughout says nothing."""
    spans = Spans(np.array([6, 1, 4, 1, 3, 3, 9, 9.0]), np.array([0, 0, 0, 0, 1, 1, 2, 2]))
    difference, z = spans.difference(np.array([0, 2, 4, 6, 7]))
    assert difference == pytest.approx((10 - 2 + 0) / 3)
    assert z == pytest.approx((10 - 6) / np.sqrt(2 * 0.5 * np.var([6, 1, 4, 1], ddof=1)))
    assert np.isnan(spans.difference(np.array([6, 7]))[0])


@pytest.mark.parametrize("how", ["permute", "shift"])
def test_controls_keep_every_span(how: str) -> None:
    """The same entropies in the same spans, in another order."""
    spans = Spans(RNG.random(1000), np.repeat(np.arange(4), 250))
    copy = spans.control(how, np.random.default_rng(0))
    assert not np.array_equal(copy.entropy, spans.entropy)
    for low in range(0, 1000, 250):
        assert sorted(copy.entropy[low : low + 250]) == sorted(spans.entropy[low : low + 250])
    assert copy.total == pytest.approx(spans.total)


# ---- intervals


def test_parts_have_about_as_many_tokens() -> None:
    """Every document in one part; too few documents have none."""
    document = np.repeat(np.arange(40), RNG.integers(10, 200, 40))
    part = document_parts(document, seed=0)
    assert part is not None
    sizes = np.bincount(part[document])
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() < 100
    assert document_parts(document[document < 9], seed=0) is None


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """Leaving one of ten out: t times s / sqrt(10), which is what theory gives for a mean."""
    x = RNG.random(10)
    low, high = jackknife_interval(x.mean(), np.array([np.delete(x, place).mean() for place in range(10)]))
    assert (high - low) / 2 == pytest.approx(2.262157 * x.std(ddof=1) / np.sqrt(10))
    assert jackknife_interval(0.0, np.zeros(10)) == (0, 0)


# ---- the stage


def two(n: int, high: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(high, RNG.normal(20, 1, n), RNG.normal(8, 1, n))


@pytest.fixture(scope="module")
def planted() -> Sample:
    """One feature of each kind; entropies that decide the peaks of one."""
    n = N_DOCUMENTS * LENGTH
    firing = RNG.random((n, D_SAE)) < 0.05
    items = RNG.integers(10, 40, n)
    entropy = RNG.gamma(2.0, size=n).astype(np.float32)
    firing[:, SILENT] = False
    firing[:, RARE] = np.arange(n) % (n // 100) == 0
    firing[:, BY_TOKEN] |= items == 11
    for feature, other in ((BY_NEIGHBOUR, NEIGHBOUR), (BY_RING, PARTNER)):
        firing[:, feature] = RNG.random(n) < 0.03
        firing[:, feature] |= firing[:, other]
    activations = np.zeros((n, D_SAE))
    for feature, values in {
        SET: RNG.normal(10, 1, n),
        VARIABLE: RNG.gamma(1.5, size=n),
        BY_TOKEN: two(n, items != 11),
        BY_NEIGHBOUR: two(n, firing[:, NEIGHBOUR]),
        NEIGHBOUR: RNG.gamma(2.0, size=n),
        CONSTANT: np.full(n, 3.0),
        RARE: RNG.gamma(2.0, size=n),
        INTRINSIC: two(n, RNG.random(n) < 0.5),
        BY_RING: two(n, firing[:, PARTNER]),
        PARTNER: RNG.gamma(2.0, size=n),
        BY_ENTROPY: two(n, entropy > 1.7),
        SIGNED: RNG.choice([-1, 1], n) * RNG.normal(10, 1, n),
    }.items():
        activations[:, feature] = np.where(firing[:, feature], values, 0)
    threshold = np.zeros(D_SAE)
    threshold[SET] = THRESHOLD
    activations[:, SET] += THRESHOLD * firing[:, SET]
    document = np.arange(N_DOCUMENTS).repeat(LENGTH)
    return Sample(firing, items, document, activations.astype(np.float32), threshold, entropy)


@pytest.fixture(scope="module")
def run(planted: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    patch = pytest.MonkeyPatch()
    patch.setitem(artifacts.FORMATS, "52-rings", 1)
    with Run(tmp_path_factory.mktemp("magnitude")) as held:
        record(held, planted, seed=0)
        count(held)
        associate(held, control="none", phi_cut=0.1)
        held.produce(Spec("52-rings", {}, ("10-activations",)), lambda directory: write_rings(directory) or {})
        yield held
    patch.undo()


def write_rings(directory: Path) -> None:
    """One ring, and a line that is none."""
    geometry = pa.table({"manifold": pa.array([0, 1]), "geometry": ["ring", "line"]})
    index = pa.array([BY_RING, PARTNER, BY_NEIGHBOUR, NEIGHBOUR])
    members = pa.table({"manifold": pa.array([0, 0, 1, 1]), "index": index})
    pq.write_table(geometry, directory / "manifolds.parquet")
    pq.write_table(members, directory / "manifold_members.parquet")


@pytest.fixture(scope="module")
def made(run: Run) -> Artifact:
    return magnitude(run, intervals=True)


def test_every_feature_has_its_class(made: Artifact, planted: Sample) -> None:
    """Two peaks where two were put; too few firings, or none, have no class; negative activations do not count."""
    table = made.table("magnitude").to_pylist()
    peaked = dict.fromkeys((BY_TOKEN, BY_NEIGHBOUR, BY_RING, INTRINSIC, BY_ENTROPY), "multi-peak")
    expected = peaked | dict.fromkeys((VARIABLE, NEIGHBOUR, PARTNER), "variable") | {SILENT: None, RARE: None}
    expected |= dict.fromkeys((SET, CONSTANT, SIGNED), "set")
    assert {row["index"]: row["magnitude"] for row in table} == expected
    assert made.results["classes"] == {"set": 3, "variable": 3, "multi-peak": 5, "unclear": 0}
    assert (made.results["n_classified"], made.results["n_too_rare"]) == (11, 1)
    row = table[SET]
    values = planted.activations[planted.firing[:, SET], SET] - THRESHOLD  # type: ignore[index]
    assert row["activation_threshold"] == THRESHOLD
    assert row["magnitude_mean"] == pytest.approx(values.mean())
    assert row["magnitude_cv"] == pytest.approx(values.std() / values.mean())
    assert (table[CONSTANT]["magnitude_cv"], table[CONSTANT]["dip_p"]) == (0, 1)
    assert table[SIGNED]["positive_count"] == (planted.activations[:, SIGNED] > 0).sum()  # type: ignore[index]
    assert all(sum(row["histogram"]) == row["positive_count"] for row in table if row["index"] != SILENT)
    assert table[SILENT]["histogram"] is None
    assert table[RARE]["histogram"] is not None


def test_every_peak_has_its_cause(made: Artifact) -> None:
    """The item is that of the low peak, the others are of the high one; the other peak differs by their lack alone."""
    rows = made.table("peaks").to_pylist()
    causes: dict[int, list[str]] = {}
    for row in rows:
        causes.setdefault(row["index"], []).append(row["cause"])
    assert causes == {
        BY_TOKEN: ["token", "tokens"],
        BY_NEIGHBOUR: ["intrinsic", "neighbour"],
        INTRINSIC: ["intrinsic", "intrinsic"],
        BY_RING: ["intrinsic", "ring"],
        BY_ENTROPY: ["intrinsic", "uncertainty"],
    }
    found = {(row["index"], row["peak"]): row for row in rows}
    token, neighbour, ring = found[BY_TOKEN, 0], found[BY_NEIGHBOUR, 1], found[BY_RING, 1]
    assert (token["token"], token["token_share"], token["token_share_outside"]) == ("w11", 1, 0)
    assert token["tokens_explained"] > 0.95
    assert (neighbour["neighbour"], neighbour["relation"]) == (NEIGHBOUR, "co-occurs")
    assert (neighbour["neighbour_share"], neighbour["neighbour_share_outside"]) == (1, 0)
    assert (ring["manifold"], ring["neighbour"], ring["partner_share"]) == (0, None, 1)
    assert found[BY_ENTROPY, 1]["entropy_auc"] > 0.99
    assert found[BY_ENTROPY, 1]["entropy_difference"] > 1
    for row in rows:
        assert row["low"] <= row["at"] <= row["high"]
    lists = made.table("magnitude").to_pylist()[BY_NEIGHBOUR]
    assert lists["peak_causes"] == ["intrinsic", "neighbour"]
    assert lists["peak_neighbours"][1] == NEIGHBOUR
    assert lists["peak_places"] == pytest.approx([8, 20], abs=0.7)
    figures = made.results["causes"]["multi-peak"]
    assert figures["features"] == {"token": 1, "neighbour": 1, "ring": 1, "uncertainty": 1, "tokens": 0, "intrinsic": 1}
    assert figures["peaks"]["intrinsic"] == 5
    assert made.results["control_causes"]["peaks"]["intrinsic"] == len(rows)
    assert made.results["control_classes"]["multi-peak"] == 0


def test_entropy_goes_with_one_feature_alone(made: Artifact, planted: Sample) -> None:
    """Its rank correlation is scipy's; no feature fires where the model is unsure; nothing is claimed of controls."""
    rows = made.table("magnitude").to_pylist()
    some = planted.firing[:, BY_ENTROPY]
    assert planted.activations is not None
    assert planted.entropy is not None
    expected = spearmanr(planted.activations[some, BY_ENTROPY], planted.entropy[some]).statistic
    assert rows[BY_ENTROPY]["entropy_correlation"] == pytest.approx(expected)
    assert expected > 0.5
    assert [row["index"] for row in rows if (row["entropy_correlation_q"] or 1) < 0.01] == [BY_ENTROPY]
    assert rows[CONSTANT]["entropy_correlation"] is None
    assert rows[RARE]["entropy_difference"] is None
    assert made.results["entropy_claims"]["correlation"] >= 1
    assert made.results["entropy_control"]["permute"] == {"correlation": 0, "difference": 0}


def test_a_difference_of_entropies_is_found(planted: Sample, run: Run) -> None:
    """Where a feature fires on uncertain tokens alone: the difference is that of the means, within spans."""
    entropy = np.where(planted.firing[:, VARIABLE], 5.0, 1.0)
    spans = Spans(entropy, planted.document)
    found = uncertainty(Firings(run.artifact("10-activations").path), np.array([VARIABLE, SET]), spans)
    assert found.difference[0] == pytest.approx(4)
    assert found.difference_p[0] < 1e-50
    assert found.claims(0.05)[1] == 1


def test_intervals_hold_the_shares(made: Artifact) -> None:
    """Without a tenth of the documents no class changes here: intervals without width."""
    assert made.results["class_kept"] == 1
    assert made.results["class_intervals"]["set"] == pytest.approx([3 / 11, 3 / 11])


def test_the_same_again_and_without_what_is_optional(run: Run, made: Artifact, tmp_path: Path) -> None:
    """Skipped when done; of activations alone the classes are equal, and neighbours and rings are not asked for."""
    assert magnitude(run, intervals=True).digest == made.digest
    shutil.copytree(run.path / "10-activations", tmp_path / "10-activations")
    (tmp_path / "10-activations" / "encoder.safetensors").rename(tmp_path / "encoder.safetensors")
    reindexed(tmp_path, reservoir=None)
    with Run(tmp_path) as held:
        found = magnitude(held)
    assert tuple(found.inputs) == ("10-activations",)
    assert found.results["classes"] == made.results["classes"]
    assert found.results["causes"]["multi-peak"]["features"]["neighbour"] == 0
    assert found.table("magnitude")["activation_threshold"].to_pylist() == [0] * D_SAE


def test_edges_of_other_activations_are_left_out(
    run: Run, made: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said, and no neighbour is asked for: theirs would be of other firings."""
    for name in ("10-activations", "30-edges"):
        shutil.copytree(run.path / name, tmp_path / name)
    reindexed(tmp_path, reservoir=None)
    with Run(tmp_path) as held:
        found = magnitude(held)
    assert "without 30-edges, whose inputs changed" in caplog.text
    assert tuple(found.inputs) == ("10-activations",)


def reindexed(directory: Path, *, reservoir: int | None) -> None:
    """Write the manifest of activations anew, after an index or a sample by feature."""
    folder = directory / "10-activations"
    n_shards = len(list((folder / "shards").iterdir()))
    with Run(directory) as held:
        old = (folder / "manifest.json").read_bytes()
        assert old

        def compute(place: Path) -> dict[str, Any]:
            build_index(place, n_shards=n_shards, d_sae=D_SAE, reservoir=reservoir)
            return {}

        (folder / "manifest.json").unlink()
        held.produce(Spec("10-activations", {"reservoir": reservoir}), compute, resume=True)


def test_a_reservoir_has_classes_of_its_sample(run: Run, tmp_path: Path) -> None:
    """At most 300 of each: classes of those, said; no peak is explained and no entropy asked for."""
    shutil.copytree(run.path / "10-activations", tmp_path / "10-activations")
    for name in ("by_feature", "tokens"):
        (tmp_path / "10-activations" / f"{name}.safetensors").unlink()
    reindexed(tmp_path, reservoir=300)
    with Run(tmp_path) as held:
        found = magnitude(held)
    rows = found.table("magnitude").to_pylist()
    assert found.results["reservoir"] == 300
    assert rows[SET]["positive_count"] == 300
    assert (rows[SET]["magnitude"], rows[INTRINSIC]["magnitude"]) == ("set", "multi-peak")
    assert found.table("peaks").num_rows == 0
    assert "entropy_claims" not in found.results


def test_the_picture_shows_every_class(made: Artifact) -> None:
    """XML with a histogram of 32 bars for each feature shown, a tick for each peak, and captions as they are."""
    rows = made.table("magnitude").to_pylist()
    drawn = ET.fromstring(as_svg(rows, {INTRINSIC: "a < b"}))
    texts = ["".join(one.itertext()) for one in drawn.iter() if one.tag.endswith("text")]
    assert "5 features" in texts
    assert "a < b" in texts
    shown = sum(text.startswith("n ") for text in texts)
    assert shown == 3 + 3 + 4
    bars = [one for one in drawn.iter() if one.tag.endswith("rect")]
    assert len(bars) == 32 * shown + 1  # and the ground
    assert len([one for one in drawn.iter() if one.get("stroke-width")]) == 2 * 4
