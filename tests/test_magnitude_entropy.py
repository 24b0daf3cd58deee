"""The entropy of the model's next token beside each kept token: what it is, and that it outlives interruptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
from test_activations import STAGE, contents, inputs, made, produce, stop_after
from tiny_model import TEXTS

from atlas.artifacts import Artifact
from atlas.errors import InputError, Interrupted
from atlas.firings import Firings
from atlas.ingest import extras, shards
from atlas.ingest.models import Model, load_model

__all__ = ["inputs", "made"]  # fixtures of the stage's own tests


@pytest.fixture(scope="module")
def unsure(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return produce(tmp_path_factory.mktemp("entropy"), inputs, entropy=True)


def test_entropy_is_that_of_the_whole_models_logits(inputs: dict[str, Path], unsure: Artifact) -> None:
    """Every window alone, through transformers itself: -sum p ln p where each kept token is read."""
    torch, transformers = extras.need("torch"), extras.need("transformers")
    model = load_model(inputs["model"], device="cpu")
    with extras.quiet(stderr=True), torch.inference_mode():
        plain = transformers.AutoModelForCausalLM.from_pretrained(inputs["model"]).eval()
        expected = []
        for text in TEXTS:
            ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
            for start in range(0, len(ids), tiny_model.CONTEXT - 1):
                logits = plain(torch.tensor([[0, *ids[start : start + tiny_model.CONTEXT - 1]]])).logits[0, 1:]
                expected.append(torch.distributions.Categorical(logits=logits.double()).entropy().numpy())
    found = Firings(unsure.path).entropy
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-4)
    assert unsure.results["mean_entropy"] == pytest.approx(found.mean(), rel=1e-6)


def test_without_it_nothing_is_other_than_before(made: Artifact, unsure: Artifact) -> None:
    """No parameter, figure or file of a run without entropies speaks of them; with them the firings are equal."""
    assert "entropy" not in made.parameters
    assert "mean_entropy" not in made.results
    assert set(unsure.files) - set(made.files) == {"entropy.safetensors"}
    assert Firings(made.path).entropy is None
    assert unsure.parameters["entropy"] is True
    for name in ("by_feature.safetensors", "tokens.safetensors"):
        assert made.files[name] == unsure.files[name]


def test_entropies_outlive_an_interruption_and_damage(
    inputs: dict[str, Path], unsure: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after two shards and gone on with, then damaged: the same bytes; without them it is another run."""
    with monkeypatch.context() as patch:
        patch.setattr(shards, "compute_shard", stop_after(2, shards.compute_shard))
        with pytest.raises(Interrupted):
            produce(tmp_path, inputs, entropy=True)
    with pytest.raises(InputError, match="was begun with another configuration: entropy True -> 'unset'"):
        produce(tmp_path, inputs)
    found = produce(tmp_path, inputs, entropy=True)
    assert contents(found.path) == contents(unsure.path)
    (tmp_path / STAGE / "entropy.safetensors").unlink()
    assert contents(produce(tmp_path, inputs, entropy=True).path) == contents(unsure.path)


def test_slices_do_not_change_an_entropy(inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """One token at a time, as where the vocabulary is large, or all at once."""
    torch = extras.need("torch")
    model = load_model(inputs["model"], device="cpu")
    _, states = model.activations_and_states(tiny_model.HOOK, [[0, 5, 6, 7], [0, 8]])
    whole = model.entropies(states[0])
    monkeypatch.setattr("atlas.ingest.models._LOGITS", 1)
    torch.testing.assert_close(model.entropies(states[0]), whole)
    assert (whole >= 0).all()
    assert (whole <= np.log(model.n_vocabulary) + 1e-5).all()


def test_a_model_that_changes_its_logits_afterwards_is_refused(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a configuration scales them: their entropies would be wrong, and are not given."""
    original: Any = Model._logits
    monkeypatch.setattr(Model, "_logits", lambda self, states: 2 * original(self, states))
    with pytest.raises(InputError, match="what follows its unembedding is not known"):
        produce(tmp_path, inputs, entropy=True)
