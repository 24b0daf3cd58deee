"""The stage `10-activations`: firings of a tiny model's SAE, from corpus to finished artifact."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import worlds
from tiny_model import CONTEXT, FEATURES, HOOK, TEXTS, WIDTH

from atlas.artifacts import Artifact, Run
from atlas.errors import BackendError, CapacityError, InputError, Interrupted
from atlas.firings import Firings, build_index, write_shard
from atlas.ingest import activations as stage
from atlas.ingest import shards
from atlas.ingest.activations import activations, item_pieces, item_texts
from atlas.ingest.interrupt import interruptible
from atlas.ingest.models import load_model
from atlas.ingest.saes import load_sae

SHARD_TOKENS = 24
STAGE = "10-activations"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    return {
        "model": tiny_model.make_model(root / "tiny"),
        "sae": tiny_model.make_sae(root / "sae"),
        "corpus": tiny_model.write_corpus(root / "text.jsonl"),
    }


def produce(run: Path, inputs: dict[str, Path], **changes: Any) -> Artifact:
    with Run(run) as held:
        settings = {"shard_tokens": SHARD_TOKENS, "batch_size": 2, "device": "cpu", **inputs, **changes}
        return activations(held, **settings)


@pytest.fixture(scope="module")
def made(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return produce(tmp_path_factory.mktemp("run"), inputs)


def contents(directory: Path) -> dict[str, bytes]:
    """All files, the manifest without its times."""
    files = {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    manifest = json.loads(files.pop("manifest.json"))
    del manifest["made"]
    return {**files, "manifest": json.dumps(manifest).encode()}


def test_firings_equal_the_dense_encoder_thresholded(inputs: dict[str, Path], made: Artifact) -> None:
    """Every document alone, cut by hand into windows behind BOS, one window a forward pass."""
    model, sae = load_model(inputs["model"], device="cpu"), load_sae(inputs["sae"])
    tokens, documents, positions, dense = [], [], [], []
    for number, text in enumerate(TEXTS):
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        for start in range(0, len(ids), CONTEXT - 1):
            window = ids[start : start + CONTEXT - 1]
            dense.append(sae.encode(model.activations_at(HOOK, [[0, *window]])[0, 1:]).numpy())
            tokens += window
            documents += [number] * len(window)
            positions += range(start, start + len(window))
    firings = Firings(made.path)
    assert firings.token_id.tolist() == tokens
    assert firings.document.tolist() == documents
    assert firings.position.tolist() == positions
    rebuilt = np.zeros((len(tokens), FEATURES), np.float32)
    row = 0
    for shard in firings.shards():
        rebuilt[row + np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr)), shard.ids] = shard.activations
        assert shard.n_tokens <= SHARD_TOKENS
        row += shard.n_tokens
    np.testing.assert_allclose(rebuilt, np.maximum(np.concatenate(dense), 0), atol=1e-5)
    for feature in range(FEATURES):
        assert firings.tokens_of(feature).tolist() == np.flatnonzero(rebuilt[:, feature]).tolist()


def test_tables_and_results(inputs: dict[str, Path], made: Artifact) -> None:
    """What the manifest says is what the files hold."""
    firings, results = Firings(made.path), made.results
    documents, vocabulary = made.table("documents"), made.table("vocabulary")
    assert documents["name"].to_pylist() == [f"doc{n}" for n in range(len(TEXTS))]
    assert documents["n_tokens"].to_pylist() == np.bincount(firings.document).tolist()
    assert set(documents["source"].to_pylist()) == {"test"}
    assert sum(vocabulary["n_tokens"].to_pylist()) == firings.n_tokens == results["n_tokens"]
    assert vocabulary["token_id"].to_pylist() == np.unique(firings.token_id).tolist()
    assert {"n_documents": 5, "d_sae": FEATURES, "d_in": WIDTH, "hook_name": HOOK}.items() <= results.items()
    assert results["mean_l0"] == pytest.approx(firings.firing_count.sum() / firings.n_tokens)
    assert results["model"] == "tiny"
    assert results["corpus"] == "text.jsonl"
    assert (results["release"], results["sae_id"], results["architecture"]) == (None, "sae", "topk")
    assert results["firing_rule"] == "any"
    windows = sum(-(-n // (CONTEXT - 1)) for n in documents["n_tokens"].to_pylist())
    assert results["n_special_dropped"] == windows  # one BOS each, and none in the text
    decoder = made.arrays("decoder.safetensors")
    assert decoder["W_dec"].shape == (FEATURES, WIDTH)
    assert decoder["norms"].shape == (FEATURES,)
    assert set(made.files) == {
        "by_feature.safetensors", "tokens.safetensors", "decoder.safetensors", "encoder.safetensors",
        "documents.parquet", "vocabulary.parquet", "pieces.parquet",
        *(f"shards/shard-{n:05d}.safetensors" for n in range(results["n_shards"])),
    }  # fmt: skip
    assert str(inputs["model"].parent) not in json.dumps([made.parameters, results])  # no places on this disk


def test_special_tokens_are_dropped_by_id_and_counted(inputs: dict[str, Path], tmp_path: Path) -> None:
    """EOS and a named token inside the text; their neighbours keep their positions."""
    corpus = tiny_model.write_corpus(tmp_path / "c.jsonl", ["ab</s>cd", "e<pad>f,"])
    found = produce(tmp_path / "run", {**inputs, "corpus": corpus}, special_tokens=[","])
    firings = Firings(found.path)
    tokenizer = load_model(inputs["model"], device="cpu").tokenizer
    kept = item_texts(tokenizer, firings.token_id.tolist())
    assert "".join(kept) == "abcdef"
    assert found.results["n_special_dropped"] == 2 + 3  # a BOS for each window; EOS, PAD and the comma
    assert firings.position[firings.document == 1][-1] > 1
    assert not set(found.results["special_tokens"]) & set(firings.token_id.tolist())
    with pytest.raises(InputError, match="special token 'zzz' is not in the vocabulary"):
        produce(tmp_path / "other", {**inputs, "corpus": corpus}, special_tokens=["zzz"])


def test_vocabulary_texts_keep_half_characters_and_leading_spaces(inputs: dict[str, Path]) -> None:
    """Bytes that are no UTF-8 alone read as U+FFFD."""
    tokenizer = load_model(inputs["model"], device="cpu").tokenizer
    whole = tokenizer("é the", add_special_tokens=False)["input_ids"]
    texts = item_texts(tokenizer, whole)
    assert texts[0] == "\ufffd"
    assert any(text.startswith(" ") for text in texts)


def test_pieces_of_characters_are_kept_as_bytes(inputs: dict[str, Path]) -> None:
    """The bytes of a text's pieces are its UTF-8; whole items have none; SentencePiece's marks are read, too."""
    tokenizer = load_model(inputs["model"], device="cpu").tokenizer
    items = tokenizer("é€🙂", add_special_tokens=False)["input_ids"]
    pieces = item_pieces(tokenizer, items, item_texts(tokenizer, items))
    assert b"".join(pieces[item] for item in items).decode("utf8") == "é€🙂"
    whole = tokenizer("the hubs", add_special_tokens=False)["input_ids"]
    assert item_pieces(tokenizer, whole, item_texts(tokenizer, whole)) == {}

    class Marks:
        def convert_ids_to_tokens(self, items: list[int]) -> list[str]:
            return [["<0xE2>", "<0x41>", "\ufffd", "Ã"][item] for item in items]

    assert item_pieces(Marks(), [0, 1, 2, 3], ["\ufffd", "A", "\ufffd", "\ufffd"]) == {0: b"\xe2", 3: b"\xc3"}


def test_batch_size_changes_no_firing(inputs: dict[str, Path], made: Artifact, tmp_path: Path) -> None:
    """Padding and batches are invisible."""
    one, other = Firings(made.path), Firings(produce(tmp_path, inputs, batch_size=7).path)
    assert one.token_id.tolist() == other.token_id.tolist()
    for feature in range(FEATURES):
        assert one.tokens_of(feature).tolist() == other.tokens_of(feature).tolist()
        np.testing.assert_allclose(one.activations_of(feature), other.activations_of(feature), atol=1e-5)


def test_a_finished_stage_is_recognised_without_torch(inputs: dict[str, Path], made: Artifact) -> None:
    """In a new process, by names and sums alone."""
    code = (
        "import sys; from pathlib import Path; from atlas.artifacts import Run\n"
        "from atlas.ingest.activations import activations\n"
        "model, sae, corpus, run = sys.argv[1:]\n"
        "with Run(Path(run)) as held:\n"
        f"    activations(held, model=model, sae=sae, corpus=corpus, shard_tokens={SHARD_TOKENS})\n"
        "heavy = {'torch', 'transformers', 'sae_lens', 'transformer_lens', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    arguments = [*map(str, (inputs["model"], inputs["sae"], inputs["corpus"], made.path.parent))]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- faults of configuration and state


def test_fault_39_another_configuration_shows_the_difference(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a finished directory and for one that was only begun; nothing is touched."""
    before = contents(made.path)
    with pytest.raises(InputError, match="is finished with another configuration: context None -> 8") as caught:
        produce(made.path.parent, inputs, context=8)
    assert "rm -r" in caught.value.remedy
    assert contents(made.path) == before
    monkeypatch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard))
    with pytest.raises(Interrupted):
        produce(tmp_path, inputs)
    with pytest.raises(InputError, match="was begun with another configuration: tokens None -> 20"):
        produce(tmp_path, inputs, tokens=20)
    assert (tmp_path / STAGE / "progress.json").exists()


