"""Which edges are shown, and where: the strongest of each community, on the tokens where both features are strong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.artifacts import Run
from atlas.communities import CLUSTERS, LEVELS
from atlas.communities.stage import kept_edges
from atlas.contexts.firing import spread
from atlas.firings import Firings
from atlas.tracking import Track, untracked

Pairs = npt.NDArray[np.int64]
"""Edges as pairs of indices, int64, shape (n, 2): the lower one first, ascending."""


@dataclass(frozen=True)
class Joint:
    """Joint firings that were picked, by edge and row.

    Attributes
    ----------
    a, b : int64, shape (n,)
        The features.
    row : int64, shape (n,)
        Place of the token in the corpus.
    activation_a, activation_b : float32, shape (n,)
    share : float64, shape (n,)
        The smaller of the two activations, each over the largest of its feature.
    """

    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    activation_a: npt.NDArray[np.float32]
    activation_b: npt.NDArray[np.float32]
    share: npt.NDArray[np.float64]


def strongest_edges(run: Run, *, edges: int) -> Pairs:
    """Return the edges of the backbone that are among the `edges` of highest phi inside any community of any level."""
    table = kept_edges(run, "CO_OCCURS", ("a", "b", "phi"))
    a, b, phi = (table[name].to_numpy() for name in ("a", "b", "phi"))
    members = run.artifact(CLUSTERS).table("membership")
    wanted = np.zeros(len(a), bool)
    for level in LEVELS:
        of = members.filter(pc.equal(members["level"], pa.scalar(level)))
        index = of["index"].to_numpy()
        number = np.full(1 + max(some.max(initial=-1) for some in (a, b, index)), -1, np.int64)
        number[index] = of["cluster"].to_numpy()
        inside = np.flatnonzero((number[a] == number[b]) & (number[a] >= 0))
        wanted[inside[_first_of_each(number[a[inside]], phi[inside], edges)]] = True
    return np.stack([a[wanted], b[wanted]], axis=1).astype(np.int64)


def _first_of_each(group: npt.NDArray[np.int64], phi: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k highest of each group, the first of equal ones."""
    order = np.lexsort((-phi, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    chosen: npt.NDArray[np.int64] = order[rank < k]
    return chosen


def pick_joint(firings: Firings, pairs: Pairs, *, strongest: int, track: Track = untracked) -> Joint:
    """Return the joint firings of each edge on which the weaker of the two is strongest, spread over documents.

    An activation counts as a share of the largest of its feature: min(a_i / max a_i, a_j / max a_j). A token on which
    one of the two merely flickers shows nothing of their edge, however strong the other is.

    Parameters
    ----------
    strongest
        Joint firings an edge; all where these are fewer.
    track
        Told of the edges done.
    """
    found = []
    with track("contexts of edges", total=len(pairs), unit="edges") as advance:
        for a, b in pairs.tolist():
            (rows_a, values_a), (rows_b, values_b) = (firings.contexts_of(end) for end in (a, b))
            rows, at_a, at_b = np.intersect1d(rows_a, rows_b, assume_unique=True, return_indices=True)
            share = np.minimum(_shares(values_a)[at_a], _shares(values_b)[at_b])
            chosen = np.sort(spread(share, firings.document[rows], k=strongest))
            found.append(
                Joint(
                    np.full(len(chosen), a),
                    np.full(len(chosen), b),
                    rows[chosen].astype(np.int64),
                    values_a[at_a[chosen]],
                    values_b[at_b[chosen]],
                    share[chosen],
                )
            )
            advance(1)
    whole, real, none = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0)
    found.append(Joint(whole, whole, whole, real, real, none))
    return Joint(*(np.concatenate([getattr(one, name) for one in found]) for name in Joint.__dataclass_fields__))


def _shares(activations: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the size of each activation over the largest, float64; 0 where all are 0."""
    sizes = np.abs(activations).astype(np.float64)
    return sizes / (sizes.max(initial=0.0) or 1.0)
