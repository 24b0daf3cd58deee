"""The planted world W5: items that features hold on rings, arcs, lines, helices and simplices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Run
from atlas.association import associate
from atlas.communities import cluster
from atlas.counting.stage import count
from atlas.rings import rings
from atlas.rings.candidates import jaccard
from atlas.rings.judging import TESTED
from atlas.score.judging import Counts
from atlas.score.latent import Floats, Integers, Sample, sample
from atlas.score.pipeline import RULE
from atlas.score.planting import N_ITEMS, Planting
from atlas.score.recording import record
from atlas.score.worlds import N_TOKENS, SMALL

D_IN = 128
SHARE = 0.35
"""Share of the tokens that are items of a manifold."""
FIRES, SPREAD = 0.9, 0.35
"""Probability of firing where the response is positive; standard deviation of the logarithm of an activation."""
FOUND = 0.5
"""Jaccard index of the items from which a manifold is the planted one."""
PART = 0.8
"""Share of a claim's items in one manifold from which it is a part of that: six neighbours on a ring are an arc."""
SIZES: dict[str, tuple[int, ...]] = {
    "ring": (6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    "simplex": (6, 8, 12, 16),
    "line": (7, 10, 13, 16),
    "arc": (8, 11, 14, 16),
    "helix": (14, 15, 16),
}
SMALL_SIZES: dict[str, tuple[int, ...]] = {
    "ring": (7, 12, 16), "simplex": (8, 12), "line": (8, 14), "arc": (12,), "helix": (16,)
}  # fmt: skip


@dataclass(frozen=True)
class PlantedManifold:
    """A geometry, and the vocabulary items that lie on it, in their order."""

    geometry: str
    items: tuple[int, ...]


@dataclass(frozen=True)
class Manifolds:
    """What features respond with on every item of a manifold, and what is true of it."""

    planted: tuple[PlantedManifold, ...]
    response: Floats
    features: Integers


def responses(geometry: str, k: int, rng: np.random.Generator) -> Floats:
    """Return the mean activation of each feature on each of k items: shape (n_features, k), the first three on all.

    On a ring, an arc and a helix features prefer a place and respond to those around it, two features an item; on a
    line they grow or fall along it; of a simplex each item has two of its own.
    """
    place = np.arange(k)
    n = 2 * k
    if geometry == "ring":
        angle = 2 * np.pi * place / k
        centre = 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
        tuned = np.maximum(np.cos(angle - centre[:, None]) - 0.1, 0)
    elif geometry == "arc":
        centre = np.linspace(-0.1, 1.1, n) + rng.uniform(-0.02, 0.02, n)
        tuned = np.maximum(1 - np.abs(place / (k - 1) - centre[:, None]) / 0.45, 0)
    elif geometry == "line":
        turn = rng.uniform(-0.1, 0.1, n)
        rising = np.maximum(place / (k - 1) - turn[:, None], 0)
        tuned = np.where(np.arange(n)[:, None] % 2, rising, np.maximum(1 - place / (k - 1) - turn[:, None], 0))
    elif geometry == "helix":
        angle = 2 * np.pi * 2.3 * place / k
        centre = 2 * np.pi * np.arange(k) / k
        around = np.maximum(np.cos(angle - centre[:, None]) - 0.1, 0)
        along = np.stack([place / (k - 1), 1 - place / (k - 1)])[np.arange(k) % 2]
        tuned = np.concatenate([around, 0.8 * along])
    else:
        tuned = np.repeat(np.eye(k), 2, axis=0)
    scale = np.exp(0.15 * rng.standard_normal((len(tuned), 1)))
    return np.concatenate([np.full((3, k), 0.5), tuned * scale])


def planted_manifolds(p: Planting, *, small: bool) -> Manifolds:
    """Return manifolds whose items are numbered from `N_ITEMS` on, with features of their own."""
    planted, blocks = [], []
    first = N_ITEMS
    for geometry, sizes in (SMALL_SIZES if small else SIZES).items():
        for k in sizes:
            items = first + p.rng.permutation(k)
            planted.append(PlantedManifold(geometry, tuple(items.tolist())))
            block = responses(geometry, k, p.rng)
            ordered = np.zeros_like(block)
            ordered[:, items - first] = block
            blocks.append(ordered)
            first += k
    response = np.zeros((sum(len(block) for block in blocks), first - N_ITEMS))
    row = column = 0
    for block in blocks:
        response[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return Manifolds(tuple(planted), response, np.array(p.features(row), np.int64))


def drawn_world(
    seed: int, *, background: bool, small: bool
) -> tuple[tuple[PlantedManifold, ...], Sample, dict[str, npt.NDArray[np.float32]]]:
    """Return what is planted, the firings, and the SAE's directions: same seed and options, same world.

    A third of the tokens are items of manifolds, each as often; features fire there by their response, times a
    log-normal factor.
    """
    rng = np.random.default_rng([seed, 5, background, small])
    p = Planting(rng, n_tokens=round(N_TOKENS * (SMALL if small else 1.0)))
    world = planted_manifolds(p, small=small)
    p.independent(20)
    if background:
        p.background()
    drawn = sample(p.generator(), rng)
    items, firing = drawn.items.copy(), drawn.firing.copy()
    on = np.flatnonzero(rng.random(len(items)) < SHARE)
    of_token = rng.integers(0, world.response.shape[1], len(on))
    items[on] = N_ITEMS + of_token
    mean = world.response.T[of_token]
    fires = (mean > 0) & (rng.random(mean.shape) < FIRES)
    firing[np.ix_(on, world.features)] |= fires
    activations = np.exp(SPREAD * rng.standard_normal(firing.shape, dtype=np.float32))
    activations[np.ix_(on, world.features)] *= np.where(fires, mean, 1.0).astype(np.float32)
    directions = rng.standard_normal((firing.shape[1], D_IN)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    own = replace(drawn, items=items, firing=firing, activations=activations)
    return world.planted, own, {"W_dec": directions, "W_enc": directions}


def manifold_counts(directory: Path, *, seed: int, background: bool, small: bool) -> Counts:
    """Return how many manifolds of each geometry are called so, and how many rings are claimed that are none.

    `manifolds: ring` and its like are recall; `manifolds: simplex called ring` and its like are over the planted ones
    of that geometry; `manifolds: ring claims that are one` and its like are precision. Of a claim of a part most items
    are some of one manifold's; claims of items not planted together are all others that are no planted manifold.
    `manifolds: shuffled claims` counts worlds in which the search on shuffled firings claims any.
    """
    planted, drawn, directions = drawn_world(seed, background=background, small=small)
    with Run(directory) as run:
        record(run, drawn, seed=seed, directions=directions)
        count(run, rules=(RULE,))
        associate(run, control="none")
        cluster(run)
        artifact = rings(run)
    order: dict[int, list[str]] = {}
    for row in artifact.table("manifold_items").to_pylist():
        order.setdefault(row["manifold"], []).append(row["item"])
    claims = [
        (row["geometry"], frozenset(order[row["manifold"]]))
        for row in artifact.table("manifolds").to_pylist()
        if row["points"] == "items" and row["geometry"] != "undetermined"
    ]
    shuffled = float(artifact.results["shuffled_claims"] > 0)
    return judge_claims(planted, claims) | {"manifolds: shuffled claims": (shuffled, 1)}


def judge_claims(planted: tuple[PlantedManifold, ...], claims: list[tuple[str, frozenset[str]]]) -> Counts:
    """Return recall by geometry, other geometries called ring, and what is right of the claims themselves."""
    hits: dict[str, list[int]] = {}
    known = [frozenset(f"w{item}" for item in one.items) for one in planted]

    def add(name: str, hit: bool) -> None:
        own = hits.setdefault(f"manifolds: {name}", [0, 0])
        own[0] += hit
        own[1] += 1

    for one, items in zip(planted, known, strict=True):
        called = {geometry for geometry, own in claims if jaccard(own, items) >= FOUND}
        add(one.geometry, one.geometry in called)
        if one.geometry != "ring":
            add(f"{one.geometry} called ring", "ring" in called)
    for geometry, own in claims:
        if geometry in TESTED:
            alike = [one.geometry for one, items in zip(planted, known, strict=True) if jaccard(own, items) >= FOUND]
            part = not alike and max(len(own & items) for items in known) >= PART * len(own)
            add(f"{geometry} claims that are one", geometry in alike)
            add("claims of a part", part)
            add("claims of items not planted together", not alike and not part)
    return {name: (hit, trials) for name, (hit, trials) in hits.items()}
