"""The intervention: verdicts by hand, and answers on a model small enough to work out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_absorption import ABSORBED, WEAK, planted, rows, store
from tiny_model import make_model, make_sae, write_corpus

from atlas.absorption import absorb
from atlas.absorption.causal import Answer, Question, status_of
from atlas.artifacts import Run
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.firings import Firings
from atlas.ingest import extras
from atlas.ingest.activations import activations
from atlas.ingest.causal import Intervention, intervening
from atlas.ingest.models import load_model
from atlas.ingest.saes import load_sae
from atlas.tracking import Track, untracked


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(8, 0.75, 0.1, 0.6, 0.1), "finding"),
        (Answer(8, 0.75, 0.75, 0.6, 0.1), "dropped"),
        (Answer(8, 0.25, 0.0, 0.6, 0.1), "dropped"),
        (Answer(8, 0.75, 0.1, 0.1, 0.1), "dropped"),
        (Answer(0, 0.0, 0.0, 0.0, 0.0), "candidate"),
    ],
)
def test_verdicts(answer: Answer, status: str) -> None:
    """The parent comes back, more than by chance, and the effects are alike, more than by chance: or it is dropped."""
    assert status_of(answer) == status


def test_answers_become_columns_and_statuses(tmp_path: Path) -> None:
    """Each candidate is asked about on its own tokens, where the parent is silent; what has no answer stays."""
    asked: list[Question] = []

    def intervene(questions: Sequence[Question], *, track: Track) -> list[Answer]:
        asked.extend(questions)
        return [Answer(3, 1.0, 0.0, 0.9, 0.0), Answer(0, 0.0, 0.0, 0.0, 0.0)]

    with Run(tmp_path) as run:
        store(run, *planted(np.random.default_rng(0)))
        count(run)
        found = absorb(run, intervene=intervene, causal_tokens=3)
        firings = Firings(run.path / "10-activations")
    table = {row["child"]: row for row in rows(found)}
    assert [table[child]["status"] for child in (ABSORBED, WEAK)] == ["finding", "candidate"]
    assert [table[child]["revived_share"] for child in (ABSORBED, WEAK)] == [1.0, None]
    assert found.results["statuses"] == {"candidate": 1, "finding": 1, "dropped": 0}
    first = asked[0]
    assert len(first.tokens) == len(first.parent_tokens) == 3
    assert np.isin(first.tokens, firings.tokens_of(first.child)).all()
    assert not np.isin(first.tokens, firings.tokens_of(first.parent)).any()
    assert first.random_parent not in (first.child, first.parent)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a random model, an SAE and a run's activations."""
    folder = tmp_path_factory.mktemp("tiny")
    model, sae = make_model(folder / "model"), make_sae(folder / "sae")
    with Run(folder / "run") as run:
        activations(run, model=model, sae=sae, corpus=write_corpus(folder / "text.jsonl"), device="cpu")
    return folder


def test_the_model_answers_on_its_own_tokens(tiny: Path) -> None:
    """Recorded activations are found again in every window; a feature's effect is most like its own."""
    with Run(tiny / "run") as run:
        artifact = run.artifact("10-activations")
    firings = Firings(artifact.path)
    asked = Intervention(load_model(tiny / "model", device="cpu"), load_sae(tiny / "sae"), artifact, firings)
    for token in range(0, firings.n_tokens, 7):
        x = asked._at(asked._window(token))
        fired = [k for k in range(firings.d_sae) if token in firings.tokens_of(k)]
        assert fired
        assert all(asked._agrees(x, feature, token) for feature in fired)
    child, parent = np.argsort(-firings.firing_count)[:2].tolist()
    silent = np.setdiff1d(firings.tokens_of(child), firings.tokens_of(parent)).astype(np.int64)[:3]
    own = firings.tokens_of(child).astype(np.int64)[:3]
    same, other = asked(
        [Question(child, child, parent, own, own, firings.tokens_of(parent).astype(np.int64)[:3]),
         Question(child, parent, child, silent, firings.tokens_of(parent).astype(np.int64)[:3], own)],
        track=untracked,
    )  # fmt: skip
    assert same.n_tokens == 3
    assert same.effect_cosine == pytest.approx(1, abs=1e-5)
    assert other.n_tokens == len(silent)
    assert other.effect_control > other.effect_cosine


def test_taking_a_feature_away_is_its_activation_times_its_direction(tiny: Path) -> None:
    """And the parent comes back exactly where the SAE, given the changed activation, lets it fire."""
    torch = extras.need("torch")
    with Run(tiny / "run") as run:
        artifact = run.artifact("10-activations")
    firings = Firings(artifact.path)
    sae = load_sae(tiny / "sae")
    asked = Intervention(load_model(tiny / "model", device="cpu"), sae, artifact, firings)
    token = 5
    x = asked._at(asked._window(token))
    feature = next(k for k in range(firings.d_sae) if token in firings.tokens_of(k))
    f = sae.module.encode(x)
    wanted = f[0, feature] * sae.module.W_dec[feature]
    assert torch.allclose(asked._brings(x, feature)[0], wanted, atol=1e-5)
    for parent in range(10):
        d = sae.module.W_dec[parent] / sae.module.W_dec[parent].norm()
        own = wanted - (wanted @ d) * d
        assert asked._revives(x, feature, parent) == bool(sae.module.encode(x - own)[0, parent] > 0)


def test_another_model_or_sae_is_refused_before_it_is_loaded(tiny: Path, tmp_path: Path) -> None:
    """The difference is shown."""
    other = make_sae(tmp_path / "other", seed=1)
    with Run(tiny / "run") as run, pytest.raises(InputError, match="made with another model or SAE"):
        intervening(run, model=tiny / "model", sae=other, sae_id=None, device="cpu")
