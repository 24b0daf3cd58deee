"""Which firings of a feature are shown: its strongest, spread over documents, and a uniform sample of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.firings import Firings
from atlas.tracking import Track, untracked

SAMPLES = ("strongest", "uniform", "both")


@dataclass(frozen=True)
class Picked:
    """The firings that were picked, by feature and row.

    Attributes
    ----------
    index : int64, shape (n,)
        The feature.
    row : int64, shape (n,)
        Place of the token in the corpus.
    activation : float32, shape (n,)
    sample : int8, shape (n,)
        Place in `SAMPLES`: whether it is one of the strongest, was drawn, or both.
    """

    index: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    activation: npt.NDArray[np.float32]
    sample: npt.NDArray[np.int8]


def pick_firings(
    firings: Firings, *, strongest: int, uniform: int, seed: int, track: Track = untracked
) -> Picked:
    """Return the firings of each feature that are shown.

    Only the uniform sample shows what a feature usually fires on: the strongest make features look purer than they
    are. Where the run keeps a reservoir, both are of that sample, and stronger firings may be outside of it.

    Parameters
    ----------
    strongest, uniform
        Firings of each kind a feature; all that it has where these are fewer.
    seed
        Seed of the uniform sample; each feature's own depends on the seed and its index alone.
    track
        Told of the features done.
    """
    found: list[Picked] = []
    with track("contexts of features", total=firings.d_sae, unit="features") as advance:
        for feature in range(firings.d_sae):
            rows, values = firings.contexts_of(feature)
            n = len(rows)
            kind = np.zeros(n, np.int8)  # one bit for each of the two samples
            kind[spread(np.abs(values), firings.document[rows], k=strongest)] |= 1
            if n:
                kind[np.random.default_rng((seed, feature)).choice(n, min(uniform, n), replace=False)] |= 2
            chosen = np.flatnonzero(kind)
            index = np.full(len(chosen), feature)
            found.append(Picked(index, rows[chosen].astype(np.int64), values[chosen], kind[chosen] - np.int8(1)))
            advance(1)
    return Picked(*(np.concatenate([getattr(one, name) for one in found]) for name in Picked.__dataclass_fields__))


def spread(
    strength: npt.NDArray[np.floating], document: npt.NDArray[np.integer], *, k: int
) -> npt.NDArray[np.int64]:
    """Return the places of k firings: every document's strongest, the strongest of these first, then every second.

    Equal ones keep their order. So a feature of many documents is not shown in one alone, and the strongest firing of
    all is always among them.

    Parameters
    ----------
    strength : shape (n,)
        What "strong" is measured by.
    document : shape (n,)
        Document of each.

    Returns
    -------
    int64, shape (min(k, n),)
        In that order.
    """
    order = np.argsort(-strength, kind="stable")
    by_document = np.argsort(document[order], kind="stable")
    sorted_documents = document[order][by_document]
    starts = np.flatnonzero(np.diff(sorted_documents, prepend=sorted_documents[:1] - 1))
    sizes = np.diff([*starts, len(order)])
    turn = np.empty(len(order), np.int64)
    turn[by_document] = np.arange(len(order)) - np.repeat(starts, sizes)
    chosen: npt.NDArray[np.int64] = order[np.argsort(turn, kind="stable")[:k]]
    return chosen
