"""The intervention of absorption: features taken away at the hook, and what SAE and model then say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlas.absorption.causal import Answer, Intervene, Question
from atlas.artifacts import Artifact, Run, difference
from atlas.errors import InputError
from atlas.firings import Firings
from atlas.ingest import extras
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.models import Model, load_model, model_identity
from atlas.ingest.saes import Sae, load_sae, sae_identity
from atlas.tracking import Track

if TYPE_CHECKING:
    import torch

_AGREES = 0.05
"""Largest relative difference of an activation from the recorded one at which a token counts."""


def intervening(run: Run, *, model: str | Path, sae: str | Path, sae_id: str | None, device: str) -> Intervene:
    """Return the intervention on a run's own model and SAE, which are loaded when the first question is asked.

    Raises
    ------
    InputError
        The model or the SAE is not the one that the activations were made with.
    """
    activations = run.artifact("10-activations")
    made = {name: activations.parameters.get(name) for name in ("model", "sae")}
    changes = difference(made, {"model": model_identity(model), "sae": sae_identity(sae, sae_id)})
    if changes:
        raise InputError(
            f"the activations were made with another model or SAE: {'; '.join(changes)}",
            "give --model and --sae as for `atlas ingest activations`",
        )

    def intervene(questions: Sequence[Question], *, track: Track) -> Sequence[Answer]:
        asked = activations.parameters
        loaded = load_sae(sae, sae_id=sae_id, norm_scaling_factor=asked.get("norm_scaling_factor"))
        kwargs = loaded.metadata.get("model_from_pretrained_kwargs")
        found = load_model(model, device=device, precision=asked.get("precision", "float32"), kwargs=kwargs)
        loaded.module.to(found.device)
        loaded = replace(loaded, scale=loaded.scale.to(found.device))
        return Intervention(found, loaded, activations, Firings(activations.path))(questions, track=track)

    return intervene


@dataclass
class Intervention:
    """A model and an SAE joined at a run's hook; answers questions about its features, token by token."""

    model: Model
    sae: Sae
    activations: Artifact
    firings: Firings
    _effects: dict[int, torch.Tensor | None] = field(default_factory=dict)

    def __call__(self, questions: Sequence[Question], *, track: Track) -> list[Answer]:
        """Return an answer to each question."""
        answers = []
        with track("intervention", total=len(questions), unit="pairs") as advance:
            for question in questions:
                answers.append(self._answer(question))
                advance(1)
                checkpoint()
        return answers

    def _answer(self, question: Question) -> Answer:
        child, parent = question.child, question.parent
        changes, revived, control = [], [], []
        for token in question.tokens.tolist():
            window = self._window(token)
            before = self._at(window)
            if not self._agrees(before, child, token):
                continue
            changes.append(self._change(window, before, child))
            revived.append(self._revives(before, child, parent))
            control.append(self._revives(before, self._strongest(before, child, parent), parent))
        if not changes:
            return Answer(0, 0.0, 0.0, 0.0, 0.0)
        mean = sum(changes) / len(changes)
        alike = [
            _cosine(mean, self._effect(feature, tokens))
            for feature, tokens in ((parent, question.parent_tokens), (question.random_parent, question.random_tokens))
        ]
        return Answer(len(changes), float(np.mean(revived)), float(np.mean(control)), *alike)

    def _effect(self, feature: int, tokens: np.ndarray[Any, Any]) -> torch.Tensor | None:
        """Return the mean change that taking a feature away makes on tokens of its own; kept for the next pair."""
        if feature not in self._effects:
            changes = []
            for token in tokens.tolist():
                window = self._window(token)
                before = self._at(window)
                if self._agrees(before, feature, token):
                    changes.append(self._change(window, before, feature))
            self._effects[feature] = sum(changes) / len(changes) if changes else None
        return self._effects[feature]

    def _window(self, token: int) -> list[int]:
        """Return what the model read up to a token, and no further: later tokens do not change it."""
        results = self.activations.results
        lead = self._lead()
        size = results["context_size"] - len(lead)
        position = np.asarray(self.firings.position)
        first = token
        start = int(position[token]) // size * size
        document = self.firings.document[token]
        while first > 0 and self.firings.document[first - 1] == document and position[first - 1] >= start:
            first -= 1
        return [*lead, *np.asarray(self.firings.token_id[first : token + 1]).tolist()]

    def _lead(self) -> list[int]:
        tokenizer = self.model.tokenizer
        if not self.activations.results["prepend_bos"]:
            return []
        bos = tokenizer.bos_token_id
        return [int(tokenizer.eos_token_id if bos is None else bos)]

    def _at(self, window: list[int]) -> torch.Tensor:
        """Return the activation at the window's last token: shape (1, d_in)."""
        found = self.model.activations_at(self.activations.results["hook_name"], [window])
        return found[:, -1].float()

    def _agrees(self, x: torch.Tensor, feature: int, token: int) -> bool:
        """Return whether the SAE gives the activation that was recorded."""
        rows, recorded = self.firings.contexts_of(feature)
        wanted = float(recorded[np.searchsorted(rows, token)])
        found = float(self._encode(x)[0, feature] * self.sae.scale[feature])
        return abs(found - wanted) <= _AGREES * max(abs(wanted), 1e-6)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        with extras.quiet(), torch.inference_mode():
            found = self.sae.module.encode(x)
            return found.to_dense() if found.is_sparse else found

    def _brings(self, x: torch.Tensor, feature: int) -> torch.Tensor:
        """Return what a feature adds to the rebuilt activation: shape (1, d_in)."""
        import torch

        f = self._encode(x).clone()
        with extras.quiet(), torch.inference_mode():
            whole = self.sae.module.decode(f)
            f[0, feature] = 0
            found: torch.Tensor = whole - self.sae.module.decode(f)
        return found

    def _strongest(self, x: torch.Tensor, child: int, parent: int) -> int:
        found = self._encode(x)[0] * self.sae.scale
        found[[child, parent]] = -1
        return int(found.argmax())

    def _revives(self, x: torch.Tensor, feature: int, parent: int) -> bool:
        """Return whether the parent fires once what a feature adds beside the parent's direction is gone."""
        direction = self.sae.module.W_dec[parent].detach().float()
        direction = direction / direction.norm()
        own = self._brings(x, feature)
        own = own - (own @ direction)[:, None] * direction
        return bool(self._encode(x - own)[0, parent] > 0)

    def _change(self, window: list[int], x: torch.Tensor, feature: int) -> torch.Tensor:
        """Return how the next token's log-probabilities change when a feature is taken away at the last token."""
        return self._log_p(window, self._brings(x, feature)) - self._log_p(window, None)

    def _log_p(self, window: list[int], less: torch.Tensor | None) -> torch.Tensor:
        """Return the next token's log-probabilities, with `less` taken from the activation at the last token."""
        import torch

        def take(activations: torch.Tensor, hook: Any) -> torch.Tensor:
            changed = activations.clone()
            last = changed[:, -1]
            if less is not None:
                changed[:, -1] = last - less.reshape(last.shape).to(last.dtype)
            return changed

        ids = torch.as_tensor([window], dtype=torch.long, device=self.model.device)
        name = self.activations.results["hook_name"]
        with extras.quiet(), torch.inference_mode():
            logits = self.model.bridge.run_with_hooks(ids, fwd_hooks=[(name, take)])
            return torch.log_softmax(logits[0, -1].float(), -1)


def _cosine(one: torch.Tensor, other: torch.Tensor | None) -> float:
    """Return the cosine of two changes, each about its mean; 0 where one is missing or nothing changes."""
    if other is None:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    length = float(one.norm() * other.norm())
    return float(np.clip(float(one @ other) / length, -1, 1)) if length > 0 else 0.0
