"""Absorption: what is claimed of planted directions, what is not, and what a run without directions says."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.absorption import Limits, absorb, hedging
from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, near_pairs, random_directions
from atlas.absorption.measured import Pairs, Silence
from atlas.absorption.readout import gather
from atlas.artifacts import Artifact, Run, Spec
from atlas.association.sample import Null, Sample
from atlas.association.testing import Gates, alive_features
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.files import write_arrays, write_table
from atlas.firings import Firings, Shard, build_index, write_shard

N, DOCUMENT, D_IN = 8000, 100, 24
ABSORBED, WEAK, SIBLING, TWIN = 1, 2, 3, 4
PARENT = 0


def unit(rows: Any) -> np.ndarray[Any, Any]:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def planted(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return activations (N, 12) and directions.

    Feature 0 is a parent. 1 has taken its tokens whole, on 2's it fires weakly, 3 points half its way, 4
    points its way and fires with it; the others are by themselves.
    """
    basis = np.linalg.qr(rng.standard_normal((D_IN, D_IN)))[0]
    W_dec, W_enc = basis[:12].copy(), basis[:12].copy()
    for child in (ABSORBED, WEAK, TWIN):
        W_dec[child] = basis[child] + basis[PARENT]
        W_enc[child] = basis[child] - 0.3 * basis[PARENT]
    W_dec[SIBLING] = basis[SIBLING] + 0.5 * basis[PARENT]
    W_enc[PARENT] = basis[PARENT] - basis[ABSORBED] - basis[WEAK]
    a = np.zeros((N, 12))
    kind = rng.integers(0, 60, N)
    a[kind == 0, PARENT] = 1
    a[kind == 10, PARENT] = 1
    a[kind == 11, PARENT] = 1
    a[kind == 1, ABSORBED] = 1.6
    a[kind == 2, WEAK] = 1.4
    a[kind == 2, PARENT] = 0.3
    a[kind == 3, SIBLING] = 1
    a[kind == 4, TWIN] = 1.4
    a[kind == 4, PARENT] = 1
    a[:, 5:] = rng.random((N, 7)) < 0.03
    a *= np.exp(0.02 * rng.standard_normal(a.shape))
    return a.astype(np.float32), {"W_dec": unit(W_dec), "W_enc": unit(W_enc)}