def test_fault_40_damaged_shards_are_named_and_redone(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of a finished artifact: one byte changed in a shard, another shard gone; the others are not done again."""
    found = produce(tmp_path, inputs)
    one, two = (found.path / "shards" / f"shard-0000{n}.safetensors" for n in (1, 3))
    content = bytearray(one.read_bytes())
    content[-1] ^= 1
    one.write_bytes(content)
    two.unlink()
    redone: list[int] = []
    monkeypatch.setattr(shards, "compute_shard", counted(redone, shards.compute_shard))
    again = produce(tmp_path, inputs)
    assert redone == [1, 3]
    assert "shard-00001.safetensors does not match its checksum" in caplog.text
    assert "shard-00003.safetensors is missing" in caplog.text
    assert again == found
    assert contents(again.path) == contents(made.path)


def test_fault_40_a_damaged_journal_trusts_nothing(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal cut in half: all is done again, to the same bytes."""
    with monkeypatch.context() as patch:
        patch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard))
        with pytest.raises(Interrupted):
            produce(tmp_path, inputs)
    path = tmp_path / STAGE / "progress.json"
    path.write_bytes(path.read_bytes()[:50])
    assert contents(produce(tmp_path, inputs).path) == contents(made.path)


def test_a_changed_tokenizer_is_noticed_on_resume(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration cannot know it: the plan's digest does."""
    with monkeypatch.context() as patch:
        patch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard))
        with pytest.raises(Interrupted):
            produce(tmp_path, inputs)
    common = int(np.bincount(Firings(made.path).token_id).argmax())
    monkeypatch.setattr(stage, "_special", lambda request, model: (0, 1, 2, common))
    with pytest.raises(InputError, match="was begun with another configuration: tokens '"):
        produce(tmp_path, inputs)


