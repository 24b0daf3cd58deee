"""The finished counts of a set of tokens: what every counting backend returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PairCounts:
    """How often each feature fires, and each pair of features on the same token.

    Attributes
    ----------
    firing_count : int64, shape (d,)
        Tokens on which each feature fires.
    indptr : int64, shape (d + 1,)
        Row a's pairs are entries `indptr[a]:indptr[a + 1]`.
    columns : int32, shape (n_pairs,)
        The higher feature b of each pair, ascending within a row; only pairs seen at least once.
    joint_count : int64, shape (n_pairs,)
        Tokens on which both fire, 1 or more.
    """

    firing_count: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]

    @property
    def n_pairs(self) -> int:
        """Distinct pairs seen."""
        return len(self.columns)

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """The lower feature a of each pair: int32, shape (n_pairs,)."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, as they are stored."""
        return dict(self.__dict__)
