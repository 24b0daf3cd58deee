"""Planted worlds: firings whose stars, cliques and independent features are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import Artifact, Run, Spec
from atlas.files import write_arrays, write_table
from atlas.firings import Shard, build_index, write_shard


@dataclass(frozen=True)
class World:
    """What was planted: hubs with their exclusive leaves, cliques, and independent features."""

    stars: tuple[tuple[int, tuple[int, ...]], ...]
    cliques: tuple[tuple[int, ...], ...]
    independent: tuple[int, ...]
    d_sae: int


def plan(n_stars: int = 2, n_leaves: int = 6, n_cliques: int = 2, clique: int = 5, independent: int = 30) -> World:
    """Number the features of a world: stars first, then cliques, then independent ones."""
    at, stars, cliques = 0, [], []
    for _ in range(n_stars):
        stars.append((at, tuple(range(at + 1, at + 1 + n_leaves))))
        at += 1 + n_leaves
    for _ in range(n_cliques):
        cliques.append(tuple(range(at, at + clique)))
        at += clique
    return World(tuple(stars), tuple(cliques), tuple(range(at, at + independent)), at + independent + 1)


def fire(world: World, *, n_documents: int, length: int, seed: int) -> np.ndarray[Any, Any]:
    """Return the firings, bool, shape (n_documents * length, d_sae); the last feature never fires.

    A hub fires exactly where one of its leaves does; a clique's members fire together, each
    missing one time in twenty; independent features fire by themselves, with a rate that varies
    from document to document.
    """
    rng = np.random.default_rng(seed)
    n = n_documents * length
    out = np.zeros((n, world.d_sae), bool)
    for hub, leaves in world.stars:
        which = rng.integers(0, 20 * len(leaves), n)
        for k, leaf in enumerate(leaves):
            out[:, leaf] = which == k
        out[:, hub] = which < len(leaves)
    for members in world.cliques:
        pool = rng.random(n) < 0.03
        for member in members:
            out[:, member] = pool & (rng.random(n) < 0.95)
    for feature in world.independent:
        rate = rng.gamma(2.0, 0.01, n_documents).repeat(length)
        out[:, feature] = rng.random(n) < rate
    return out


def shards_of(
    firing: np.ndarray[Any, Any], document: np.ndarray[Any, Any], *, seed: int, size: int, evenness: float = 2.0
) -> list[Shard]:
    """Cut dense firings into shards of `size` tokens with random activations and vocabulary items."""
    rng = np.random.default_rng(seed)
    shards = []
    for low in range(0, len(firing), size):
        some = firing[low : low + size]
        token, ids = np.nonzero(some)
        n = len(some)
        shards.append(
            Shard(
                rng.integers(0, 50, n).astype(np.int32),
                document[low : low + size].astype(np.int32),
                np.arange(low, low + n, dtype=np.int32),
                np.concatenate([[0], np.cumsum(np.bincount(token, minlength=n))]).astype(np.int64),
                ids.astype(np.int32),
                rng.gamma(evenness, 1.0, len(ids)).astype(np.float32),
            )
        )
    return shards


def store(
    run: Run,
    firing: np.ndarray[Any, Any],
    document: np.ndarray[Any, Any],
    *,
    seed: int = 0,
    items: np.ndarray[Any, Any] | None = None,
    evenness: float = 2.0,
    signs: np.ndarray[Any, Any] | None = None,
) -> Artifact:
    """Write dense firings as the artifact `10-activations`, as a real ingestion would; `items` default to random.

    Activations are gamma distributed with the shape `evenness`: at 50 nearly all are above half their median. With
    `signs` they are a signed SAE's: 1 and -1, of each firing, or of each feature, whose direction is then turned, too.
    """
    d_sae = firing.shape[1]
    turned = np.ones(d_sae) if signs is None or signs.ndim > 1 else signs

    def compute(directory: Path) -> dict[str, Any]:
        shards = shards_of(firing, document, seed=seed, size=3000, evenness=evenness)
        for number, shard in enumerate(shards):
            if items is not None:
                shard = replace(shard, token_id=items[3000 * number :][: shard.n_tokens].astype(np.int32))
                shards[number] = shard
            if signs is not None:
                token, low = np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr)), 3000 * number
                own = np.broadcast_to(signs, firing.shape)[low + token, shard.ids]
                shards[number] = shard = replace(shard, activations=(shard.activations * own).astype(np.float32))
            write_shard(directory, number, shard, d_sae=d_sae)
        build_index(directory, n_shards=len(shards), d_sae=d_sae)
        directions = np.random.default_rng(seed).standard_normal((d_sae, 16)).astype(np.float32)
        directions *= turned[:, None].astype(np.float32)
        norms = np.linalg.norm(directions, axis=1, keepdims=True)
        write_arrays(directory / "decoder.safetensors", {"W_dec": directions / norms, "norms": norms.ravel()})
        write_arrays(directory / "encoder.safetensors", {"threshold": np.zeros(d_sae, np.float32)})
        names, sizes = np.unique(document, return_counts=True)
        write_table(
            directory,
            "documents",
            {
                "document": names,
                "name": [f"d{i}" for i in names],
                "source": ["planted"] * len(names),
                "n_tokens": sizes,
            },
        )
        seen_items = np.concatenate([shard.token_id for shard in shards])
        token_id, seen = np.unique(seen_items, return_counts=True)
        write_table(
            directory,
            "vocabulary",
            {"token_id": token_id, "text": [f" w{i}" for i in token_id], "n_tokens": seen},
        )
        return {
            "model": "planted", "release": None, "sae_id": "planted",
            "architecture": "topk" if signs is None else "abstopk", "hook_name": "blocks.0.hook_resid_post",
            "d_sae": d_sae, "d_in": 16, "corpus": "planted",
            "n_tokens": len(firing), "n_documents": len(names), "n_special_dropped": 0, "firing_rule": "any",
            "mean_l0": float(firing.sum(1).mean()), "neuronpedia_id": None, "notes": [],
        }  # fmt: skip

    return run.produce(Spec("10-activations", {"planted": seed}), compute)


def planted_run(run: Run, *, seed: int = 0, n_documents: int = 60, length: int = 400) -> World:
    """Plant the standard world into a run directory."""
    world = plan()
    firing = fire(world, n_documents=n_documents, length=length, seed=seed)
    store(run, firing, np.arange(n_documents).repeat(length), seed=seed)
    return world
