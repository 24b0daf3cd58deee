"""Train the demo's SAE with SAELens on harvested activations and save it in half precision."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlas.ingest.demo import harvest as harvesting
from atlas.ingest.demo.model import demo_model
from atlas.ingest.paths import cache_home

if TYPE_CHECKING:
    import torch
    from sae_lens import TopKTrainingSAE
    from sae_lens.training.sae_trainer import SAETrainer

SEED = 20240229
D_SAE = 4608
K = 32
EPOCHS = 4
BATCH = 2048
LEARNING_RATE = (8e-4, 8e-5)
AUX_COEFFICIENT = 1 / 32
DEAD_WINDOW_STEPS = 60  # about 120k tokens; SAELens counts steps, and its 1,000 are most of a run


def _batches(acts: torch.Tensor, seed: int) -> Iterator[torch.Tensor]:
    """Yield batches of rows for ever: a new seeded order each epoch; an unfilled last batch is left out."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(acts), generator=generator)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield acts[order[start : start + BATCH]]


def _metadata(n_tokens: int, seed: int) -> dict[str, Any]:
    """What a reader of the SAE must know to make the activations that it was trained on."""
    return {
        "model_name": harvesting.MODEL_NAME,
        "model_class_name": "TransformerBridge",
        "hook_name": harvesting.HOOK_NAME,
        "hook_layer": harvesting.LAYER,
        "context_size": harvesting.CONTEXT_SIZE,
        "prepend_bos": True,
        "dropped_tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "dataset_path": "training text of build_text.py, see CARD.md",
        "training_tokens": n_tokens,
        "training_epochs": EPOCHS,
        "seed": seed,
        "licence": "see LICENSES.md",
    }


def _untrained(acts: torch.Tensor, scale: float, seed: int) -> TopKTrainingSAE:
    """A new SAE whose decoder bias is the mean activation in the scaled space."""
    import torch
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    torch.manual_seed(seed)
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(
            d_in=acts.shape[1],
            d_sae=D_SAE,
            k=K,
            dtype="float32",
            device="cpu",
            apply_b_dec_to_input=True,
            normalize_activations="expected_average_only_in",
            aux_loss_coefficient=AUX_COEFFICIENT,
            rescale_acts_by_decoder_norm=True,
            metadata=SAEMetadata(**_metadata(len(acts), seed)),
        )
    )
    sae.b_dec.data = acts.mean(dim=0) * scale
    return sae


def _trainer(sae: TopKTrainingSAE, acts: torch.Tensor, scale: float, *, seed: int) -> SAETrainer:
    """SAELens's trainer; the exact norm scale replaces its estimate, and `fit` folds it in at the end."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    steps = EPOCHS * (len(acts) // BATCH)
    config = SAETrainerConfig(
        total_training_samples=steps * BATCH,
        train_batch_size_samples=BATCH,
        lr=LEARNING_RATE[0],
        lr_end=LEARNING_RATE[1],
        lr_scheduler_name="cosineannealing",
        lr_warm_up_steps=40,
        device="cpu",
        dead_feature_window=DEAD_WINDOW_STEPS,
        feature_sampling_window=len(acts) // BATCH,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = SAETrainer(cfg=config, sae=sae, data_provider=_reported(_batches(acts, seed), steps, sae))
    trainer.activation_scaler.scaling_factor = scale
    return trainer


def _reported(batches: Iterator[torch.Tensor], steps: int, sae: TopKTrainingSAE) -> Iterator[torch.Tensor]:
    """Pass batches through and say the rate, the time left and the decoder's mean norm on stderr."""
    start = time.monotonic()
    for step, batch in enumerate(batches):
        if step and step % 50 == 0:
            rate = step * BATCH / (time.monotonic() - start)
            print(
                f"training: step {step:,} of {steps:,}, {rate:,.0f} tokens/s, "
                f"{(steps - step) * BATCH / rate:,.0f} s left, decoder norm "
                f"{sae.W_dec.norm(dim=1).mean():.3f}",
                file=sys.stderr,
                flush=True,
            )
        yield batch


def train(acts: np.ndarray, seed: int) -> TopKTrainingSAE:
    """Return the trained SAE with the activation scale folded in.

    Parameters
    ----------
    acts : np.ndarray
        Shape (n_tokens, 576), float32; special tokens are already dropped.
    seed : int
        Seed of the weights and of the order of tokens.
    """
    import torch

    random.seed(seed)
    rows = torch.from_numpy(acts)
    scale = float(rows.shape[1] ** 0.5 / rows.norm(dim=1).mean())
    sae = _untrained(rows, scale, seed)
    trainer = _trainer(sae, rows, scale, seed=seed)
    trainer.fit()
    return sae


def save(sae: TopKTrainingSAE, folder: Path) -> None:
    """Write what ``SAE.load_from_disk`` reads: unit decoder norms, float16 weights, float32 arithmetic.

    `save_inference_model` multiplies the encoder by the decoder norms and divides the decoder by them,
    which leaves the activations as they are because training rescaled by the same norms. Rounded to half
    precision the rows have norm 1 to about 1e-4; the flag ``rescale_acts_by_decoder_norm`` is false in the
    saved configuration, so that nobody multiplies by these again.
    """
    import torch
    from safetensors.torch import load_file, save_file

    sae.save_inference_model(folder)
    weights = {name: tensor.to(torch.float16) for name, tensor in load_file(folder / "sae_weights.safetensors").items()}
    save_file(weights, folder / "sae_weights.safetensors")
    config = json.loads((folder / "cfg.json").read_text())
    config |= {"dtype": "float32", "device": "cpu", "rescale_acts_by_decoder_norm": False}
    (folder / "cfg.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """Fetch the model, harvest, train, save, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/atlas-demo"), help="training text and caches")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("sae"), help="folder of the SAE")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of weights and token order")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")  # our own lines say rate and time left, in a log file too
    import torch

    torch.set_num_threads(options.threads)
    start = time.monotonic()
    model = demo_model(cache_home())
    found = harvesting.harvest(options.work / "training.jsonl", model, options.work / "activations")
    harvested = time.monotonic()
    sae = train(found.acts, options.seed)
    save_full = options.work / "sae-float32"
    sae.save_inference_model(save_full)
    save(sae, options.out)
    print(
        f"{options.out}: {len(found.acts):,} tokens, harvest {(harvested - start) / 60:.1f} min, "
        f"training {(time.monotonic() - harvested) / 60:.1f} min; float32 copy in {save_full}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
