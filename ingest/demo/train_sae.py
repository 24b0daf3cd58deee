"""Train the demo's SAE, or one to compare it with, with SAELens on harvested activations."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from atlas.ingest.baseline_models import MODEL_CONTROLS, random_model
from atlas.ingest.baseline_training import Recipe, save, train
from atlas.ingest.demo import harvest as harvesting
from atlas.ingest.demo.model import demo_model
from atlas.ingest.paths import cache_home

SEED = 20240229
D_SAE = 4608
K = 32
EPOCHS = 4


def recipe(n_tokens: int, *, seed: int = SEED, epochs: int = EPOCHS, frozen_decoder: bool = False) -> Recipe:
    """Return how the demo's SAE was trained; its other settings are the recipe's own."""
    metadata: dict[str, Any] = {
        "model_name": harvesting.MODEL_NAME,
        "model_class_name": "TransformerBridge",
        "hook_name": harvesting.HOOK_NAME,
        "hook_layer": harvesting.LAYER,
        "context_size": harvesting.CONTEXT_SIZE,
        "prepend_bos": True,
        "dropped_tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "dataset_path": "training text of build_text.py, see CARD.md",
        "training_tokens": n_tokens,
        "training_epochs": epochs,
        "seed": seed,
        "licence": "see LICENSES.md",
    }
    return Recipe(D_SAE, K, epochs=epochs, frozen_decoder=frozen_decoder, seed=seed, metadata=metadata)


def main() -> None:
    """Fetch the model, harvest, train, save, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/atlas-demo"), help="training text and caches")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("sae"), help="folder of the SAE")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of weights and token order")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="times that every token is seen")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument(
        "--model-control", choices=MODEL_CONTROLS, help="train on the model with weights drawn anew (by --seed)"
    )
    parser.add_argument("--frozen-decoder", action="store_true", help="leave the decoder as it is drawn")
    parser.add_argument("--harvest-only", action="store_true", help="end before the training")
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")  # the trainer's own bar; our lines are read in a log file, too
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("atlas").setLevel(logging.INFO)
    import torch

    torch.set_num_threads(options.threads)
    start = time.monotonic()
    model = demo_model(cache_home())
    if options.model_control:
        model = random_model(model, options.work / "models", control=options.model_control, seed=options.seed)
    found = harvesting.harvest(options.work / "training.jsonl", model, options.work / "activations")
    harvested = time.monotonic()
    if options.harvest_only:
        return
    asked = recipe(found.n_tokens, seed=options.seed, epochs=options.epochs, frozen_decoder=options.frozen_decoder)
    sae = train(found, asked)
    sae.save_inference_model(options.work / f"{options.out.name}-float32")
    save(sae, options.out)
    print(
        f"{options.out}: {found.n_tokens:,} tokens, harvest {(harvested - start) / 60:.1f} min, "
        f"training {(time.monotonic() - harvested) / 60:.1f} min; float32 copy in {options.work}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
