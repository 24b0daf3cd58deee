"""A planted world as the artifact `10-activations`: what an ingestion of a real model would have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.files import write_arrays, write_table
from atlas.firings import Shard, build_index, write_entropy, write_shard
from atlas.score.latent import Sample

SHARD = 16384
D_IN = 16
SPREAD = 0.3
"""Standard deviation of the logarithm of an activation: one firing in a hundred is below half the median."""


def record(
    run: Run, drawn: Sample, *, seed: int, directions: dict[str, npt.NDArray[np.float32]] | None = None
) -> Artifact:
    """Write firings as `10-activations`, with their activations or log-normal ones, and random directions.

    Parameters
    ----------
    directions
        `W_dec` and `W_enc` in unit rows, where the world has its own.
    """

    def write(directory: Path) -> dict[str, Any]:
        results = _write(directory, drawn, seed)
        if directions is not None:
            _write_own(directory, **directions)
        return results

    return run.produce(Spec("10-activations", {"planted": seed}), write)


def _write_own(directory: Path, W_dec: npt.NDArray[np.float32], W_enc: npt.NDArray[np.float32]) -> None:
    ones, none = np.ones(len(W_dec), np.float32), np.zeros(len(W_dec), np.float32)
    write_arrays(directory / "decoder.safetensors", {"W_dec": W_dec, "norms": ones})
    write_arrays(directory / "encoder.safetensors", {"W_enc": W_enc, "threshold": none})


def _write(directory: Path, drawn: Sample, seed: int) -> dict[str, Any]:
    n_tokens, d_sae = drawn.firing.shape
    rng = np.random.default_rng([seed, 1])
    scale = np.exp(rng.standard_normal(d_sae))
    for number, low in enumerate(range(0, n_tokens, SHARD)):
        write_shard(directory, number, _shard(drawn, low, scale, rng), d_sae=d_sae)
    build_index(directory, n_shards=-(-n_tokens // SHARD), d_sae=d_sae)
    if drawn.entropy is not None:
        write_entropy(directory)
    _write_directions(directory, d_sae, rng)
    if drawn.threshold is not None:
        write_arrays(directory / "encoder.safetensors", {"threshold": drawn.threshold.astype(np.float32)})
    names, sizes = np.unique(drawn.document, return_counts=True)
    documents = {"document": names, "name": [f"d{i}" for i in names], "source": ["planted"] * len(names)}
    write_table(directory, "documents", {**documents, "n_tokens": sizes})
    items, seen = np.unique(drawn.items, return_counts=True)
    write_table(directory, "vocabulary", {"token_id": items, "text": [f" w{i}" for i in items], "n_tokens": seen})
    return {
        "model": "planted", "release": None, "sae_id": "planted", "architecture": "jumprelu",
        "hook_name": "blocks.0.hook_resid_post", "d_sae": d_sae, "d_in": D_IN, "corpus": "planted",
        "n_tokens": n_tokens, "n_documents": len(names), "n_special_dropped": 0, "firing_rule": "any",
        "mean_l0": float(drawn.firing.sum(1).mean()), "neuronpedia_id": None, "notes": [],
    }  # fmt: skip


def _shard(drawn: Sample, low: int, scale: npt.NDArray[np.float64], rng: np.random.Generator) -> Shard:
    some = drawn.firing[low : low + SHARD]
    tokens, ids = np.nonzero(some)
    n = len(some)
    return Shard(
        drawn.items[low : low + n].astype(np.int32),
        drawn.document[low : low + n].astype(np.int32),
        _positions(drawn.document)[low : low + n].astype(np.int32),
        np.concatenate([[0], np.cumsum(np.bincount(tokens, minlength=n))]).astype(np.int64),
        ids.astype(np.int32),
        _activations(drawn, tokens + low, ids, scale, rng),
        None if drawn.entropy is None else drawn.entropy[low : low + n],
    )


def _activations(
    drawn: Sample,
    tokens: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    scale: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Return the activations of firings: the world's own, or log-normal ones."""
    if drawn.activations is not None:
        return drawn.activations[tokens, ids]
    return (scale[ids] * np.exp(SPREAD * rng.standard_normal(len(ids)))).astype(np.float32)


def _positions(document: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    starts = np.flatnonzero(np.diff(document, prepend=-1))
    return np.arange(len(document)) - np.repeat(starts, np.diff([*starts, len(document)]))


def _write_directions(directory: Path, d_sae: int, rng: np.random.Generator) -> None:
    directions = rng.standard_normal((d_sae, D_IN)).astype(np.float32)
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    write_arrays(directory / "decoder.safetensors", {"W_dec": directions / norms, "norms": norms.ravel()})
