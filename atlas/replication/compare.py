"""In how many of the halves each claim holds again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.association.testing import EXCLUDES, MIN_EXPECTED, Gates
from atlas.replication.claims import Claims
from atlas.replication.recompute import Found, Keys

Halves = npt.NDArray[np.object_]
"""In how many halves, 0 to 2; None where it could not be found in both."""
SAME = 0.5
"""Jaccard index from which a community of a half is the same one."""


def alive_in_both(halves: Sequence[Found]) -> npt.NDArray[np.bool_]:
    """Return the features that are tested in each half: bool, shape (d,)."""
    alive: npt.NDArray[np.bool_] = np.logical_and.reduce([half.alive for half in halves])
    return alive


def counted(testable: npt.NDArray[np.bool_], held: Sequence[npt.NDArray[np.bool_]]) -> Halves:
    """Return in how many halves each claim holds, None where it is not testable."""
    found = np.sum(held, axis=0, dtype=np.int64).astype(object)
    found[~testable] = None
    return found


def edges_again(claims: Claims, halves: Sequence[Found], gates: Gates) -> Halves:
    """Return for each edge in how many halves it is significant again, by the same test and effect gates.

    Testable are edges whose features are alive in both halves and that could pass in both at once: of twice
    `min_joint` tokens or more, or for EXCLUDES with twice the expected count that it needs.
    """
    edges = claims.edges
    a, b, kind = (edges[name] for name in ("a", "b", "kind"))
    alive = alive_in_both(halves)
    expected = np.minimum(edges["expected"], edges["expected_uncorrected"])
    enough = np.where(kind == EXCLUDES, expected >= 2 * MIN_EXPECTED, edges["joint_count"] >= 2 * gates.min_joint)
    held = [np.zeros(len(a), bool) for _ in halves]
    for half, found in zip(halves, held, strict=True):
        for name, significant in half.significant.items():
            of_kind = kind == name
            found[of_kind] = _among(significant, a[of_kind], b[of_kind], len(alive))
    return counted(alive[a] & alive[b] & enough, held)


def pairs_again(
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    joint_count: npt.NDArray[np.int64],
    found: Sequence[Keys],
    *,
    alive: npt.NDArray[np.bool_],
    min_joint: int,
) -> Halves:
    """Return for each parent and child, or two that are the same, in how many halves they are so again."""
    testable = alive[first] & alive[second] & (joint_count >= 2 * min_joint)
    return counted(testable, [_among(keys, first, second, len(alive)) for keys in found])


def communities_again(
    labels: npt.NDArray[np.int64], found: Sequence[npt.NDArray[np.int64]], alive: npt.NDArray[np.bool_]
) -> tuple[Halves, Halves, Halves]:
    """Return what the halves say of one level: members, communities, overlaps.

    A community is there again where one of the half's has a Jaccard index of .5 or more with it; a feature is a
    member again where it is in the one with the largest. Only features that are alive in both halves count, and
    communities with two or more of these.

    Parameters
    ----------
    labels, found
        Community of each feature in the run and in each half, -1 for none; int64, shape (d,).
    alive
        Features alive in both halves, bool, shape (d,).

    Returns
    -------
    of each feature; of each community; the smaller of the two largest Jaccard indices of each community
    """
    seen = np.where(alive, labels, -1)
    size = np.bincount(seen[seen >= 0], minlength=int(labels.max(initial=-1)) + 1)
    matched = [best_matches(seen, np.where(alive, other, -1), len(size)) for other in found]
    back = [(other == match[seen]) & (match[seen] >= 0) for other, (match, _) in zip(found, matched, strict=True)]
    members = counted((seen >= 0) & (size >= 2)[seen] if len(size) else seen >= 0, back)
    testable = size >= 2
    overlap = np.min([jaccard for _, jaccard in matched], axis=0).astype(object)
    overlap[~testable] = None
    return members, counted(testable, [jaccard >= SAME for _, jaccard in matched]), overlap


def best_matches(
    membership: npt.NDArray[np.int64], other: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return for each of `n` communities the one of another partition with the largest Jaccard index, and that index.

    Nodes of number -1 are in none; a community that meets none has -1 and 0. Of ties the lower number counts.
    """
    match, best = np.full(n, -1, np.int64), np.zeros(n)
    both = (membership >= 0) & (other >= 0)
    if not both.any():
        return match, best
    width = int(other.max()) + 1
    keys, joint = np.unique(membership[both] * width + other[both], return_counts=True)
    mine, theirs = keys // width, keys % width
    size_mine, size_theirs = (np.bincount(one[one >= 0]) for one in (membership, other))
    jaccard = joint / (size_mine[mine] + size_theirs[theirs] - joint)
    order = np.lexsort((theirs, -jaccard, mine))
    first = order[np.flatnonzero(np.diff(mine[order], prepend=-1))]
    match[mine[first]], best[mine[first]] = theirs[first], jaccard[first]
    return match, best


def tally(found: Halves, which: npt.NDArray[Any] | slice = slice(None)) -> dict[str, int]:
    """Return how many claims there are, how many were testable, and how many hold in both, one and none."""
    some = found[which]
    tested = np.array([value for value in some if value is not None], np.int64)
    in_none, in_one, in_both = np.bincount(tested, minlength=3).tolist()
    return {"claims": len(some), "tested": len(tested), "both": in_both, "one": in_one, "neither": in_none}


def _among(keys: Keys, first: npt.NDArray[Any], second: npt.NDArray[Any], d: int) -> npt.NDArray[np.bool_]:
    wanted = first.astype(np.int64) * d + second
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    return keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)
