"""How much a subgraph's shape says of its verdict: a table, its association, and the same with shapes permuted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.behaviour.verdicts import VERDICTS, Verdict

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
N_PERMUTATIONS = 999
DECIDED = VERDICTS[:3]


@dataclass(frozen=True)
class Agreement:
    """The association of shape and verdict; see `schema` for each number's meaning.

    None where all have one shape, or one verdict.
    """

    subgraphs: int
    cramers_v: float | None = None
    cramers_v_null: float | None = None
    p: float | None = None
    information: float | None = None
    information_null: float | None = None
    explained: float | None = None
    cramers_v_same_size: float | None = None
    p_same_size: float | None = None


@dataclass(frozen=True)
class Cell:
    """How many subgraphs have a shape and a verdict, and how many would if shapes were permuted."""

    shape: str
    verdict: str
    count: int
    by_chance: float | None


def agreement(
    shapes: Sequence[str | None], verdicts: Sequence[Verdict], sizes: Sequence[int], *, seed: int
) -> tuple[Agreement, list[Cell]]:
    """Return how far shape and verdict agree, and the table that this is read from.

    Only subgraphs with a shape count, and for the association those whose verdict is not `undetermined`. The control
    permutes the shapes over the subgraphs, 999 times; the second one among subgraphs of about the same size alone
    (half a doubling), since a pair is a shape by its size. V is Cramer's, the root of chi squared over n times the
    smaller number of rows and columns less one. Both are plug-in estimates, above 0 by chance: read them
    beside their null.

    Parameters
    ----------
    shapes, verdicts, sizes
        Of each subgraph; a shape may be missing.
    seed
        Seed of the permutations.
    """
    known = [place for place, shape in enumerate(shapes) if shape is not None]
    names = sorted({str(shapes[place]) for place in known})
    row = np.array([names.index(str(shapes[place])) for place in known], np.int64)
    column = np.array([VERDICTS.index(verdicts[place]) for place in known], np.int64)
    size = np.array([sizes[place] for place in known], np.int64)
    counts = _table(row, column, (len(names), len(VERDICTS)))
    decided = column < len(DECIDED)
    row, column, size = row[decided], column[decided], size[decided]
    shape = (len(names), len(DECIDED))
    cells = [
        Cell(name, verdict, int(counts[i, j]), _by_chance(counts[:, : len(DECIDED)], i, j))
        for i, name in enumerate(names)
        for j, verdict in enumerate(VERDICTS)
    ]
    real = _table(row, column, shape)
    if min((real.sum(0) > 0).sum(), (real.sum(1) > 0).sum()) < 2:
        return Agreement(len(row)), cells
    return _association(row, column, size, real, seed), cells


def _association(row: Integers, column: Integers, size: Integers, real: Integers, seed: int) -> Agreement:
    rng = np.random.default_rng(seed)
    bins = np.round(2 * np.log2(size)).astype(np.int64)
    ordered = np.argsort(bins, kind="stable")
    free, tied = [], []
    for _ in range(N_PERMUTATIONS):
        free.append(_table(rng.permutation(row), column, real.shape))
        moved = np.empty_like(row)
        moved[ordered] = row[np.lexsort((rng.random(len(row)), bins))]
        tied.append(_table(moved, column, real.shape))
    v, information = cramers_v(real), mutual_information(real)
    v_null, v_tied = (np.array([cramers_v(one) for one in some]) for some in (free, tied))
    information_null = float(np.mean([mutual_information(one) for one in free]))
    share = real.sum(0)[real.sum(0) > 0] / real.sum()
    return Agreement(
        len(row),
        v,
        float(v_null.mean()),
        _p(v_null, v),
        information,
        information_null,
        (information - information_null) / float(-(share * np.log2(share)).sum()),
        float(v_tied.mean()),
        _p(v_tied, v),
    )


def _p(null: Floats, real: float) -> float:
    return float(1 + (null >= real - 1e-12).sum()) / (1 + len(null))


def _table(row: Integers, column: Integers, shape: tuple[int, ...]) -> Integers:
    return np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)


def _by_chance(counts: Integers, i: int, j: int) -> float | None:
    """Return the mean count of a cell over all permutations, n_i n_j / n; None for a verdict that is not permuted."""
    if j >= counts.shape[1] or not counts.sum():
        return None
    return float(counts[i].sum() * counts[:, j].sum() / counts.sum())


def cramers_v(counts: Integers) -> float:
    """Return Cramer's V of a table of two rows and columns that are not empty, or more: in [0, 1]."""
    some = counts[counts.sum(1) > 0][:, counts.sum(0) > 0].astype(np.float64)
    expected = np.outer(some.sum(1), some.sum(0)) / some.sum()
    squared = ((some - expected) ** 2 / expected).sum()
    return float(min(1.0, np.sqrt(squared / (some.sum() * (min(some.shape) - 1)))))


def mutual_information(counts: Integers) -> float:
    """Return the mutual information of the rows and the columns of a table, in bits."""
    share = counts / counts.sum()
    apart = np.outer(share.sum(1), share.sum(0))
    some = share > 0
    return float(max(0.0, (share[some] * np.log2(share[some] / apart[some])).sum()))
