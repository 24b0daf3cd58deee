"""The plain backend: a dense product a token at a time, slow and short, which the fast ones are held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from atlas.counting.counter import Counter, doubled_id, wrong_ids
from atlas.counting.ranked import Ranked
from atlas.counting.scheme import Scheme


class ReferenceCounter(Counter):
    """Counts into dense squares of int64: `rules` of them, and two of sums. For small d alone."""

    def __init__(self, scheme: Scheme, *, rows: tuple[int, int] | None = None, first_token: int = 0) -> None:
        super().__init__(scheme, rows=rows, first_token=first_token)
        square = (scheme.d_sae, scheme.d_sae)
        self._joint = np.zeros((len(scheme.rules), *square), np.int64)
        self._sums = np.zeros((2 if scheme.sums else 0, *square), np.int64)

    def _count(self, indptr: Any, ids: Any, levels: Any, amounts: Any) -> None:
        d = self.scheme.d_sae
        if ids.min() < 0 or ids.max() >= d:
            raise wrong_ids(int(ids.min()), int(ids.max()), d)
        for token in range(len(indptr) - 1):
            some = ids[indptr[token] : indptr[token + 1]]
            if len(np.unique(some)) < len(some):
                raise doubled_id(token)
        rank = self.scheme.rank
        for token in range(len(indptr) - 1):
            at = slice(indptr[token], indptr[token + 1])
            ranks = rank[ids[at]].astype(np.int64)
            for rule in range(len(self.scheme.rules)):
                passing = slice(None) if rule == 0 else (levels[at] >> (rule - 1) & 1).astype(bool)
                self._firing_count[rule, ids[at][passing]] += 1
                self._joint[rule][np.ix_(ranks[passing], ranks[passing])] += 1
            if self.scheme.sums:
                self._sums[0][np.ix_(ranks, ranks)] += amounts[at][:, None]
                self._sums[1][np.ix_(ranks, ranks)] += amounts[at][None, :]

    def _add(self, other: Self) -> None:
        self._joint += other._joint
        self._sums += other._sums

    def ranked(self, *, prune: int = 1) -> Iterator[Ranked]:
        """Yield all rows at once; see `Counter.ranked`."""
        low, high = self.rows
        seen = np.tril(self._joint[0], -1)[low:high] >= prune
        row, column = np.nonzero(seen)
        indptr = np.concatenate([[0], np.cumsum(seen.sum(1))]).astype(np.int64)
        joint, sums = (square[:, low:high][:, row, column] for square in (self._joint, self._sums))
        yield Ranked(
            low, indptr, column.astype(np.uint32), joint, sums if self.scheme.sums else np.zeros((2, 0), np.int64)
        )