# ---- interruption


def counted(numbers: list[int], compute: Any) -> Any:
    def wrapped(encoder: Any, planned: Any, number: int) -> Any:
        numbers.append(number)
        return compute(encoder, planned, number)

    return wrapped


def stop_after(n: int, compute: Any, *, with_signal: int = signal.SIGINT, times: int = 1) -> Any:
    """Send this process a signal while shard number n - 1 is computed."""

    def wrapped(encoder: Any, planned: Any, number: int) -> Any:
        if number == n - 1:
            for _ in range(times):
                os.kill(os.getpid(), with_signal)
        return compute(encoder, planned, number)

    return wrapped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_fault_41_a_first_signal_finishes_the_shard_in_flight(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """The remedy is the resuming command, handlers are restored, and the rest gives the same bytes."""
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard, with_signal=number))
        with pytest.raises(Interrupted, match="interrupted after shard 2 of") as caught:
            produce(tmp_path, inputs, resume_command="atlas ingest activations --run here")
    assert caught.value.exit_code == code
    assert caught.value.remedy == "go on with: atlas ingest activations --run here"
    assert signal.getsignal(number) == before
    assert len(json.loads((tmp_path / STAGE / "progress.json").read_text())["shards"]) == 2
    redone: list[int] = []
    monkeypatch.setattr(shards, "compute_shard", counted(redone, shards.compute_shard))
    assert contents(produce(tmp_path, inputs).path) == contents(made.path)
    assert redone == list(range(2, made.results["n_shards"]))