def store(
    run: Run,
    activations: np.ndarray[Any, Any],
    directions: dict[str, np.ndarray[Any, Any]],
    *,
    texts: list[str] | None = None,
    items: np.ndarray[Any, Any] | None = None,
    architecture: str = "topk",
) -> Artifact:
    """Write dense activations as `10-activations`, with the directions that are given."""
    n, d_sae = activations.shape
    items = np.arange(n) % 50 if items is None else items
    texts = texts or [f"t{i}" for i in range(50)]

    def compute(directory: Path) -> dict[str, Any]:
        tokens, ids = np.nonzero(activations)
        shard = Shard(
            items.astype(np.int32),
            (np.arange(n) // DOCUMENT).astype(np.int32),
            (np.arange(n) % DOCUMENT).astype(np.int32),
            np.concatenate([[0], np.cumsum(np.bincount(tokens, minlength=n))]).astype(np.int64),
            ids.astype(np.int32),
            activations[tokens, ids].astype(np.float32),
        )
        write_shard(directory, 0, shard, d_sae=d_sae)
        build_index(directory, n_shards=1, d_sae=d_sae)
        none = np.zeros(d_sae, np.float32)
        if "W_dec" in directions:
            write_arrays(directory / "decoder.safetensors", {"W_dec": directions["W_dec"], "norms": none + 1})
        if "W_enc" in directions:
            write_arrays(directory / "encoder.safetensors", {"W_enc": directions["W_enc"], "threshold": none})
        seen, counts = np.unique(items, return_counts=True)
        write_table(
            directory,
            "vocabulary",
            {"token_id": seen, "text": [texts[i] for i in seen], "n_tokens": counts},
        )
        return {"architecture": architecture, "n_tokens": n}

    return run.produce(Spec("10-activations", {"planted": 0}), compute)


def stage(folder: Path, *args: Any, **given: Any) -> Artifact:
    with Run(folder) as run:
        store(run, *args, **given)
        count(run)
        return absorb(run)


def rows(found: Artifact, table: str = "absorption") -> list[dict[str, Any]]:
    return found.table(table).to_pylist()


def test_what_is_absorbed_is_a_candidate_and_what_only_points_that_way_is_not(tmp_path: Path) -> None:
    """Full and partial are told apart; a sibling brings too little, and a twin fires with its parent."""
    found = stage(tmp_path, *planted(np.random.default_rng(0)))
    by_child = {row["child"]: row for row in rows(found)}
    assert {(row["child"], row["parent"]) for row in rows(found)} == {(ABSORBED, PARENT), (WEAK, PARENT)}
    full, partial = by_child[ABSORBED], by_child[WEAK]
    assert (full["kind"], partial["kind"]) == ("full", "partial")
    assert (full["p_parent_given_child_any"], full["lift_d"], full["splitting_index"]) == (0, 0, None)
    assert (partial["p_parent_given_child_any"], partial["p_parent_given_child_rel"]) == (1, 0)
    assert full["decoder_cosine"] == pytest.approx(2**-0.5, abs=1e-6)
    assert full["asymmetry"] == pytest.approx(full["decoder_cosine"] - full["encoder_cosine"])
    assert full["signature"]
    assert full["contribution"] == pytest.approx(1.6 * 2**-0.5, rel=0.02)
    assert full["readout_share"] > 0.9 > 0.1 > full["readout_control"]
    assert {row["status"] for row in rows(found)} == {"candidate"}
    assert found.results["n_candidates"] == 2


def test_the_control_counts_what_each_gate_lets_through(tmp_path: Path) -> None:
    """Counts fall from gate to gate to the candidates, and the last row is the whole rule."""
    found = stage(tmp_path, *planted(np.random.default_rng(0)))
    control = [row for row in rows(found, "absorption_control") if row["claim"] == "absorption"]
    counts = [row["pairs"] for row in control]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 2
    assert control[-1]["matched_share"] <= min(row["matched_share"] for row in control[:-1])


def test_a_tied_encoder_has_no_asymmetry_and_is_told(tmp_path: Path) -> None:
    """The encoder is the decoder up to length: asymmetry 0, no gate, no mark of the textbook, no word on hedging."""
    activations, directions = planted(np.random.default_rng(0))
    found = stage(tmp_path, activations, {"W_dec": directions["W_dec"], "W_enc": directions["W_dec"]})
    assert {(row["asymmetry"], row["signature"]) for row in rows(found)} == {(0.0, False)}
    assert found.results["tied"]
    assert "0 by construction" in found.results["notes"][0]
    assert rows(found, "hedging") == []


@pytest.mark.parametrize(
    ("given", "note", "n"), [(("W_dec",), "without an encoder", 2), ((), "without a decoder", 0)]
)
def test_without_an_encoder_or_a_decoder_it_says_what_is_left(
    tmp_path: Path, given: tuple[str, ...], note: str, n: int
) -> None:
    """Conditionals and the decoder's cosine stay where there is a decoder; nothing does without one."""
    activations, directions = planted(np.random.default_rng(0))
    found = stage(tmp_path, activations, {name: directions[name] for name in given})
    assert note in found.results["notes"][0]
    assert len(rows(found)) == n
    assert all(row["encoder_cosine"] is None and row["asymmetry"] is None for row in rows(found))


def test_signed_activations_are_said_and_do_no_harm(tmp_path: Path) -> None:
    """A feature that is negative on half of its tokens goes through; strengths are of positive ones."""
    activations, directions = planted(np.random.default_rng(0))
    activations[::2, 5:] *= -1
    found = stage(tmp_path, activations, directions, architecture="matching_pursuit")
    assert "signed" in found.results["notes"][-1]
    assert len(rows(found)) == 2


def test_one_alive_feature_or_none_gives_empty_tables(tmp_path: Path) -> None:
    """Nothing to compare is no error."""
    activations, directions = planted(np.random.default_rng(0))
    activations[:, 1:] = 0
    found = stage(tmp_path, activations, directions)
    assert found.results["n_candidates"] == 0
    assert all(rows(found, name) == [] for name in ("absorption", "hedging", "letters", "letter_words"))


def test_counts_without_the_strong_rule_are_refused(tmp_path: Path) -> None:
    """The remedy is the command that counts it."""
    with Run(tmp_path) as run:
        store(run, *planted(np.random.default_rng(0)))
        count(run, rules=("abs:1",))
        with pytest.raises(InputError, match="was not counted, and absorption is found by it"):
            absorb(run)


def test_features_whose_encoders_and_decoders_are_near_are_hedged(tmp_path: Path) -> None:
    """Two that mix each other in and fire together; the same two where they never do are left out."""
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((200, 200)))[0][:120]
    directions = {"W_dec": basis.copy(), "W_enc": basis.copy()}
    for a, b in ((0, 1), (2, 3)):
        for mixed in directions.values():
            mixed[b] = basis[b] + basis[a]
    directions["W_enc"] += 0.01 * rng.standard_normal(basis.shape)
    activations = (rng.random((N, 120)) < 0.02).astype(np.float32)
    activations[:, 1] = activations[:, 0]
    activations[:, 3] *= 1 - activations[:, 2]
    found = stage(tmp_path, activations, {name: unit(rows) for name, rows in directions.items()})
    assert [(row["a"], row["b"]) for row in rows(found, "hedging")] == [(0, 1)]


