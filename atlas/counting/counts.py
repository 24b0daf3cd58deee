"""The finished counts of a set of tokens by feature: what stages read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

OF_ANY = ("firing_count", "indptr", "columns", "joint_count")
"""Arrays of the rule `any`, which every count has."""


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
        The higher feature b of each pair, ascending within a row; pairs seen at least once, or as often as
        the counts were pruned at.
    joint_count : int64, shape (n_pairs,)
        Tokens on which both fire.
    further : mapping of array name to int64 array
        `firing_count:RULE` (d,) and `joint_count:RULE` (n_pairs,) of each further firing rule;
        `joint_sum_a` and `joint_sum_b` (n_pairs,), the activations of a and of b added over the tokens
        on which both fire, in units of 1/1024.
    """

    firing_count: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    further: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the counts that `arrays` were stored from."""
        firing_count, indptr, columns, joint_count = (arrays[name] for name in OF_ANY)
        further = {name: array for name, array in arrays.items() if name not in OF_ANY}
        return cls(firing_count, indptr, columns, joint_count, further)

    @property
    def n_pairs(self) -> int:
        """Distinct pairs."""
        return len(self.columns)

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """The lower feature a of each pair: int32, shape (n_pairs,)."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, as they are stored."""
        own = {key: value for key, value in self.__dict__.items() if key != "further"}
        return own | dict(self.further)
