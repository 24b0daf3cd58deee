"""Exact counts of pairs by rank: what every backend emits, in ranges of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.counting.scheme import Scheme, TokenRanges


@dataclass(frozen=True)
class Ranked:
    """The pairs of some rows, row r being the feature of rank r with every hotter one that it was seen with.

    Attributes
    ----------
    low : int
        Rank of the first row.
    indptr : int64, shape (n_rows + 1,)
        Row `low + k`'s pairs are entries `indptr[k]:indptr[k + 1]`.
    columns : uint32, shape (n_pairs,)
        Rank of the hotter feature: below the row's, each once a row, in no order.
    joint_count : int64, shape (n_rules, n_pairs)
        Tokens on which both fire under each rule; 1 or more under the first, `any`.
    joint_sum : int64, shape (2, n_pairs) or (2, 0)
        Activation of the row's feature, and of the column's, added over the tokens on which both fire
        (rule `any`), in units of 1/1024. Empty where they are not counted.
    """

    low: int
    indptr: npt.NDArray[np.int64]
    columns: npt.NDArray[np.uint32]
    joint_count: npt.NDArray[np.int64]
    joint_sum: npt.NDArray[np.int64]

    @property
    def high(self) -> int:
        """One past the rank of the last row."""
        return self.low + len(self.indptr) - 1

    @property
    def n_pairs(self) -> int:
        """Distinct pairs seen in these rows."""
        return len(self.columns)

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        return sum(array.nbytes for array in (self.indptr, self.columns, self.joint_count, self.joint_sum))


@dataclass(frozen=True)
class Counted:
    """The counts of some tokens: of one process, of one part of the shards, or of several parts merged.

    Attributes
    ----------
    scheme
        What was counted.
    firing_count : int64, shape (n_rules, d)
        Tokens on which each feature fires under each rule, by feature.
    covered
        Ranges of tokens that were counted.
    blocks
        The pairs of every row, in ranges of rows that ascend from 0 to d; can be gone through again.
    """

    scheme: Scheme
    firing_count: npt.NDArray[np.int64]
    covered: TokenRanges
    blocks: Iterable[Ranked]


def pairs_of_rows(low: int, high: int) -> int:
    """Return the number of pairs that rows `low` to `high - 1` can have, row r having r."""
    return high * (high - 1) // 2 - low * (low - 1) // 2


def rows_with(low: int, n_pairs: int) -> int:
    """Return the largest `high` such that the rows `low` to `high - 1` can have at most `n_pairs` pairs."""
    total = n_pairs + low * (low - 1) // 2
    return max((1 + math.isqrt(1 + 8 * total)) // 2, low)


def rule_counts(counters: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return counts by rule from counters by level.

    Formula: n_any = sum of all counters, n_r = sum of the counters whose level has bit r - 1; the level of a
    pair is the bitwise and of its two firings' levels.

    Parameters
    ----------
    counters
        Shape (n, 2 ** bits): tokens of each pair by the pair's level.

    Returns
    -------
    int64, shape (1 + bits, n)
    """
    width = counters.shape[1]
    rows = [counters.sum(1, dtype=np.int64)]
    for bit in range(width.bit_length() - 1):
        passing = (np.arange(width) >> bit & 1).astype(bool)
        rows.append(counters[:, passing].sum(1, dtype=np.int64))
    return np.stack(rows)
