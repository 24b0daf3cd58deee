"""Pairs that may be parent and child, or the same: gates on exact counts alone, a block of pairs at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from atlas.counting.rules import ANY
from atlas.mapped import ArrayFile

Floats = npt.NDArray[np.float64]
BLOCK_PAIRS = 2**21
Z = float(ndtri(0.975))
"""Standard deviations to either end of an interval of 95 %."""


@dataclass(frozen=True)
class Limits:
    """What a pair must pass to be parent and child.

    Attributes
    ----------
    min_conditional : float
        Smallest P(parent given child).
    min_lower_bound : float
        Smallest Wilson lower bound of it.
    min_joint : int
        Smallest joint count, tokens.
    min_ratio : float
        Smallest firing count of the parent over the child's. Above 1, so that no cycle can be; two features
        nearer than this that cover each other are the same.
    min_odds_ratio : float
        Smallest Mantel-Haenszel odds ratio over strata.
    min_odds_lower_bound : float
        Smallest 95 % lower bound of it.
    q : float
        False-discovery rate of the test of P <= .5.
    """

    min_conditional: float = 0.8
    min_lower_bound: float = 0.5
    min_joint: int = 5
    min_ratio: float = 1.1
    min_odds_ratio: float = 3.0
    min_odds_lower_bound: float = 1.0
    q: float = 0.05


@dataclass(frozen=True)
class PairBlock:
    """Some of the counted pairs, in their order.

    Attributes
    ----------
    first : int
        Place of the first one among all.
    a, b : int32, shape (n,)
        Features, a < b.
    joint_count : int64, shape (n,)
        Tokens on which both fire.
    """

    first: int
    a: npt.NDArray[np.int32]
    b: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Pairs of features that pass the gates on counts, in the order of (a, b).

    Attributes
    ----------
    commoner, rarer : int32, shape (n,)
        The feature that fires on more tokens, and the other; of equal ones the lower index comes first.
    joint_count : int64, shape (n,)
    place : int64, shape (n,)
        Place of the pair in the counts.
    """

    commoner: npt.NDArray[np.int32]
    rarer: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return several as one."""
        none = np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)
        columns = [(part.commoner, part.rarer, part.joint_count, part.place) for part in parts]
        return cls(*(np.concatenate(column) for column in zip(none, *columns, strict=True)))


def wilson_lower_bound(successes: npt.NDArray[np.integer], trials: npt.NDArray[np.integer]) -> Floats:
    """Return the lower end of Wilson's 95 % interval of a share.

    With x of n, p = x / n and z = 1.96: (p + z^2/2n - z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n). It says
    how small the share may be that the few tokens seen came from; runs of firing make it smaller still.

    Returns
    -------
    float64, shape (n,), in [0, 1]
        0 of no trials.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    x, n = (np.asarray(values, np.float64) for values in (successes, trials))
    spread = Z * np.sqrt(x * (n - x) / np.maximum(n, 1) + Z * Z / 4)
    out: Floats = (x + Z * Z / 2 - spread) / (n + Z * Z)
    return np.clip(out, 0, 1)


def pair_blocks(path: Path, rule: str, *, size: int = BLOCK_PAIRS) -> Iterator[PairBlock]:
    """Yield the pairs of the artifact of counts under a rule, at most `size` at once."""
    with ArrayFile(path) as stored:
        indptr = stored.read("indptr")
        for low in range(0, int(indptr[-1]), size):
            high = min(low + size, int(indptr[-1]))
            first, last = np.searchsorted(indptr, low, side="right") - 1, np.searchsorted(indptr, high, side="left")
            lengths = np.diff(np.clip(indptr[first : last + 1], low, high))
            yield PairBlock(
                low,
                np.repeat(np.arange(first, last, dtype=np.int32), lengths),
                stored.read("columns", low, high),
                stored.read(of_rule("joint_count", rule), low, high),
            )


def joint_counts(path: Path, place: npt.NDArray[np.int64], *, size: int = BLOCK_PAIRS) -> npt.NDArray[np.int64]:
    """Return the joint counts under the rule `any` at places of the counts; holds at most `size` pairs at once."""
    out = np.empty(len(place), np.int64)
    order = np.argsort(place, kind="stable")
    block = place[order] // size
    with ArrayFile(path) as stored:
        n_pairs = stored.shape("joint_count")[0]
        for number in np.unique(block).tolist():
            some = order[slice(*np.searchsorted(block, [number, number + 1]))]
            low = number * size
            out[some] = stored.read("joint_count", low, min(low + size, n_pairs))[place[some] - low]
    return out


def of_rule(name: str, rule: str) -> str:
    """Return the name of an array of the counts under a rule: `joint_count:rel:0.5`."""
    return name if rule == ANY else f"{name}:{rule}"


def find_candidates(
    blocks: Iterable[PairBlock],
    firing_count: npt.NDArray[np.int64],
    alive: npt.NDArray[np.bool_],
    *,
    limits: Limits,
) -> tuple[Candidates, Candidates]:
    """Return the pairs that may be parent and child, and those that may be the same.

    Parent p and child c, both alive, with n_p >= 1.1 n_c: n_pc >= 5, P(p given c) = n_pc / n_c >= .8 and its
    Wilson lower bound >= .5. Two alive features with nearer counts are candidates for the same where both
    conditionals pass; the smaller one decides, that of the commoner feature. Counts are compared as quotients:
    rounded correctly, 121 / 110 is 1.1, and 1.1 times 110 is above 121.

    Parameters
    ----------
    firing_count
        Firings of each feature under the rule, int64, shape (d,).
    alive
        Neither dead nor dense, bool, shape (d,).
    """
    parents: list[Candidates] = []
    equals: list[Candidates] = []
    for block in blocks:
        seen = np.flatnonzero(block.joint_count >= limits.min_joint)
        a, b, joint = block.a[seen], block.b[seen], block.joint_count[seen]
        n_a, n_b = firing_count[a], firing_count[b]
        fewer, more = np.minimum(n_a, n_b), np.maximum(n_a, n_b)
        apart = more / fewer >= limits.min_ratio
        trials = np.where(apart, fewer, more)
        passes = np.flatnonzero((joint / trials >= limits.min_conditional) & alive[a] & alive[b])
        passes = passes[wilson_lower_bound(joint[passes], trials[passes]) >= limits.min_lower_bound]
        for found, chosen in ((parents, passes[apart[passes]]), (equals, passes[~apart[passes]])):
            first = n_a[chosen] >= n_b[chosen]
            commoner, rarer = np.where(first, a[chosen], b[chosen]), np.where(first, b[chosen], a[chosen])
            found.append(Candidates(commoner, rarer, joint[chosen], block.first + seen[chosen]))
    return Candidates.joined(parents), Candidates.joined(equals)
