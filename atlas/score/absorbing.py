"""W7 judged: what toy SAEs absorbed, and which of it the stage claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.absorption import absorb
from atlas.artifacts import Artifact, Run
from atlas.counting.stage import count
from atlas.score.judging import Counts
from atlas.score.latent import Sample
from atlas.score.recording import record
from atlas.score.toys import KINDS, Trained, trained

N_TOKENS, SMALL_TOKENS, DOCUMENT = 40_000, 20_000, 400
FIRES = 1e-3
"""Activation above which a latent of a toy fires; training leaves smaller ones that mean nothing."""
MIN_PHI = 0.5
"""Correlation of firings from which a latent stands for a feature."""
MAX_STRONG = 0.2
MIN_PROJECTION = 0.3

Pairs = set[tuple[int, int]]


def absorption_counts(place: Path, *, seed: int, small: bool) -> Counts:
    """Return hits and trials of every figure of W7, over one SAE of each kind.

    Parameters
    ----------
    place
        An empty folder for the runs.
    """
    counts: Counts = {}
    for kind in KINDS:
        toy = trained(kind, seed, small=small)
        counts |= _judge(toy, place / kind, seed=seed, n_tokens=SMALL_TOKENS if small else N_TOKENS)
    return counts


def _judge(toy: Trained, place: Path, *, seed: int, n_tokens: int) -> Counts:
    fires, x = toy.hierarchy.sample(np.random.default_rng([seed, 8]), n_tokens)
    activations = toy.toy.encode(x)
    activations[activations <= FIRES] = 0
    claimed, marked = _claimed(toy, activations, place, seed=seed)
    if toy.kind == "independent":
        return {"absorption, independent: any candidate": (int(bool(claimed)), 1)}
    true, family = absorbed(toy, fires, activations)
    counts: Counts = {
        f"absorption, {toy.kind}: precision": (len(claimed & true), len(claimed)),
        f"absorption, {toy.kind}: recall": (len(claimed & true), len(true)),
        f"absorbed, {toy.kind}: of the pairs of child and parent": (len(true), len(family)),
    }
    if toy.kind == "untied":
        counts |= {
            "signature, untied: precision": (len(marked & true), len(marked)),
            "signature, untied: recall": (len(marked & true), len(true)),
        }
    return counts


def _claimed(toy: Trained, activations: npt.NDArray[np.float64], place: Path, *, seed: int) -> tuple[Pairs, Pairs]:
    """Return the candidates of the stage, and those of them that have the textbook mark."""
    n = len(activations)
    drawn = Sample(
        activations > 0,
        np.random.default_rng([seed, 9]).integers(0, 200, n),
        np.arange(n) // DOCUMENT,
        activations=activations.astype(np.float32),
    )
    W_enc = toy.toy.W_enc / np.maximum(np.linalg.norm(toy.toy.W_enc, axis=1, keepdims=True), 1e-12)
    rows = {"W_dec": toy.toy.W_dec.astype(np.float32), "W_enc": W_enc.astype(np.float32)}
    with Run(place) as run:
        record(run, drawn, seed=seed, directions=rows)
        count(run)
        found = absorb(run, seed=seed)
    return _pairs(found, marked=False), _pairs(found, marked=True)


def _pairs(found: Artifact, *, marked: bool) -> Pairs:
    rows = found.table("absorption").to_pylist()
    return {(row["child"], row["parent"]) for row in rows if row["signature"] or not marked}


def absorbed(
    toy: Trained, fires: npt.NDArray[np.bool_], activations: npt.NDArray[np.float64]
) -> tuple[Pairs, Pairs]:
    """Return the pairs of latents that are absorbed, and all that stand for a child and its parent.

    A latent stands for the feature whose presence its firing goes with most (correlation .5 or more). Its parent's
    latent is absorbed where on the child's tokens, on all of which the parent is there by construction, it fires
    strongly (half its median) on at most a fifth, and where the child's decoder has .3 or more along the
    parent's true direction. No threshold of the stage is in it but the one of what is weak.
    """
    on = activations > 0
    own = _own(on, fires)
    median = np.array([np.median(column[column > 0]) if (column > 0).any() else np.inf for column in activations.T])
    strong = on & (activations >= 0.5 * median)
    true: Pairs = set()
    family: Pairs = set()
    for child in np.flatnonzero(own >= 0).tolist():
        above = toy.hierarchy.parent_of(int(own[child]))
        if above is None:
            continue
        along = float(toy.toy.W_dec[child] @ toy.hierarchy.directions[above])
        for parent in np.flatnonzero(own == above).tolist():
            family.add((child, parent))
            if strong[fires[:, own[child]], parent].mean() <= MAX_STRONG and along >= MIN_PROJECTION:
                true.add((child, parent))
    return true, family


def _own(on: npt.NDArray[np.bool_], fires: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the feature that each latent stands for, -1 where none: int64, shape (n_latents,)."""
    one, other = on - on.mean(0), fires - fires.mean(0)
    norms = np.sqrt(np.outer((one**2).sum(0), (other**2).sum(0)))
    phi = one.T @ other / np.maximum(norms, 1e-12)
    return np.where(phi.max(1) >= MIN_PHI, phi.argmax(1), -1)
