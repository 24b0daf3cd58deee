"""Seeded synthetic firings: log-normal densities, stars and cliques that fire together, uneven tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

GROUP = 8
"""Features of a planted group: a hub and its leaves, or a clique."""
SPREAD = 0.5
"""Standard deviation of the logarithm of the number of firings of a token."""
MEMBER = 0.95
"""Share of a clique's features that fire when the clique does."""
RULES = ("any", "abs:1.5", "abs:3", "rel:0.5")
"""Rules that the levels stand for: abs:3 is nested in abs:1.5, rel:0.5 is nested in neither."""


@dataclass(frozen=True, eq=False)
class Firing:
    """Which features fire on each token.

    Attributes
    ----------
    d : int
        Number of features.
    indptr : int64, shape (n + 1,)
        Token t's firings are entries `indptr[t]:indptr[t + 1]`.
    ids : int32, shape (nnz,)
        Features, strictly ascending within a token.
    levels : uint8, shape (nnz,), or None
        Bit r - 1 is set where the firing passes rule r of `RULES`.
    activations : float32, shape (nnz,), or None
        Activations, above 0.
    """

    d: int
    indptr: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    levels: npt.NDArray[np.uint8] | None = None
    activations: npt.NDArray[np.float32] | None = None

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.indptr) - 1

    @property
    def increments(self) -> int:
        """Pairs of firings on one token, over all tokens."""
        n = np.diff(self.indptr)
        return int((n * (n - 1) // 2).sum())

    def head(self, n_tokens: int) -> Self:
        """Return the first tokens."""
        indptr = self.indptr[: n_tokens + 1]
        cut = {name: None if array is None else array[: indptr[-1]] for name, array in self._entries().items()}
        return replace(self, indptr=indptr, **cut)  # type: ignore[arg-type]  # the arrays keep their types

    def passing(self, rule: int) -> Firing:
        """Return the firings that pass one rule of `RULES`, without levels."""
        assert self.levels is not None
        keep = np.ones(len(self.ids), bool) if rule == 0 else (self.levels >> (rule - 1) & 1).astype(bool)
        before = np.concatenate([[0], np.cumsum(keep)])
        return Firing(self.d, before[self.indptr].astype(np.int64), self.ids[keep])

    def save(self, folder: Path) -> None:
        """Write the arrays into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "d.npy", self.d)
        for name, array in {"indptr": self.indptr, **self._entries()}.items():
            if array is not None:
                np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        return cls(int(arrays.pop("d")), **arrays)

    def _entries(self) -> dict[str, npt.NDArray[Any] | None]:
        return {"ids": self.ids, "levels": self.levels, "activations": self.activations}


def synthetic(
    n_tokens: int,
    d: int,
    *,
    l0: float = 100,
    grouped: float = 0.3,
    sigma: float = 1.5,
    rules: bool = False,
    seed: int = 0,
) -> Firing:
    """Return firings drawn from planted groups and independent features.

    Parameters
    ----------
    l0
        Mean number of firings of a token; tokens vary log-normally around it.
    grouped
        Share of the firings that come from groups: half of them stars (a hub fires with one of its leaves),
        half cliques (each member joins 19 times in 20).
    sigma
        Standard deviation of the logarithm of the features' and groups' densities.
    rules
        Whether activations and the levels of `RULES` are drawn, too.
    seed
        Seed of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    sizes = l0 * np.exp(SPREAD * rng.standard_normal(n_tokens) - SPREAD**2 / 2)
    wanted = np.clip(np.rint(sizes), 1, max(1, d // 4)).astype(np.int64)
    members = rng.permutation(d).astype(np.int32)
    n_groups = d // (2 * GROUP)  # half of the features are in groups
    densities = np.exp(sigma * rng.standard_normal(d + n_groups))
    single, group = _alias(densities[:d]), _alias(densities[d:])
    indptr = np.concatenate([[0], np.cumsum(wanted)]).astype(np.int64)
    ids = _draw(rng, indptr, members, grouped if n_groups else 0.0, d, *single, *group)
    if not rules:
        return Firing(d, indptr, ids)
    scale = np.exp(rng.standard_normal(d, dtype=np.float32))
    relative = np.exp(rng.standard_normal(len(ids), dtype=np.float32))
    activations = scale[ids] * relative  # the median of feature i is scale[i]
    levels = (activations > 1.5) | (activations > 3).astype(np.uint8) << 1 | (relative >= 0.5).astype(np.uint8) << 2
    return Firing(d, indptr, ids, levels.astype(np.uint8), activations)


def _alias(weights: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Return Walker's alias table of some weights: draws cost the same however many there are."""
    if not len(weights):
        return np.zeros(0), np.zeros(0, np.int32)
    share, other = _fill_alias(weights * (len(weights) / weights.sum()))
    return share, other


@numba.njit(cache=True)
def _fill_alias(share):  # type: ignore[no-untyped-def]  # compiled
    n = len(share)
    other = np.arange(n).astype(np.int32)
    below, above = np.empty(n, np.int32), np.empty(n, np.int32)
    n_below = n_above = 0
    for i in range(n):
        if share[i] < 1:
            below[n_below] = i
            n_below += 1
        else:
            above[n_above] = i
            n_above += 1
    while n_below and n_above:
        n_below -= 1
        i, k = below[n_below], above[n_above - 1]
        other[i] = k
        share[k] -= 1 - share[i]
        if share[k] < 1:
            n_above -= 1
            below[n_below] = k
            n_below += 1
    return share, other


@numba.njit(cache=True)
def _pick(rng, share, other):  # type: ignore[no-untyped-def]  # compiled
    at = rng.random() * len(share)
    i = np.int64(at)
    return np.int64(i if at - i < share[i] else other[i])


@numba.njit(cache=True)
def _draw(rng, indptr, members, grouped, d, share, other, group_share, group_other):  # type: ignore[no-untyped-def]
    """Return the ids of all tokens: groups up to their share, then single features, each once a token."""
    ids = np.empty(indptr[-1], np.int32)
    seen = np.zeros(d, np.int64)  # the last token, from 1, that a feature fired on
    for t in range(len(indptr) - 1):
        at, end = indptr[t], indptr[t + 1]
        together = at + np.int64((end - at) * grouped + rng.random())
        tries = end - at  # groups that have fired already are drawn again
        while at < together and tries > 0:
            tries -= 1
            group = _pick(rng, group_share, group_other)
            leaf = 1 + np.int64(rng.random() * (GROUP - 1))
            for k in range(GROUP):
                fires = (k == 0 or k == leaf) if group % 2 == 0 else rng.random() < MEMBER
                feature = members[group * GROUP + k]
                if fires and at < end and seen[feature] != t + 1:
                    seen[feature] = t + 1
                    ids[at] = feature
                    at += 1
        while at < end:
            feature = _pick(rng, share, other)
            if seen[feature] != t + 1:
                seen[feature] = t + 1
                ids[at] = feature
                at += 1
        ids[indptr[t] : end].sort()
    return ids
