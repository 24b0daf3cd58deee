"""Controls: made by the stages of the run itself, on firings, models and SAEs that have lost what is claimed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_model
from safetensors.numpy import load_file

from atlas.artifacts import Run, load_manifest
from atlas.cli import main
from atlas.errors import CapacityError, InputError, Interrupted
from atlas.firings import Firings
from atlas.ingest import baselines, stages
from atlas.ingest.baseline_harvest import Reader, harvest
from atlas.ingest.baseline_models import random_model
from atlas.ingest.baselines import Training, baseline
from atlas.ingest.corpus import open_corpus
from atlas.ingest.demo.controls import CONTROLS, SUMMARY
from atlas.ingest.models import load_model
from atlas.ingest.saes import load_sae

WORDS = ("star", "hub", "ring", "clique", "month", "day", "year", "token", "model", "graph", "edge", "1", "2")
WIDTH = 200


def texts(n: int, seed: int) -> list[str]:
    """Return documents of thirty words, each with its own favourites."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 30, p=rng.dirichlet(np.full(len(WORDS), 0.3)))) for _ in range(n)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    return {
        "model": tiny_model.make_model(root / "tiny"),
        "sae": tiny_model.make_sae(root / "sae", d_sae=WIDTH),
        "corpus": tiny_model.write_corpus(root / "text.jsonl", texts(40, 0)),
        "train_corpus": tiny_model.write_corpus(root / "more.jsonl", texts(60, 1)),
    }


