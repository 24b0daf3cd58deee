"""Activations of the demo's model at one hook, window by window inside documents, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

HOOK_NAME = "blocks.9.hook_resid_post"
LAYER = 9
D_IN = 576
CONTEXT_SIZE = 256
MODEL_NAME = "SmolLM2-135M-Instruct"
WINDOWS_PER_SHARD = 256


@dataclass(frozen=True)
class Harvest:
    """Activations with what each row is: all arrays have one row a token that was kept.

    Attributes
    ----------
    acts : np.ndarray
        Shape (n_tokens, 576), float32: the residual stream after block 9.
    token : np.ndarray
        Shape (n_tokens,), int32: the vocabulary item.
    document : np.ndarray
        Shape (n_tokens,), int32: the line of the text file.
    """

    acts: np.ndarray
    token: np.ndarray
    document: np.ndarray


def read_documents(path: Path) -> list[dict[str, str]]:
    """Return the documents of a JSON lines file in the file's order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def windows(texts: list[str], tokenizer: Any) -> list[tuple[int, list[int]]]:
    """Return (document, token ids) of every window: BOS and at most 255 tokens of one document.

    Sorted by length, so that a batch holds windows of about one length.
    """
    result = []
    for index, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        step = CONTEXT_SIZE - 1
        result += [(index, [tokenizer.bos_token_id, *ids[i : i + step]]) for i in range(0, len(ids), step)]
    return sorted(result, key=lambda window: (-len(window[1]), window[0]))


def _forward(model: TransformerBridge, batch: list[list[int]], pad: int) -> torch.Tensor:
    """Activations at the hook, shape (windows, longest, 576); causality ignores padding on the right."""
    import torch

    longest = max(map(len, batch))
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids in batch])
    with torch.inference_mode():
        _, cache = model.run_with_cache(ids, names_filter=[HOOK_NAME], stop_at_layer=LAYER + 1)
    return cache[HOOK_NAME]


def _shard(
    model: TransformerBridge,
    part: list[tuple[int, list[int]]],
    special: np.ndarray,
    pad: int,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """One shard's arrays; special tokens are dropped by id."""
    acts, token, document = [], [], []
    for start in range(0, len(part), batch_size):
        batch = part[start : start + batch_size]
        values = _forward(model, [ids for _, ids in batch], pad).numpy()
        for row, (index, ids) in enumerate(batch):
            kept = ~np.isin(ids, special)
            acts.append(values[row, : len(ids)][kept].astype(np.float32))
            token.append(np.asarray(ids, np.int32)[kept])
            document.append(np.full(int(kept.sum()), index, np.int32))
    return {
        "acts": np.concatenate(acts),
        "token": np.concatenate(token),
        "document": np.concatenate(document),
    }


def _pending(text: Path, folder: Path, tokenizer: Any) -> Iterator[tuple[Path, list[tuple[int, list[int]]]]]:
    """Yield every shard's path and windows."""
    everything = windows([d["text"] for d in read_documents(text)], tokenizer)
    for number, start in enumerate(range(0, len(everything), WINDOWS_PER_SHARD)):
        yield folder / f"{number:04d}.safetensors", everything[start : start + WINDOWS_PER_SHARD]


def harvest(text: Path, model_folder: Path, cache: Path, *, batch_size: int = 16) -> Harvest:
    """Return the activations of a text file; shards that are on disk are not made again.

    Parameters
    ----------
    text : Path
        JSON lines with the key ``text``.
    model_folder : Path
        What `demo_model` made.
    cache : Path
        Shards go to a folder below it that is named by the text's digest, the hook and the context.
    batch_size : int
        Windows a forward pass.
    """
    from transformers import AutoTokenizer

    digest = hashlib.sha256(text.read_bytes()).hexdigest()[:12]
    folder = cache / f"{digest}-{HOOK_NAME}-{CONTEXT_SIZE}"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    special = np.asarray(sorted(tokenizer.all_special_ids), np.int64)
    shards = list(_pending(text, folder, tokenizer))
    missing = [shard for shard in shards if not shard[0].exists()]
    if missing:
        from transformer_lens.model_bridge import TransformerBridge

        model = TransformerBridge.boot_transformers(str(model_folder), device="cpu")
        total, done, start = sum(len(ids) for _, part in missing for _, ids in part), 0, time.monotonic()
        for path, part in missing:
            arrays = _shard(model, part, special, tokenizer.pad_token_id, batch_size)
            partial = path.with_suffix(".part")
            save_file(arrays, partial)
            os.replace(partial, path)
            done += sum(len(ids) for _, ids in part)
            rate = done / (time.monotonic() - start)
            print(
                f"harvest: {done:,} of {total:,} tokens, {rate:,.0f} tokens/s, {(total - done) / rate:,.0f} s left",
                file=sys.stderr,
                flush=True,
            )
    loaded = [load_file(path) for path, _ in shards]
    return Harvest(*(np.concatenate([part[key] for part in loaded]) for key in ("acts", "token", "document")))