def test_near_pairs_are_all_of_them_whatever_the_block() -> None:
    """Against every pair compared, in blocks of one row and of all."""
    vectors = unit(np.random.default_rng(2).standard_normal((40, 6)))
    wanted = {(a, b) for a in range(40) for b in range(a + 1, 40) if vectors[a] @ vectors[b] >= 0.5}
    for cells in (1, 150, 10**6):
        pairs = [pair for a, b in near_pairs(vectors, 0.5, cells=cells) for pair in zip(a, b, strict=True)]
        assert set(pairs) == wanted
        assert len(pairs) == len(wanted)


def test_random_directions_keep_mean_covariance_and_what_binds_the_encoder() -> None:
    """Over many rows; and a random encoder is as near its own decoder as the real one."""
    rng = np.random.default_rng(3)
    rows = unit(rng.standard_normal((3000, 5)) * [3, 2, 1, 1, 0.5] + [1, 0, 0, 0, 0])
    encoder = unit(rows + 0.3 * rng.standard_normal(rows.shape))
    random = random_directions(Directions(rows, encoder, False), rng)
    assert random.encoder is not None
    assert np.abs(random.decoder.mean(0) - rows.mean(0)).max() < 0.1
    ours = (rows * encoder).sum(1).mean()
    assert (random.decoder * random.encoder).sum(1).mean() == pytest.approx(ours, abs=0.1)
    assert not np.allclose(random.decoder, rows)


