"""What a run claims, as sets, pairs and features that can be counted, and looked for in another run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Indices = npt.NDArray[np.int64]
Match = npt.NDArray[np.int64]
Unit = Literal["feature", "community"]
SAME = 0.5
"""Jaccard index from which two sets are the same one, and share of a set's members that must be matched."""


class Structure(ABC):
    """Claims of one kind of one run.

    `unit` is what a rate's interval is about: the features that have the claims, or the sets themselves.
    """

    unit: ClassVar[Unit] = "feature"

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of claims."""

    @abstractmethod
    def owners(self) -> tuple[Indices, npt.NDArray[np.float64]]:
        """Return the features that the claims are counted with, and what share of a claim each has."""

    @abstractmethod
    def survival(self, other: Any, match: Match) -> tuple[int, int]:
        """Return how many claims have all their features matched, and how many of these the other run has, too.

        Parameters
        ----------
        other
            Claims of the same kind of the other run.
        match
            Feature of the other run that each feature is matched with, -1 for none: int64, shape (d,).
        """


@dataclass(frozen=True)
class Features(Structure):
    """Claims about single features: a class, a property."""

    index: Indices

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.index)

    def owners(self) -> tuple[Indices, npt.NDArray[np.float64]]:
        """Return each feature with its one claim."""
        return self.index, np.ones(len(self.index))

    def survival(self, other: Any, match: Match) -> tuple[int, int]:
        """Return how many are matched, and how many of the matched have the claim in the other run."""
        there = match[self.index]
        there = there[there >= 0]
        return len(there), int(np.isin(there, other.index).sum())


@dataclass(frozen=True)
class Pairs(Structure):
    """Claims about two features, `directed` from the first to the second where that matters.

    An undirected pair is counted half with each of its features, a directed one with the second (the child).
    """

    first: Indices
    second: Indices
    directed: bool = False

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.first)

    def owners(self) -> tuple[Indices, npt.NDArray[np.float64]]:
        """Return the features that pairs are counted with, once for each pair."""
        if self.directed:
            return self.second, np.ones(self.count)
        return np.concatenate([self.first, self.second]), np.full(2 * self.count, 0.5)

    def survival(self, other: Any, match: Match) -> tuple[int, int]:
        """Return how many have both ends matched, and how many of these are pairs of the other run."""
        there = match[self.first], match[self.second]
        known = (there[0] >= 0) & (there[1] >= 0)
        width = 1 + max((int(some.max(initial=0)) for some in (*there, other.first, other.second)), default=0)
        keys = self._keys(there[0][known], there[1][known], width)
        return len(keys), int(np.isin(keys, self._keys(other.first, other.second, width)).sum())

    def _keys(self, first: Indices, second: Indices, width: int) -> Indices:
        if self.directed:
            return first * width + second
        return np.minimum(first, second) * width + np.maximum(first, second)


@dataclass(frozen=True)
class Sets(Structure):
    """Claims about sets of features: communities of a class, rings."""

    unit: ClassVar[Unit] = "community"
    members: Sequence[Indices]

    @property
    def count(self) -> int:
        """Number of sets."""
        return len(self.members)

    def owners(self) -> tuple[Indices, npt.NDArray[np.float64]]:
        """Return nothing: sets are the units themselves."""
        return np.zeros(0, np.int64), np.zeros(0)

    def survival(self, other: Any, match: Match) -> tuple[int, int]:
        """Return how many have two members and half of them matched, and how many of these a set of the other run
        resembles: Jaccard index of the matched members .5 or more."""
        overlap, _, testable = self.overlaps(other, match)
        return int(testable.sum()), int((overlap[testable] >= SAME).sum())

    def overlaps(
        self, other: Sets, match: Match
    ) -> tuple[npt.NDArray[np.float64], Indices, npt.NDArray[np.bool_]]:
        """Return for each set the largest Jaccard index with a set of the other run, which that is, and whether the
        set has enough matched members. Only matched features count on both sides."""
        matched = np.flatnonzero(match >= 0)
        mine = _incidence(self.members, len(match))[:, matched]
        width = 1 + max(int(match.max(initial=0)), max((int(s.max(initial=0)) for s in other.members), default=0))
        theirs = _incidence(other.members, width)[:, match[matched]]
        size = np.asarray(mine.sum(axis=1)).ravel()
        best, which = np.zeros(self.count), np.full(self.count, -1, np.int64)
        testable = (size >= 2) & (size >= SAME * np.array([len(one) for one in self.members]))
        if other.count and self.count:
            joint = (mine @ theirs.T).tocoo()
            union = size[joint.row] + np.asarray(theirs.sum(axis=1)).ravel()[joint.col] - joint.data
            jaccard = joint.data / union
            order = np.lexsort((joint.col, -jaccard, joint.row))
            first = order[np.flatnonzero(np.diff(joint.row[order], prepend=-1))]
            best[joint.row[first]], which[joint.row[first]] = jaccard[first], joint.col[first]
        return best, which, testable


def _incidence(sets: Sequence[Indices], width: int) -> sparse.csr_array:
    sizes = [len(one) for one in sets]
    columns = np.concatenate([np.zeros(0, np.int64), *sets])
    rows = np.repeat(np.arange(len(sets)), sizes)
    return sparse.csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(sets), width))


Make = Callable[[npt.NDArray[np.bool_]], Structure]
Structures = dict[tuple[str, str], Structure]
"""Claims by structure and by class, kind, level or basis."""


def by_class(
    structure: str, classes: Iterable[str | None], make: Make, prefix: str = ""
) -> Structures:
    """Return one structure for each class, made from which rows have it; rows without a class are in none."""
    named = np.array(["" if one is None else one for one in classes], object)
    return {(structure, f"{prefix}{one}"): make(named == one) for one in sorted(set(named.tolist()) - {""})}


def of_features(index: Any) -> Make:
    """Return what makes `Features` of the rows chosen, of which each is about one of these."""
    whole = np.asarray(index, np.int64)
    return lambda rows: Features(whole[rows])


def of_sets(sets: Sequence[Indices]) -> Make:
    """Return what makes `Sets` of those chosen."""
    return lambda rows: Sets([sets[place] for place in np.flatnonzero(rows).tolist()])


def of_pairs(first: Indices, second: Indices, *, directed: bool = False) -> Make:
    """Return what makes `Pairs` of the rows chosen."""
    return lambda rows: Pairs(first[rows], second[rows], directed)
