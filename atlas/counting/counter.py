"""The one interface of every counting backend: update with tokens, merge with a counter of others, finalize."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atlas.counting.counts import PairCounts
from atlas.counting.ranked import Counted, Ranked
from atlas.counting.scheme import Scheme, TokenRanges, join_ranges, require_same
from atlas.errors import InputError

INT32_TOKENS = 2**31 - 1
"""Tokens below which a 32-bit counter cannot overflow: a pair is counted at most once a token."""


class Counter(ABC):
    """Counter of firings and pairs; counters of disjoint tokens merge (a commutative monoid).

    Parameters
    ----------
    scheme
        Order of features, rules and source: counters of one scheme merge.
    rows
        Half-open range of ranks whose rows are counted; all by default. Ranges partition the work where
        the counters of all rows do not fit in memory.
    first_token
        Place in the corpus of the first token that `update` will be given; each update goes on where the
        last one ended unless it says otherwise.
    """

    def __init__(self, scheme: Scheme, *, rows: tuple[int, int] | None = None, first_token: int = 0) -> None:
        self.scheme = scheme
        self.rows = (0, scheme.d_sae) if rows is None else rows
        self.covered: TokenRanges = ()
        self._next = first_token
        self._firing_count = np.zeros((len(scheme.rules), scheme.d_sae), np.int64)

    @property
    def n_tokens(self) -> int:
        """Tokens counted."""
        return sum(stop - start for start, stop in self.covered)

    @property
    def firing_count(self) -> npt.NDArray[np.int64]:
        """Tokens on which each feature fires under each rule, by feature: int64, shape (n_rules, d)."""
        return self._firing_count

    def update(
        self, indptr: Any, ids: Any, levels: Any = None, amounts: Any = None, *, first_token: int | None = None
    ) -> None:
        """Count a run of tokens.

        Parameters
        ----------
        indptr
            int64, shape (n + 1,): token t's firings are `ids[indptr[t]:indptr[t + 1]]`.
        ids
            int32, shape (nnz,): features that fire, in any order, each at most once a token.
        levels
            uint8, shape (nnz,): bit r - 1 is set where the firing passes rule r of the scheme.
        amounts
            int64, shape (nnz,): activations in units of 1/1024, where the scheme sums them.
        first_token
            Place in the corpus of the first of these tokens, where it does not follow the last update's.

        Raises
        ------
        InputError
            An id is out of range or twice in one token, lengths disagree, levels or amounts are missing or
            too many, or a token was counted before. The counter is unchanged then.
        """
        n, nnz = len(indptr) - 1, len(ids)
        if n < 0 or int(indptr[0]) != 0 or int(indptr[-1]) != nnz:
            raise InputError(f"{nnz} firings do not fit the row pointer of {n} tokens", "give indptr[-1] firings")
        for name, array, wanted in (("levels", levels, self.scheme.bits), ("amounts", amounts, self.scheme.sums)):
            if (array is not None) != bool(wanted):
                raise InputError(
                    f"{name} are {'missing' if wanted else 'not counted by this scheme'}",
                    f"give {name} exactly where the scheme has {'further rules' if name == 'levels' else 'sums'}",
                )
            if array is not None and len(array) != nnz:
                raise InputError(f"{len(array)} {name} for {nnz} firings", f"give one of the {name} a firing")
        start = self._next if first_token is None else first_token
        covered = join_ranges(self.covered, [(start, start + n)])
        if nnz:
            self._count(indptr, ids, levels, amounts)
        self.covered = covered
        self._next = start + n

    def merge(self, other: Self) -> None:
        """Add the counts of other tokens.

        Raises
        ------
        InputError
            The other counter has another scheme or other rows, or shares tokens with this one (fault 43).
        """
        require_same(self.scheme.description(), other.scheme.description())
        if self.rows != other.rows:
            raise InputError(
                f"the partial counts are of rows {self.rows} and {other.rows}", "merge counts of the same rows"
            )
        covered = join_ranges(self.covered, other.covered)
        self._add(other)
        self._firing_count += other.firing_count
        self.covered = covered

    def counted(self) -> Counted:
        """Return what was counted, every row of it, as it is merged with other parts."""
        return Counted(self.scheme, self.firing_count, self.covered, list(self.ranked()))

    def finalize(self) -> PairCounts:
        """Return the counts by feature, pairs sorted by (a, b)."""
        from atlas.counting.by_feature import finalize  # compiled for the CPU, which no other part of a backend needs

        return finalize(self.counted())

    @abstractmethod
    def ranked(self, *, prune: int = 1) -> Iterator[Ranked]:
        """Yield the pairs seen on `prune` tokens or more, in ranges of rows that ascend from `rows[0]` to `rows[1]`.

        Every row is in exactly one range. `prune` is exact on this counter's own counts: leave it at 1 where
        other tokens' counts are still to be added.
        """

    @abstractmethod
    def _count(self, indptr: Any, ids: Any, levels: Any, amounts: Any) -> None:
        """Count firings that are there, or raise `InputError` and change nothing."""

    @abstractmethod
    def _add(self, other: Self) -> None:
        """Add the counters of another one of the same rows."""


def check_rows(indptr: npt.NDArray[np.integer], levels: npt.NDArray[np.uint8] | None, bits: int) -> None:
    """Raise `InputError` where a row pointer falls, or a level has a bit that no rule has: kernels trust both."""
    falls = np.flatnonzero(np.diff(indptr) < 0)
    if falls.size:
        raise InputError(f"the row pointer falls at token {falls[0]}", "give ascending places")
    if levels is not None and len(levels) and int(levels.max()) >> bits:
        raise InputError(f"level {levels.max()}, expected below {1 << bits}", "give one bit for each further rule")


def wrong_ids(low: int, high: int, d_sae: int) -> InputError:
    """Return the error for ids out of range."""
    return InputError(f"feature {low}..{high}, expected 0..{d_sae - 1}", "check the SAE's width")


def doubled_id(token: int) -> InputError:
    """Return the error for a token that names a feature twice."""
    return InputError(f"token {token} names a feature twice", "the firings are damaged: run the activations again")
