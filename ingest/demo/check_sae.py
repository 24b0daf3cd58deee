"""Measure the demo's SAE on its text, which it was not trained on: the numbers of CARD.md."""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlas.ingest.baseline_harvest import Harvest
from atlas.ingest.demo import harvest as harvesting
from atlas.ingest.demo.dated_notes import MONTHS, WEEKDAYS
from atlas.ingest.demo.model import demo_model
from atlas.ingest.paths import cache_home

if TYPE_CHECKING:
    from sae_lens import SAE

DEAD = 20  # tokens of the shipped text
DENSE = 0.1  # of its tokens
SELECTIVE = 0.5  # of a feature's activation that lies on the named tokens; set before the first look
CHUNK = 8192


@dataclass(frozen=True)
class Firings:
    """What fires on every token.

    Attributes
    ----------
    index, value : np.ndarray
        Shape (n_tokens, k), int32 and float32: features by falling activation; those with value 0 do not
        fire.
    residual : np.ndarray
        Shape (n_tokens,), float64: squared distance of the reconstruction from the activation.
    """

    index: np.ndarray
    value: np.ndarray
    residual: np.ndarray


def encode(sae: SAE[Any], acts: np.ndarray) -> Firings:
    """Return the firings of all tokens and the error of their reconstruction."""
    import torch

    index, value, residual = [], [], []
    for start in range(0, len(acts), CHUNK):
        rows = torch.from_numpy(acts[start : start + CHUNK])
        with torch.inference_mode():
            features = sae.encode(rows)
            residual.append((rows - sae.decode(features)).double().square().sum(dim=1).numpy())
            top = features.topk(int(sae.cfg.k), dim=1)
        index.append(top.indices.to(torch.int32).numpy())
        value.append(top.values.numpy())
    return Firings(np.concatenate(index), np.concatenate(value), np.concatenate(residual))


def explained(acts: np.ndarray, residual: np.ndarray) -> float:
    """Explained variance: 1 - sum of squared errors / sum of squared distances from these tokens' mean."""
    centred = acts - acts.mean(axis=0, dtype=np.float64).astype(np.float32)
    return 1 - float(residual.sum() / np.einsum("ij,ij->", centred, centred, dtype=np.float64))


def counts(firings: Firings, d_sae: int) -> np.ndarray:
    """Number of tokens on which each feature fires, shape (d_sae,), int64."""
    return np.bincount(firings.index[firings.value > 0], minlength=d_sae)


def agreement(one: Firings, other: Firings) -> float:
    """Share of the firings of ``one`` that ``other`` has too, over all tokens."""
    both = (one.index[:, :, None] == other.index[:, None, :]) & (other.value[:, None, :] > 0)
    fires = one.value > 0
    return float((both.any(axis=2) & fires).sum() / fires.sum())


def same_sets(one: Firings, other: Firings) -> float:
    """Share of the tokens on which exactly the same features fire."""
    sets = [np.sort(np.where(f.value > 0, f.index, -1), axis=1) for f in (one, other)]
    return float((sets[0] == sets[1]).all(axis=1).mean())


def quality(found: Harvest, firings: Firings, sources: np.ndarray, *, d_sae: int) -> dict[str, Any]:
    """Explained variance in all and by source, L0, and how many features are dead or dense."""
    fired = counts(firings, d_sae)
    by_source = {
        str(s): explained(found.acts[mask], firings.residual[mask])
        for s in np.unique(sources)
        for mask in [sources[found.document] == s]
    }
    return {
        "tokens": len(found.token),
        "explained_variance": explained(found.acts, firings.residual),
        "explained_variance_by_source": by_source,
        "l0": float((firings.value > 0).sum() / len(found.token)),
        "dead_below_20_tokens": int((fired < DEAD).sum()),
        "silent": int((fired == 0).sum()),
        "dense_above_10_percent": int((fired > DENSE * len(found.token)).sum()),
    }


def item_of(tokens: np.ndarray, tokenizer: Any, names: tuple[str, ...]) -> np.ndarray:
    """Index into ``names`` for every token that is that word with or without a space, else -1; int64."""
    table = np.full(len(tokenizer), -1, np.int64)
    for number, name in enumerate(names):
        for text in (name, " " + name):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            if len(ids) == 1:
                table[ids[0]] = number
    return table[tokens]


def selective(firings: Firings, item: np.ndarray, *, d_sae: int, share: float) -> np.ndarray:
    """Features that fire 20 times or more on the named tokens, with this share of their activation."""
    mass = np.bincount(firings.index.ravel(), firings.value.ravel(), minlength=d_sae)
    named = item >= 0
    inside = np.bincount(firings.index[named].ravel(), firings.value[named].ravel(), minlength=d_sae)
    often = np.bincount(firings.index[named][firings.value[named] > 0], minlength=d_sae) >= DEAD
    return np.flatnonzero(often & (inside > share * mass))


def centroids(firings: Firings, item: np.ndarray, features: np.ndarray, *, decoder: np.ndarray) -> np.ndarray:
    """Mean of ``a_S W_dec[S]`` for each item less the mean of these, shape (items, d_in), float64."""
    size = int(item.max()) + 1
    place = np.full(len(decoder), -1, np.int64)
    place[features] = np.arange(len(features))
    sums = np.zeros((size, len(features)))
    rows, columns = np.nonzero((item >= 0)[:, None] & (place[firings.index] >= 0))
    np.add.at(sums, (item[rows], place[firings.index[rows, columns]]), firings.value[rows, columns])
    means = sums / np.bincount(item[item >= 0], minlength=size)[:, None]
    points = means @ decoder[features].astype(np.float64)
    return points - points.mean(axis=0)


