"""Counts and shares of sorts, with intervals that know that the features of a community are of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

DRAWS = 1000
_BATCH = 50  # draws held at once: 8 bytes for each group


def shares(
    sorts: Mapping[str, npt.NDArray[Any]],
    flags: Mapping[str, npt.NDArray[np.bool_]],
    group: npt.NDArray[np.integer],
    *,
    seed: int,
    draws: int = DRAWS,
) -> dict[str, list[Any]]:
    """Return the rows of the census: facet, value, count, share, low, high.

    The interval is the 2.5th and 97.5th percentile of the share over `draws` samples, with replacement, of as many
    groups as there are. It says how much the share would vary had other communities been found; of another text,
    another seed of the SAE or another model it says nothing: a control and a second seed do.

    Parameters
    ----------
    sorts
        By facet, the class of each feature: str, shape (n,).
    flags
        What is true of each: bool, shape (n,) each. They overlap.
    group : shape (n,)
        Community of each feature; those with -1 are groups of one.

    Returns
    -------
    dict of column to list
        Facets in the order given, then `flag`, then `all`, the cells of the facets crossed; classes by name.
    """
    columns = list(_columns(sorts, flags))
    n = len(group)
    if not n:
        return {name: [] for name in ("facet", "value", "count", "share", "low", "high")}
    _, of = np.unique(np.where(group < 0, -1 - np.arange(n), group), return_inverse=True)
    features = np.concatenate([where for _, _, where in columns])
    ends = np.cumsum([0, *(len(where) for _, _, where in columns)])
    rows = np.repeat(np.arange(len(columns)), np.diff(ends))
    counted = scipy.sparse.csr_array(
        (np.ones(len(features)), (of[features], rows)), shape=(of.max() + 1, len(columns))
    )
    drawn = _drawn(counted, np.bincount(of).astype(np.float64), np.random.default_rng(seed), draws)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    count = np.diff(ends)
    share = count / n
    return {
        "facet": [facet for facet, _, _ in columns],
        "value": [value for _, value, _ in columns],
        "count": count.tolist(),
        "share": share.tolist(),
        "low": np.minimum(low, share).tolist(),
        "high": np.maximum(high, share).tolist(),
    }


def _columns(
    sorts: Mapping[str, npt.NDArray[Any]], flags: Mapping[str, npt.NDArray[np.bool_]]
) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    """Yield facet, class and its features."""
    for facet, classes in sorts.items():
        for value in sorted(set(classes.tolist())):
            yield facet, value, np.flatnonzero(classes == value)
    for name, true_of in flags.items():
        yield "flag", name, np.flatnonzero(true_of)
    cells = np.array([" / ".join(cell) for cell in zip(*sorts.values(), strict=True)], object)
    for value in sorted(set(cells.tolist())):
        yield "all", value, np.flatnonzero(cells == value)


def _drawn(
    counted: scipy.sparse.csr_array, size: npt.NDArray[np.float64], rng: np.random.Generator, draws: int
) -> npt.NDArray[np.float64]:
    """Return the share of each column in each draw of groups: float64, shape (draws, columns)."""
    groups = len(size)
    found = []
    for start in range(0, draws, _BATCH):
        times = rng.multinomial(groups, np.full(groups, 1 / groups), min(_BATCH, draws - start)).astype(np.float64)
        found.append((counted.T @ times.T).T / (times @ size)[:, None])
    return np.concatenate(found)