def test_fault_41_a_second_signal_stops_at_once(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard in flight is given up."""
    monkeypatch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard, times=2))
    with pytest.raises(Interrupted, match="stopped at once"):
        produce(tmp_path, inputs)
    assert len(json.loads((tmp_path / STAGE / "progress.json").read_text())["shards"]) == 1


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    """Python would refuse to set a handler there."""
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def work() -> None:
        with interruptible("x") as interruption, interruption.finishing("work"):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.fixture(scope="module")
def killed(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    run = tmp_path_factory.mktemp("killed")
    script = Path(__file__).with_name("activations_killed.py")
    arguments = [str(inputs[name]) for name in ("model", "sae", "corpus")]
    command = [sys.executable, str(script), str(run), *arguments, str(SHARD_TOKENS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def test_fault_41_sigkill_anywhere_gives_the_same_bytes(killed: tuple[Path, str], made: Artifact) -> None:
    """Killed at random steps again and again, in the middle of files too, until it finishes."""
    run, output = killed
    report = json.loads(output)
    assert report["kills"] >= 8
    assert len(set(report["places"])) >= 4
    assert contents(run / STAGE) == contents(made.path)
    assert not list((run / STAGE).rglob(".*"))


# ---- capacity


def test_fault_26_a_disk_that_fills_up_keeps_whole_shards(
    inputs: dict[str, Path], made: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on file size stands in for the disk: it gives way after it is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = shards.write_shard

    def fill(directory: Path, number: int, shard: Any, *, d_sae: int) -> Path:
        if number == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
        return write(directory, number, shard, d_sae=d_sae)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_shard", fill)
        try:
            with pytest.raises(CapacityError, match="no room left") as caught:
                produce(tmp_path, inputs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 5
    assert len(json.loads((tmp_path / STAGE / "progress.json").read_text())["shards"]) == 2
    assert contents(produce(tmp_path, inputs).path) == contents(made.path)


def test_fault_26_too_small_a_disk_is_refused_before_the_run(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sizes are named, and no shard is begun."""
    usage = shards.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CapacityError, match=r"MB are needed, 0 MB are free"):
        produce(tmp_path, inputs)
    assert not (tmp_path / STAGE / "shards").exists()


@pytest.mark.parametrize("contexts", ["all", "reservoir:2"])
def test_predicted_size_is_near(
    inputs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, contexts: str
) -> None:
    """Within a hundredth and the headers of four files; a reservoir of 2 is full for most features."""
    with caplog.at_level("INFO", logger="atlas"):
        found = produce(tmp_path, inputs, contexts=contexts)
    line = next(record for record in caplog.records if "on disk when finished" in record.getMessage())
    assert isinstance(line.args, tuple)
    size = sum(entry["bytes"] for name, entry in found.files.items() if name.endswith("safetensors"))
    assert 0.99 * (size - 4 * 300) < line.args[3] * 1e6 < 1.05 * size


@pytest.mark.parametrize("reservoir", [None, 20])
def test_predicted_size_of_more_tokens(tmp_path: Path, reservoir: int | None) -> None:
    """What 20,000 tokens and their firings take, within a hundredth."""
    world = worlds.plan(independent=400)
    firing = worlds.fire(world, n_documents=20, length=1000, seed=0)
    for number, shard in enumerate(worlds.shards_of(firing, np.arange(20).repeat(1000), seed=0, size=3000)):
        write_shard(tmp_path, number, shard, d_sae=world.d_sae)
    build_index(tmp_path, n_shards=7, d_sae=world.d_sae, reservoir=reservoir)
    size = shards.Size.of(20_000, firing.sum(), n_shards=7, d_sae=world.d_sae, d_in=16, reservoir=reservoir)
    found = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    assert size.shards + size.by_feature == pytest.approx(found, rel=0.01)


# ---- the reservoir of contexts


def test_contexts_are_kept_in_place_of_the_index(inputs: dict[str, Path], made: Artifact, tmp_path: Path) -> None:
    """Everything else is the same bytes; a sample's rows and activations are the index's."""
    found = produce(tmp_path, inputs, contexts="reservoir:3")
    assert found.parameters == {**made.parameters, "contexts": "reservoir:3"}
    assert set(found.files) ^ set(made.files) == {"by_feature.safetensors", "contexts.safetensors"}
    assert all(made.files[name] == entry for name, entry in found.files.items() if name in made.files)
    assert found.results == made.results
    whole, sample = Firings(made.path), Firings(found.path)
    assert sample.firing_count.tolist() == whole.firing_count.tolist()
    assert sample.medians().tolist() == whole.medians().tolist()
    for feature in range(FEATURES):
        rows, activations = sample.contexts_of(feature)
        assert len(rows) == min(3, whole.firing_count[feature])
        at = np.searchsorted(whole.tokens_of(feature), rows)
        assert whole.tokens_of(feature)[at].tolist() == rows.tolist()
        assert whole.activations_of(feature)[at].tolist() == activations.tolist()
    again = produce(tmp_path, inputs, contexts="reservoir:003")
    assert again == found
    for contexts, message in (("all", "'reservoir:3' -> 'unset'"), ("reservoir:4", "'reservoir:3' -> 'reservoir:4'")):
        with pytest.raises(InputError, match=f"is finished with another configuration: contexts {message}"):
            produce(tmp_path, inputs, contexts=contexts)
    with pytest.raises(InputError, match="expected all or reservoir:K"):
        produce(tmp_path, inputs, contexts="reservoir:0")


