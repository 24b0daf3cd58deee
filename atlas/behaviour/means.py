"""The mean decoder direction of each community, beside those of random features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from atlas.behaviour.components import covariance
from atlas.behaviour.held_out import Fired, Floats, HeldOut, Integers
from atlas.marks import Bits, no_marks
from atlas.ranking import largest
from atlas.tracking import Track, untracked

N_SETS, N_ACTIVE = 99, 10
"""Random sets of each size that directions are held against, and those whose activations are rebuilt."""
N_ITEMS, N_NEAR = 8, 5
MIN_SEEN = 5
BATCH, BAND = 128, 256
"""Communities whose means are held against all items and features at once; features whose firings are read at once."""
ROOM = 2**29
"""Bytes of what is written on items, of which as many are looked at in one pass over the firings."""
MOST_FIRINGS = 2**22
"""Firings of a set that are held at once."""


@dataclass(frozen=True)
class Mean:
    """The mean direction of one community; see `schema` for each number's meaning."""

    mean_norm: float
    mean_norm_null: float
    mean_norm_p: float
    direction_share: float
    direction_share_null: float
    activation_share: float | None
    activation_share_null: float | None
    mean_items: list[str]
    mean_features: list[int]
    mean_cosine: float


def community_means(
    whole: HeldOut,
    communities: Sequence[Integers],
    directions: npt.NDArray[np.float32],
    alive: Integers,
    *,
    names: Sequence[str],
    seed: int,
    track: Track = untracked,
) -> list[Mean]:
    """Return what the mean of each community's decoder directions is like.

    With w_i the directions, of length 1, m = sum_i w_i / n: its length (squared it is the mean cosine of all pairs, a
    feature with itself counted), and the share of the directions along it, sum_i cos(w_i, m)^2 / n. Of the
    activations rebuilt from the members, x = sum_i a_i w_i, the share of the variance along m, over the tokens on
    which one fires. The null are random sets of as many alive features.

    Items: of each vocabulary item the mean over its tokens of what all that fires writes along m, sum_j a_j w_j . m.
    No embedding is needed, and none is read: it says where m is found, not what the model makes of it.

    Parameters
    ----------
    whole
        The firings, on all documents.
    directions
        Shape (d_sae, d_in), of length 1.
    alive
        Features that random sets are drawn from.
    names
        Text of each item.
    """
    null = _Null(whole, directions, alive, seed)
    scratch = no_marks(whole.firings.n_tokens)
    words = _Words(len(communities))
    means = np.stack([_unit(directions[members].astype(np.float64).mean(0)) for members in communities])
    size = max(1, ROOM // (8 * max(directions.shape[1], 1)))
    for low in range(0, len(names), size):
        words.add(low, _written(whole, directions, low, min(low + size, len(names)), len(names), track), means)
    found = []
    with track("behaviour: means", total=len(communities), unit="communities") as advance:
        for start in range(0, len(communities), BATCH):
            some = communities[start : start + BATCH]
            cosine = means[start : start + BATCH] @ directions.T
            for number, members in enumerate(some):
                beside = null.beside(len(members), _size(whole, directions, members, scratch))
                near, nearest = _near(cosine[number], members)
                items = words.of(start + number)
                found.append(Mean(*beside, [names[item] for item in items], near, nearest))
                advance(1)
    return found


def _written(
    whole: HeldOut, directions: npt.NDArray[np.float32], low: int, high: int, n_items: int, track: Track
) -> Floats:
    """Return what all that fires writes on the tokens of some items, at mean: float64, shape (high - low, d_in).

    In one pass over the firings, a band of features at a time; 0 for items seen too rarely.
    """
    firings = whole.firings
    found = np.zeros((high - low, directions.shape[1]))
    with track("behaviour: items", total=firings.d_sae, unit="features") as advance:
        for start in range(0, firings.d_sae, BAND):
            indptr = firings.indptr[start : start + BAND + 1]
            span = slice(int(indptr[0]), int(indptr[-1]))
            items, values = whole.item[np.asarray(firings.rows[span])], np.asarray(whole.activations[span], np.float64)
            columns = sp.csc_array((values, items, indptr - indptr[0]), shape=(n_items, len(indptr) - 1))
            columns.sum_duplicates()
            _write(columns.indptr, columns.indices, columns.data, directions[start : start + BAND], low, found)
            advance(len(indptr) - 1)
    seen = np.bincount(whole.item, minlength=n_items)[low:high]
    found *= np.where(seen >= MIN_SEEN, 1 / np.maximum(seen, 1), 0.0)[:, None]
    return found


@numba.njit(cache=True, nogil=True)
def _write(indptr, items, values, directions, low, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add each feature's sums on items, times its direction."""
    for feature in range(len(indptr) - 1):
        for k in range(indptr[feature], indptr[feature + 1]):
            row = items[k] - low
            if 0 <= row < len(found):
                for axis in range(directions.shape[1]):
                    found[row, axis] += values[k] * directions[feature, axis]


class _Words:
    """The items along which each of some means is written most, found a part of the items at a time."""

    def __init__(self, n: int) -> None:
        self.items, self.scores = np.zeros((n, 0), np.int64), np.zeros((n, 0))

    def add(self, low: int, written: Floats, means: Floats) -> None:
        """Look at items from `low` on; of equal ones the lower stays before the higher."""
        kept = []
        for start in range(0, len(means), BATCH):
            some = slice(start, start + BATCH)
            items = np.tile(np.arange(low, low + len(written)), (len(self.items[some]), 1))
            items = np.concatenate([self.items[some], items], axis=1)
            scores = np.concatenate([self.scores[some], means[some] @ written.T], axis=1)
            best = np.stack([largest(row, N_ITEMS) for row in scores])
            kept.append([np.take_along_axis(column, best, 1) for column in (items, scores)])
        self.items, self.scores = (np.concatenate(column) for column in zip(*kept, strict=True))

    def of(self, number: int) -> list[int]:
        """Return the items of one mean that are written at all, the most written first."""
        found: list[int] = self.items[number][self.scores[number] > 0].tolist()
        return found


def _near(cosine: Floats, members: Integers) -> tuple[list[int], float]:
    """Return the features outside whose directions are nearest, and the cosine of the first; 0 where there is none."""
    away = cosine.copy()
    away[members] = -np.inf
    near = [feature for feature in largest(away, N_NEAR).tolist() if np.isfinite(away[feature])]
    return near, float(np.clip(away[near[0]], -1, 1)) if near else 0.0


@dataclass(frozen=True)
class _Sized:
    """Length of the mean, share of the directions along it, and share of the activations' variance."""

    norm: float
    share: float
    activation: float | None


class _Null:
    """The same of random sets, by size, drawn when a size is first met."""

    def __init__(
        self, whole: HeldOut, directions: npt.NDArray[np.float32], alive: Integers, seed: int
    ) -> None:
        self.whole, self.directions, self.alive, self.seed = whole, directions, alive, seed
        self.scratch = no_marks(whole.firings.n_tokens)
        self.known: dict[int, tuple[Floats, Floats, float | None]] = {}

    def beside(self, size: int, real: _Sized) -> tuple[float, float, float, float, float, float | None, float | None]:
        """Return the columns of a community up to its share of activations, each beside its null."""
        norms, shares, activation = self._of(size)
        p = float(1 + (norms >= real.norm - 1e-12).sum()) / (1 + len(norms))
        return real.norm, float(norms.mean()), p, real.share, float(shares.mean()), real.activation, activation

    def _of(self, size: int) -> tuple[Floats, Floats, float | None]:
        if size not in self.known:
            rng = np.random.default_rng([self.seed, size])
            drawn = min(size, len(self.alive))
            sets = [rng.choice(self.alive, drawn, replace=False) for _ in range(N_SETS)]
            sized = [_direction_size(self.directions[some].astype(np.float64)) for some in sets]
            active = [_activation_share(self.whole, self.directions, np.sort(some), self.scratch)
                      for some in sets[:N_ACTIVE]]  # fmt: skip
            some = [share for share in active if share is not None]
            norms, shares = (np.array(column) for column in zip(*sized, strict=True))
            self.known[size] = norms, shares, float(np.mean(some)) if some else None
        return self.known[size]


def _size(
    whole: HeldOut, directions: npt.NDArray[np.float32], members: Integers, scratch: Bits
) -> _Sized:
    return _Sized(
        *_direction_size(directions[members].astype(np.float64)),
        _activation_share(whole, directions, members, scratch),
    )


def _direction_size(some: Floats) -> tuple[float, float]:
    """Return the length of the mean of directions, and the share of them along it."""
    mean = some.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm < 1e-12:
        return 0.0, 0.0
    return min(1.0, norm), min(1.0, float(((some @ mean / norm) ** 2).mean()))


def _activation_share(
    whole: HeldOut, directions: npt.NDArray[np.float32], members: Integers, scratch: Bits
) -> float | None:
    """Return the share of the variance of the rebuilt activations along the mean: w'C w / tr(C G)."""
    some = directions[members].astype(np.float64)
    spread = covariance(Fired.windows(whole, members, scratch, most=MOST_FIRINGS), len(members))
    total = float((spread * (some @ some.T)).sum())
    mean = some.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    if total <= 1e-12 or norm < 1e-12:
        return None
    along = some @ mean / norm
    return float(np.clip(along @ spread @ along / total, 0, 1))


def _unit(direction: Floats) -> Floats:
    unit: Floats = direction / max(float(np.linalg.norm(direction)), 1e-12)
    return unit
