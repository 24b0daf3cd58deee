"""Training of SAEs for comparison: one recipe for the real model, its controls, and other seeds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlas.errors import InputError
from atlas.ingest import extras, hub
from atlas.ingest.baseline_harvest import Harvest
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.progress import progress

if TYPE_CHECKING:
    import torch
    from sae_lens.training.sae_trainer import SAETrainer

ARCHITECTURES = ("topk", "batchtopk")


@dataclass(frozen=True)
class Recipe:
    """How an SAE is trained.

    Attributes
    ----------
    d_sae
        Features.
    k
        Features that fire on a token; on the mean token for batchtopk.
    architecture
        `topk` or `batchtopk`.
    epochs
        Times that every token is seen; the last, unfilled batch of each is left out.
    batch
        Tokens of a step; all of them where there are fewer.
    lr, lr_end
        Adam's rate after the warm-up and, by a cosine, at the end.
    warm_up_steps
        Steps of warm-up; a tenth of all where that is less.
    aux_loss_coefficient
        Weight of the loss that wakes silent features.
    dead_window_steps
        Steps of silence after which a feature counts as dead for that loss.
    frozen_decoder
        Whether the decoder's directions stay as they were drawn; encoder and biases are trained.
    seed
        Of the weights and of the order of tokens.
    metadata
        What a reader of the SAE must know: hook, context, model.
    """

    d_sae: int
    k: float
    architecture: str = "topk"
    epochs: int = 4
    batch: int = 2048
    lr: float = 8e-4
    lr_end: float = 8e-5
    warm_up_steps: int = 40
    aux_loss_coefficient: float = 1 / 32
    dead_window_steps: int = 60
    frozen_decoder: bool = False
    seed: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Return everything but the metadata, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "metadata"}


def train(found: Harvest, recipe: Recipe, *, device: str = "cpu") -> Any:
    """Return the trained SAE (sae_lens's training class) with the activation scale folded in.

    Activations are scaled to a mean norm of the root of their width, the decoder's bias starts at their mean.

    Parameters
    ----------
    found
        Activations, one row a kept token.
    device
        `cpu`, `cuda:0`: where the training runs.

    Raises
    ------
    InputError
        The recipe asks for what cannot be trained.
    Interrupted
        A signal came; nothing of the training is kept, its activations are.
    """
    if not 1 <= recipe.k < recipe.d_sae:
        raise InputError(f"k = {recipe.k:g} of {recipe.d_sae} features", "give a --k from 1 to below the width")
    random.seed(recipe.seed)
    with extras.quiet():
        scale = found.d_in**0.5 / found.mean_norm()
        sae = _untrained(found, recipe, scale, device)
        trainer = _trainer(sae, found, recipe, scale, device)
    trainer.fit()
    return sae.to("cpu")


def _untrained(found: Harvest, recipe: Recipe, scale: float, device: str) -> Any:
    """Return a new SAE whose decoder bias is the mean activation in the scaled space."""
    torch = extras.need("torch")
    saes = extras.need("sae_lens")
    base = extras.need("sae_lens.saes.sae")
    if recipe.architecture not in ARCHITECTURES:
        raise InputError(
            f"no recipe trains {recipe.architecture!r}; {hub.nearest(recipe.architecture, ARCHITECTURES)}",
            "give --architecture topk or batchtopk",
        )
    sae_class, config_class, k = {
        "topk": (saes.TopKTrainingSAE, saes.TopKTrainingSAEConfig, round(recipe.k)),
        "batchtopk": (saes.BatchTopKTrainingSAE, saes.BatchTopKTrainingSAEConfig, float(recipe.k)),
    }[recipe.architecture]
    torch.manual_seed(recipe.seed)
    sae = sae_class(
        config_class(
            d_in=found.d_in,
            d_sae=recipe.d_sae,
            k=k,
            dtype="float32",
            device=device,
            apply_b_dec_to_input=True,
            normalize_activations="expected_average_only_in",
            aux_loss_coefficient=recipe.aux_loss_coefficient,
            rescale_acts_by_decoder_norm=True,
            metadata=base.SAEMetadata(**recipe.metadata),
        )
    )
    sae.b_dec.data = torch.from_numpy(found.mean()).to(device) * scale
    sae.W_dec.requires_grad_(not recipe.frozen_decoder)
    return sae


def _trainer(sae: Any, found: Harvest, recipe: Recipe, scale: float, device: str) -> SAETrainer[Any, Any]:
    """Return SAELens's trainer; the exact norm scale replaces its estimate, and `fit` folds it in at the end."""
    config = extras.need("sae_lens.config")
    training = extras.need("sae_lens.training.sae_trainer")
    batch = min(recipe.batch, found.n_tokens)
    steps = recipe.epochs * (found.n_tokens // batch)
    trainer: SAETrainer[Any, Any] = training.SAETrainer(
        cfg=config.SAETrainerConfig(
            total_training_samples=steps * batch,
            train_batch_size_samples=batch,
            lr=recipe.lr,
            lr_end=recipe.lr_end,
            lr_scheduler_name="cosineannealing",
            lr_warm_up_steps=min(recipe.warm_up_steps, steps // 10),
            device=device,
            dead_feature_window=recipe.dead_window_steps,
            feature_sampling_window=found.n_tokens // batch,
            logger=config.LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=_batches(found, recipe.seed, batch, steps),
    )
    trainer.activation_scaler.scaling_factor = scale
    return trainer


def _batches(found: Harvest, seed: int, batch: int, steps: int) -> Iterator[torch.Tensor]:
    """Yield batches of rows, a new seeded order each epoch, and say how far the training is."""
    torch = extras.need("torch")
    generator = torch.Generator().manual_seed(seed)
    step = 0
    with progress("training", total=steps * batch, unit="tokens", every=30) as advance:
        while step < steps:
            order = torch.randperm(found.n_tokens, generator=generator).numpy()
            for start in range(0, found.n_tokens - batch + 1, batch):
                checkpoint()
                yield torch.from_numpy(found.rows(order[start : start + batch]))
                step += 1
                advance(batch)


def save(sae: Any, folder: Path) -> None:
    """Write what ``SAE.load_from_disk`` reads: unit decoder norms, float16 weights, float32 arithmetic.

    `save_inference_model` multiplies the encoder by the decoder norms and divides the decoder by them,
    which leaves the activations as they are because training rescaled by the same norms. Rounded to half
    precision the rows have norm 1 to about 1e-4; the flag ``rescale_acts_by_decoder_norm`` is false in the
    saved configuration, so that nobody multiplies by these again. The folder appears whole or not at all.
    """
    torch = extras.need("torch")
    stored = extras.need("safetensors.torch")
    partial = folder.with_name(f".{folder.name}.partial")
    with extras.quiet():
        sae.save_inference_model(partial)
    weights = stored.load_file(partial / "sae_weights.safetensors")
    stored.save_file(
        {name: tensor.to(torch.float16) for name, tensor in weights.items()}, partial / "sae_weights.safetensors"
    )
    config = json.loads((partial / "cfg.json").read_text("utf8"))
    config |= {"dtype": "float32", "device": "cpu"}
    if "rescale_acts_by_decoder_norm" in config:
        config["rescale_acts_by_decoder_norm"] = False
    (partial / "cfg.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    partial.replace(folder)


def explained_variance(sae: Any, found: Harvest, *, rows: int = 8192) -> float:
    """Return 1 - sum of squared errors / sum of squared distances from the mean, over all rows."""
    torch = extras.need("torch")
    mean = found.mean()
    error = spread = 0.0
    for start in range(0, found.n_tokens, rows):
        some = torch.from_numpy(found.rows(np.arange(start, min(start + rows, found.n_tokens))))
        with torch.inference_mode():
            error += float((some - sae.decode(sae.encode(some))).double().square().sum())
            spread += float((some - torch.from_numpy(mean)).double().square().sum())
    return 1 - error / spread