def test_a_run_with_a_reservoir_ends_with_the_counts(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Later stages refuse it in one line; all of them in a row refuse before the first token."""
    given = ["--model", inputs["model"], "--sae", inputs["sae"], "--corpus", inputs["corpus"], "--device", "cpu"]
    run = ["--run", str(tmp_path / "run")]
    reservoir = ["--contexts", "reservoir:64"]
    refused = atlas("ingest", "all", *given, *run, *reservoir)
    assert refused.returncode == 3
    assert "--contexts reservoir:64 keeps a sample of each feature's firings, and edges needs" in refused.stderr
    assert "remedy: end with --until counts, or give --contexts all" in refused.stderr
    assert not (tmp_path / "run").exists()
    produce(tmp_path / "run", inputs, contexts="reservoir:64", shard_tokens=stage.SHARD_TOKENS)  # torch is here already
    counted = atlas("ingest", "all", *given, *run, *reservoir, "--until", "counts", "--json")
    assert "10-activations: done already" in counted.stderr
    assert counted.returncode == 0, counted.stderr
    assert json.loads(counted.stdout)["n_tokens"] > 0
    for stage_name in ("edges", "structure"):
        late = atlas("ingest", stage_name, *run)
        assert late.returncode == 3
        assert late.stderr.splitlines() == [
            "error: 10-activations: the run keeps a reservoir of 64 contexts per feature, and this needs every one",
            "remedy: make the activations in another run directory with `--contexts all`",
        ]
    wrong = atlas("ingest", "activations", *given, *run, "--contexts", "reservoir:none")
    assert wrong.returncode == 2
    assert "'reservoir:none' is neither all nor reservoir:K" in wrong.stderr


def atlas(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atlas", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


# ---- numbers


def test_fault_14_nan_in_activations_names_the_place(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Document and position; half precision is the usual cause."""
    from atlas.ingest.models import Model

    original = Model.activations_at

    def overflow(self: Model, hook_name: str, windows: Any) -> Any:
        found = original(self, hook_name, windows).clone()
        for row, window in enumerate(windows):
            found[row, [n for n, token in enumerate(window) if token == target]] = float("inf")
        return found

    tokenizer = load_model(inputs["model"], device="cpu").tokenizer
    ids = tokenizer(TEXTS[1], add_special_tokens=False)["input_ids"]
    before = set(tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"])
    target = next(token for token in ids if token not in before)
    monkeypatch.setattr(Model, "activations_at", overflow)
    with pytest.raises(InputError, match=f"NaN or infinity at token {ids.index(target)} of document doc1"):
        produce(tmp_path, inputs)


def test_fault_8_l0_far_from_the_registrys(tmp_path: Path) -> None:
    """Twice off either way is refused with the usual causes."""
    from dataclasses import replace

    sae = replace(load_sae(tiny_model.make_sae(tmp_path / "s")), expected_l0=10.0)
    shards.check_l0(sae, 5.0)
    shards.check_l0(sae, 20.0)
    for measured in (4.9, 20.1):
        with pytest.raises(InputError, match=r"its registry says 10\.0") as caught:
            shards.check_l0(sae, measured)
        assert "--no-expect-l0" in caught.value.remedy


def test_faults_3_5_21_are_found_before_any_work(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Wrong width, hook and device: no shard is begun, and the same directory serves once they are mended."""
    wide = tiny_model.make_sae(tmp_path / "wide", d_in=32)
    for number, (changes, error, message) in enumerate(
        [
            ({"sae": wide}, InputError, "reads 32 numbers a token, the model has 16"),
            ({"hook": "blocks.7.hook_resid_post"}, InputError, "is not in model tiny"),
            ({"device": "cuda:99"}, BackendError, "cuda:99 does not work"),
            ({"context": 4096}, InputError, "context of 4096 tokens, model tiny knows 64"),
        ]
    ):
        with pytest.raises(error, match=message):
            produce(tmp_path / str(number), {**inputs, **changes})
        assert not (tmp_path / str(number) / STAGE / "shards").exists()
    assert produce(tmp_path / "2", inputs, tokens=20).results["n_tokens"] == 20


def test_no_noise_reaches_the_user(inputs: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar, warning or print of a library, on either stream."""
    produce(tmp_path, inputs)
    assert capfd.readouterr() == ("", "")
