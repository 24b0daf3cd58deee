"""Activations of the demo's model at its hook, window by window inside documents, kept on disk."""

from __future__ import annotations

import json
from pathlib import Path

from atlas.ingest.baseline_harvest import Harvest, Reader
from atlas.ingest.baseline_harvest import harvest as harvest_activations
from atlas.ingest.corpus import open_corpus
from atlas.ingest.models import load_model, model_identity

HOOK_NAME = "blocks.9.hook_resid_post"
LAYER = 9
CONTEXT_SIZE = 256
MODEL_NAME = "SmolLM2-135M-Instruct"


def read_documents(path: Path) -> list[dict[str, str]]:
    """Return the documents of a JSON lines file in the file's order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def harvest(text: Path, model_folder: Path, cache: Path, *, batch_size: int = 16) -> Harvest:
    """Return the activations of a text file; shards that are on disk are not made again.

    Windows are BOS and at most 255 tokens of one document; special tokens are dropped by id.

    Parameters
    ----------
    text
        JSON lines with the key ``text``.
    model_folder
        What `demo_model` or `random_model` made.
    cache
        Shards go to a folder below it that is named by what decides them.
    batch_size
        Windows a forward pass.
    """
    model = load_model(model_folder, device="cpu")
    special = tuple(sorted(model.tokenizer.all_special_ids))
    reader = Reader(model, HOOK_NAME, CONTEXT_SIZE, model.tokenizer.bos_token_id, special, batch_size)
    return harvest_activations(reader, open_corpus(text), cache, identity=model_identity(model_folder))