def in_order(plane: np.ndarray) -> int:
    """How many of the n cyclic neighbours in the list are neighbours by angle too; n: in order."""
    order = np.argsort(np.arctan2(plane[:, 1], plane[:, 0]))
    circle = [*order.tolist(), int(order[0])]
    return sum((b - a) % len(plane) in (1, len(plane) - 1) for a, b in pairwise(circle))


def _part(firings: Firings, rows: np.ndarray) -> Firings:
    """The firings of some tokens."""
    return Firings(firings.index[rows], firings.value[rows], firings.residual[rows])


def ring(
    found: Harvest, firings: Firings, names: tuple[str, ...], *, decoder: np.ndarray, tokenizer: Any, share: float
) -> dict[str, Any]:
    """Whether the item means lie in order on a circle: all documents, then fitted on even and read on odd."""
    item = item_of(found.token, tokenizer, names)
    features = selective(firings, item, d_sae=len(decoder), share=share)
    points = centroids(firings, item, features, decoder=decoder)
    _, singular, axes = np.linalg.svd(points, full_matrices=False)
    plane = points @ axes[:2].T
    radius = np.linalg.norm(plane, axis=1)
    even, odd = found.document % 2 == 0, found.document % 2 == 1
    chosen = selective(_part(firings, even), item[even], d_sae=len(decoder), share=share)
    fitted = centroids(_part(firings, even), item[even], chosen, decoder=decoder)
    tested = centroids(_part(firings, odd), item[odd], chosen, decoder=decoder)
    flat = decoder[features] - decoder[features].mean(axis=0)
    spread = np.linalg.svd(flat, compute_uv=False) ** 2
    return {
        "tokens": int((item >= 0).sum()),
        "least_tokens_of_an_item": int(np.bincount(item[item >= 0], minlength=len(names)).min()),
        "features": len(features),
        "variance": (singular[:4] ** 2 / (singular**2).sum()).round(3).tolist(),
        "variance_of_the_decoder_alone": (spread[:4] / spread.sum()).round(3).tolist(),
        "neighbours_in_order": in_order(plane),
        "of": len(names),
        "radius_cv": float(radius.std() / radius.mean()),
        "angular_order": [names[i] for i in np.argsort(np.arctan2(plane[:, 1], plane[:, 0]))],
        "half_fitted_features": len(chosen),
        "half_held_out_neighbours_in_order": in_order(tested @ np.linalg.svd(fitted, full_matrices=False)[2][:2].T),
    }


def top_tokens(found: Harvest, firings: Firings, tokenizer: Any, *, d_sae: int, seed: int) -> dict[str, list[str]]:
    """For a dozen alive features: the items that carry most of the activation, with their share."""
    fired = counts(firings, d_sae)
    alive = np.flatnonzero((fired >= DEAD) & (fired <= DENSE * len(found.token)))
    result = {}
    for feature in random.Random(seed).sample(alive.tolist(), 12):
        rows, columns = np.nonzero(firings.index == feature)
        mass = np.bincount(found.token[rows], firings.value[rows, columns])
        best = np.argsort(mass)[::-1][:8]
        result[f"{feature} ({fired[feature]} tokens)"] = [
            f"{tokenizer.decode([int(i)])!r} {mass[i] / mass.sum():.2f}" for i in best if mass[i] > 0
        ]
    return result


def main() -> None:
    """Print one JSON object with every number of the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("--work", type=Path, default=Path("/tmp/atlas-demo"), help="what train_sae left behind")
    parser.add_argument("--sae", type=Path, default=here / "sae", help="folder of the SAE")
    parser.add_argument("--text", type=Path, default=here / "text.jsonl", help="held-out text")
    parser.add_argument("--seed", type=int, default=0, help="which dozen features are shown")
    parser.add_argument("--selective", type=float, default=SELECTIVE, help="share that makes a ring's feature")
    options = parser.parse_args()
    from sae_lens import SAE
    from transformers import AutoTokenizer

    sae, full = (SAE.load_from_disk(f, device="cpu") for f in (options.sae, options.work / "sae-float32"))
    model, cache = demo_model(cache_home()), options.work / "activations"
    tokenizer = AutoTokenizer.from_pretrained(model)
    found = harvesting.harvest(options.text, model, cache)
    sources = np.asarray([d["source"] for d in harvesting.read_documents(options.text)])
    firings, exact = encode(sae, found.acts), encode(full, found.acts)
    decoder = sae.W_dec.detach().numpy()
    d_sae = len(decoder)
    result: dict[str, Any] = {
        "half": quality(found, firings, sources, d_sae=d_sae),
        "float32_explained_variance": explained(found.acts, exact.residual),
        "firings_kept_in_half_precision": agreement(exact, firings),
        "tokens_with_the_same_firings": same_sets(exact, firings),
        "decoder_norm": [float(f(np.linalg.norm(decoder, axis=1))) for f in (np.min, np.max)],
        "months": ring(found, firings, MONTHS, decoder=decoder, tokenizer=tokenizer, share=options.selective),
        "weekdays": ring(found, firings, WEEKDAYS, decoder=decoder, tokenizer=tokenizer, share=options.selective),
        "top_tokens": top_tokens(found, firings, tokenizer, d_sae=d_sae, seed=options.seed),
    }
    del found
    trained = harvesting.harvest(options.work / "training.jsonl", model, cache)
    fired = encode(sae, trained.acts)
    result["training"] = {
        "tokens": len(trained.token),
        "explained_variance": explained(trained.acts, fired.residual),
        "never_firing": int((counts(fired, d_sae) == 0).sum()),
        "dead_below_20_tokens": int((counts(fired, d_sae) < DEAD).sum()),
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))
    print(
        f"measured {result['half']['tokens']:,} held-out tokens: explained variance "
        f"{result['half']['explained_variance']:.3f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