def test_joint_counts_and_expectations_are_those_of_the_edges(tmp_path: Path) -> None:
    """Against the firings compared token by token, and the sum over strata written out; 0 where never seen."""
    activations, directions = planted(np.random.default_rng(0))
    with Run(tmp_path) as run:
        store(run, activations, directions)
        counts = count(run)
        firings = Firings(run.path / "10-activations")
        alive = alive_features(firings.firing_count, n_tokens=N, gates=Gates())
        counted = Counted.of(firings, counts.path, alive, memory=2**28)
    a, b = np.triu_indices(12, 1)
    on = activations > 0
    median = np.array([np.median(column[column > 0]) for column in activations.T])
    strong = on & (activations >= np.float32(0.5) * median.astype(np.float32))
    joint, strong_joint = counted.joint(b, a)
    assert joint.tolist() == [int((on[:, i] & on[:, j]).sum()) for i, j in zip(a, b, strict=True)]
    assert strong_joint.tolist() == [int((strong[:, i] & strong[:, j]).sum()) for i, j in zip(a, b, strict=True)]
    assert 0 in joint
    sample = Sample.of(firings, counts.path)
    weights = Null.of(sample, alive).weights[:, 0]
    by_stratum = on.reshape(-1, DOCUMENT, 12).sum(1)
    wanted = np.einsum("d,di,dj->ij", weights, by_stratum, by_stratum)[a, b]
    assert counted.expected(a, b) == pytest.approx(wanted)
    assert counted.mean == pytest.approx([column[column > 0].mean() for column in activations.T], rel=1e-5)


def test_silence_by_hand(tmp_path: Path) -> None:
    """A child of 40 tokens, its parent on 30 more: 4 joint is silent, 16 weak ones are weak, 16 strong ones neither."""
    for strength, n_joint, kind in ((1.0, 4, "full"), (0.2, 16, "partial"), (1.0, 16, None)):
        activations = np.zeros((2000, 3), np.float32)
        activations[:40, 1] = 1
        activations[:n_joint, 0] = strength
        activations[40:90, 0] = 1
        activations[100:200, 2] = 1
        folder = tmp_path / f"{strength}-{n_joint}"
        with Run(folder) as run:
            store(run, activations, {"W_dec": unit(np.eye(3)), "W_enc": unit(np.eye(3))})
            counts = count(run)
            counted = Counted.of(Firings(folder / "10-activations"), counts.path, np.arange(3), memory=2**28)
        one, zero = np.array([1]), np.array([0])
        pairs = Pairs(one, zero, np.array([0.7]), np.array([0.0]), np.array([1.0]))
        silence = Silence.of(pairs, counted, Limits())
        assert silence.kind.tolist() == [kind]
        assert silence.p_parent_given_child.tolist() == [n_joint / 40]


def test_gathering_tokens_gives_their_firings(tmp_path: Path) -> None:
    """Chosen rows of the dense activations, from the shards."""
    activations, directions = planted(np.random.default_rng(0))
    with Run(tmp_path) as run:
        store(run, activations, directions)
        firings = Firings(run.path / "10-activations")
    chosen = np.array([0, 3, 4, 4000, N - 1])
    assert gather(firings, chosen).toarray() == pytest.approx(activations[chosen])
    assert gather(firings, chosen[:0]).shape == (0, 12)


def test_the_same_seed_gives_the_same_tables(tmp_path: Path) -> None:
    """Two runs, byte for byte; another seed draws other controls."""
    given = planted(np.random.default_rng(0))
    first, second = (stage(tmp_path / name, *given) for name in ("one", "two"))
    assert first.files == second.files


def test_the_nearest_pairs_are_kept_whatever_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,200 pairs the 40 whose smaller cosine is largest, and how many reach each cut: as if all were held."""
    rng = np.random.default_rng(4)
    decoder = unit(rng.standard_normal((60, 3)))
    directions = Directions(decoder, unit(decoder + 0.3 * rng.standard_normal((60, 3))), False)
    whole = hedging._Near.of(directions, lambda amount: None)
    least = whole.cosines.min(1)
    assert len(least) > 400
    assert whole.reached.tolist() == [(least >= cut).sum() for cut in hedging.CUTS]
    kept = np.sort(np.argsort(-least, kind="stable")[:40])
    monkeypatch.setattr(hedging, "MOST", 40)
    monkeypatch.setattr(hedging, "near_pairs", functools.partial(near_pairs, cells=200))
    found = hedging._Near.of(directions, lambda amount: None)
    assert found.reached.tolist() == whole.reached.tolist()
    assert (found.a.tolist(), found.b.tolist()) == (whole.a[kept].tolist(), whole.b[kept].tolist())