@pytest.fixture(scope="module")
def run(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Run(tmp_path_factory.mktemp("run")) as held:
        given = {name: inputs[name] for name in ("model", "sae", "corpus")}
        stages.stage_activations(held, **given, device="cpu", shard_tokens=1000)
        stages.stage_counts(held, span=100)
        stages.stage_edges(held, target_degree=6.0, max_density=0.5, seed=3)
        stages.stage_clusters(held, seed=3)
        stages.stage_structure(held, grid=False)
        yield held


@pytest.fixture
def bare(run: Run, tmp_path: Path) -> Iterator[Run]:
    """Yield the run before its stages: what a control costs is then its SAE alone."""
    shutil.copytree(run.path / "10-activations", tmp_path / "bare" / "10-activations")
    with Run(tmp_path / "bare") as held:
        yield held


def training(inputs: dict[str, Path], **changes: Any) -> Training:
    given: dict[str, Any] = {
        "model": inputs["model"], "corpus": open_corpus(inputs["corpus"]),
        "train_corpus": open_corpus(inputs["train_corpus"]), "epochs": 30, "device": "cpu",
    }  # fmt: skip
    return Training(**(given | changes))


def weights(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = load_file(folder / "model.safetensors")
    return found


def test_the_harvest_is_what_the_model_says_window_by_window(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Every window alone behind BOS, cut by hand; a shard that is lost is made again, the same."""
    model = load_model(inputs["model"], device="cpu")
    text = open_corpus(tiny_model.write_corpus(tmp_path / "text.jsonl"))
    reader = Reader(model, tiny_model.HOOK, 6, 0, (0, 1, 2), batch_size=3)
    found = harvest(reader, text, tmp_path / "kept", identity="tiny")
    expected, tokens = [], []
    for document in tiny_model.TEXTS:
        ids = model.tokenizer(document, add_special_tokens=False)["input_ids"]
        for start in range(0, len(ids), 5):
            expected.append(model.activations_at(tiny_model.HOOK, [[0, *ids[start : start + 5]]])[0, 1:].numpy())
            tokens += ids[start : start + 5]
    everything = np.concatenate(expected)
    assert np.allclose(found.acts, everything, atol=1e-5)
    assert found.token.tolist() == tokens
    assert np.allclose(found.mean(), everything.mean(axis=0), atol=1e-6)
    assert found.mean_norm() == pytest.approx(np.linalg.norm(everything, axis=1).mean(), rel=1e-5)
    some = np.array([7, 3, len(tokens) - 1])
    assert np.array_equal(found.rows(some), found.acts[some])
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.safetensors")}
    lost = next(iter(before))
    lost.unlink()
    harvest(reader, text, tmp_path / "kept", identity="tiny")
    assert lost.read_bytes() == before[lost]
    assert len({path.parent for path in before}) == 1
    harvest(reader, text, tmp_path / "kept", identity="another model")
    assert len({path.parent for path in (tmp_path / "kept").rglob("*.safetensors")}) == 2


def test_too_small_a_disk_is_said_before_the_harvest(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 26: what it takes, what is free, and which options help."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    reader = Reader(load_model(inputs["model"], device="cpu"), tiny_model.HOOK, 6, 0, ())
    with pytest.raises(CapacityError, match="0 MB are free") as error:
        harvest(reader, open_corpus(inputs["corpus"]), tmp_path, identity="tiny")
    assert "--train-tokens" in error.value.remedy


def test_shuffled_firings_keep_their_documents_and_activations(run: Run, tmp_path: Path) -> None:
    """Of each feature in each document: as many firings, the same activations, on other tokens."""
    with Run(tmp_path / "shuffled") as control:
        baseline("shuffled", run, control, seed=1)
        real, moved = (Firings(some.path / "10-activations") for some in (run, control))
        again = [some.artifact("10-activations") for some in (run, control)]
    moved_somewhere = 0
    for feature in range(real.d_sae):
        sorted_ = []
        for some in (real, moved):
            rows, values = some.tokens_of(feature), some.activations_of(feature)
            document = some.document[rows]
            order = np.lexsort((values, document))
            sorted_.append((document[order].tolist(), values[order].tolist()))
        assert sorted_[0] == sorted_[1]
        moved_somewhere += real.tokens_of(feature).tolist() != moved.tokens_of(feature).tolist()
    assert moved_somewhere > 0.5 * np.count_nonzero(real.firing_count)
    assert again[1].parameters == again[0].parameters | {"control": again[1].parameters["control"]}
    assert (again[0].files["decoder.safetensors"]) == again[1].files["decoder.safetensors"]


def test_the_stages_are_those_of_the_run(run: Run, inputs: dict[str, Path], tmp_path: Path) -> None:
    """Same artifacts, same parameters, and on the text of the run; the SAE is as wide, with as many firings."""
    with Run(tmp_path / "seed") as control:
        made = baseline("seed", run, control, seed=2, training=training(inputs))
        real, again = (Firings(some.path / "10-activations") for some in (run, control))
        assert [one.name for one in made] == ["10-activations", "20-counts", "30-edges", "40-clusters", "50-structure"]
        for one in made[1:]:
            assert one.parameters == run.artifact(one.name).parameters
        assert real.token_id.tolist() == again.token_id.tolist()
        facts = [some.artifact("10-activations").results for some in (run, control)]
        assert facts[0]["d_sae"] == facts[1]["d_sae"]
        assert facts[1]["mean_l0"] == pytest.approx(facts[0]["mean_l0"], abs=1)


def test_a_second_call_trains_nothing(
    bare: Run, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption in the training keeps the harvest; a finished SAE is kept; so is a finished control."""
    harvested: list[int] = []
    real = baselines.harvest

    def counted(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        harvested.append(len(list((tmp_path / "control" / "control" / "activations").rglob("*.safetensors"))))
        return found

    def interrupted(*_: Any, **__: Any) -> Any:
        raise Interrupted("interrupted")

    monkeypatch.setattr(baselines, "harvest", counted)
    monkeypatch.setattr(baselines, "train", interrupted)
    given = {"seed": 2, "training": training(inputs, epochs=1)}
    with Run(tmp_path / "control") as control, pytest.raises(Interrupted):
        baseline("frozen-decoder", bare, control, **given)
    assert harvested[0] > 0
    monkeypatch.undo()
    with Run(tmp_path / "control") as control:
        first = baseline("frozen-decoder", bare, control, **given)
    assert not (tmp_path / "control" / "control" / "activations").exists()
    monkeypatch.setattr(baselines, "train", interrupted)
    with Run(tmp_path / "control") as control:
        assert [one.digest for one in baseline("frozen-decoder", bare, control, **given)] == [
            one.digest for one in first
        ]
        with pytest.raises(InputError, match="begun as another control"):
            baseline("frozen-decoder", bare, control, seed=3, training=given["training"])


def test_a_frozen_decoder_is_the_one_drawn_and_its_encoder_is_trained(
    bare: Run, inputs: dict[str, Path], tmp_path: Path
) -> None:
    """Beside the decoder of the same seed that was trained for as long."""
    directions = {}
    for kind, epochs in (("frozen-decoder", 1), ("frozen-decoder", 30), ("seed", 1), ("seed", 30)):
        with Run(tmp_path / f"{kind}-{epochs}") as control:
            baseline(kind, bare, control, seed=4, training=training(inputs, epochs=epochs))
            found = load_sae(control.path / "control" / f"sae-{kind}").directions()
            directions[kind, epochs] = found["decoder"]["W_dec"], found["encoder"]["W_enc"]
    frozen, free = (
        np.einsum("ij,ij->i", *(directions[kind, epochs][0] for epochs in (1, 30)))
        for kind in ("frozen-decoder", "seed")
    )
    assert frozen.min() > 0.999
    assert free.min() < 0.99
    encoders = np.einsum("ij,ij->i", *(directions["frozen-decoder", epochs][1] for epochs in (1, 30)))
    assert encoders.min() < 0.99


@pytest.mark.parametrize("kind", ["random-weights", "random-embedding-kept"])
def test_random_models_know_nothing_but_what_is_kept(inputs: dict[str, Path], tmp_path: Path, kind: Any) -> None:
    """No matrix is the trained one, but for the embeddings where they are kept; the same seed draws the same."""
    real = weights(inputs["model"])
    drawn = weights(random_model(inputs["model"], tmp_path / "one", control=kind, seed=1))
    again = weights(random_model(inputs["model"], tmp_path / "two", control=kind, seed=1))
    other = weights(random_model(inputs["model"], tmp_path / "three", control=kind, seed=2))
    kept = {"model.embed_tokens.weight", "lm_head.weight"} if kind == "random-embedding-kept" else set()
    matrices = {name for name, value in real.items() if value.ndim == 2}
    assert kept <= matrices
    for name in matrices:
        assert np.array_equal(drawn[name], again[name])
        assert np.array_equal(real[name], drawn[name]) == (name in kept)
        assert np.array_equal(other[name], drawn[name]) == (name in kept)
        assert drawn[name].std() == pytest.approx(real[name].std(), rel=0.2)  # drawn, too, and from the same


def test_a_random_model_runs_like_the_real_one(run: Run, inputs: dict[str, Path], tmp_path: Path) -> None:
    """Through the command, on the same tokens; the manifest names the control, and the comparison reads it."""
    out = tmp_path / "control"
    asked = ["baseline", "random-weights", "--run", str(run.path), "--out", str(out), "--epochs", "5", "--seed", "7"]
    asked += ["--model", str(inputs["model"]), "--corpus", str(inputs["corpus"]), "--device", "cpu"]
    asked += ["--train-corpus", str(inputs["train_corpus"]), "--train-tokens", "1500"]
    run.__exit__()
    try:
        with pytest.raises(SystemExit) as left:
            main(asked)
        assert left.value.code == 0
        manifest = load_manifest(out / "10-activations")
        assert manifest is not None
        assert manifest.results["model"] == "tiny-random-weights"
        assert json.loads((out / "control.json").read_text())["train_tokens"] == 1500
        with pytest.raises(SystemExit) as left:
            main(["compare", str(run.path), str(out), "--name", "nothing-learnt", "--json"])
        assert left.value.code == 0
    finally:
        run.__enter__()
    found = load_manifest(run.path / "70-comparison-nothing-learnt")
    assert found is not None
    assert found.results["control"] == "random-weights"
    assert any("different models" in note for note in found.results["notes"])


def test_a_trained_sae_is_taken_as_it_is(bare: Run, inputs: dict[str, Path], tmp_path: Path) -> None:
    """The SAE of the run under another name: the same firings, and nothing is trained."""
    with Run(tmp_path / "again") as control:
        baseline("seed", bare, control, training=training(inputs, trained=inputs["sae"]))
        one, two = (Firings(some.path / "10-activations") for some in (bare, control))
    assert np.array_equal(one.rows, two.rows)


def test_what_is_not_the_runs_own_is_refused(run: Run, inputs: dict[str, Path], tmp_path: Path) -> None:
    """Another text, another model, no model, the run itself, a finished run, a k beyond the width."""
    other = open_corpus(inputs["train_corpus"])
    model = tiny_model.make_model(tmp_path / "other", seed=9)
    with Run(tmp_path / "control") as control:
        with pytest.raises(InputError, match="corpus is not that of the run"):
            baseline("seed", run, control, training=training(inputs, corpus=other))
        with pytest.raises(InputError, match="model is not that of the run"):
            baseline("seed", run, control, training=training(inputs, model=model))
        with pytest.raises(InputError, match="an SAE is trained for it"):
            baseline("seed", run, control)
        with pytest.raises(InputError, match="directory of its own"):
            baseline("shuffled", run, run)
        with pytest.raises(InputError, match="features"):
            baseline("seed", run, control, training=training(inputs, k=WIDTH))
    with pytest.raises(InputError, match="no such folder"):
        random_model(tmp_path / "nothing", tmp_path, control="random-weights", seed=0)


def test_other_architectures_are_trained_with_as_many_firings(
    inputs: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A JumpReLU SAE's control is a batch TopK, saved as JumpReLU, that fires about as often."""
    sae = tiny_model.make_sae(tmp_path / "jump", kind="jumprelu")
    with Run(tmp_path / "run") as run, Run(tmp_path / "control") as control:
        given = {name: inputs[name] for name in ("model", "corpus")}
        real = stages.stage_activations(run, sae=sae, **given, device="cpu").results
        made = baseline("seed", run, control, training=training(inputs))[0].results
    assert made["architecture"] == "jumprelu"
    assert 0.7 < made["mean_l0"] / real["mean_l0"] < 1.4


def test_random_weights_of_another_architecture(tmp_path: Path) -> None:
    """GPT-2's own initialisation: matrices of standard deviation .02, norms of ones."""
    model = tiny_model.make_model(tmp_path / "gpt", kind="gpt2")
    found = load_model(random_model(model, tmp_path, control="random-weights", seed=1), device="cpu")
    assert found.activations_at(tiny_model.HOOK, [[0, 5, 6]]).shape == (1, 3, tiny_model.WIDTH)


def test_the_summary_of_the_demos_controls_is_of_one_run() -> None:
    """Every control is held against the same counts, and the shuffled one has no edge."""
    summary = json.loads(SUMMARY.read_text("utf8"))
    assert {name: one["comparison"]["control"] for name, one in summary.items()} == CONTROLS
    counts = [{(row["structure"], row["of"]): row["count"] for row in one["structures"]} for one in summary.values()]
    for key in set.union(*map(set, counts)):
        assert len({some[key] for some in counts if some.get(key)}) <= 1
    shuffled = {(row["structure"], row["of"]): row["other_count"] for row in summary["shuffled"]["structures"]}
    assert shuffled["edges", "CO_OCCURS, significant"] == 0
