"""How far partitions of the same nodes agree: adjusted mutual information, and shared co-members."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

Labels = npt.NDArray[np.int64]
NEGLIGIBLE = 1e-18
"""Terms of the hypergeometric sum below this are left out: less than what rounding takes."""


def adjusted_mutual_information(one: Labels, two: Labels) -> float:
    """Return the mutual information of two partitions, corrected for chance.

    (I - E[I]) / ((H_1 + H_2) / 2 - E[I]): 1 where they are the same partition, about 0 where they agree
    no more than two random ones with the same sizes; slightly negative values are chance. The mean of
    the two entropies is arithmetic. It does not say which of the two is right, nor whether either is.

    Parameters
    ----------
    one, two
        Label of each node: integers from 0, shape (n,).

    Returns
    -------
    float
        1 where both are empty; 0 where the scale is 0 and they differ.

    References
    ----------
    Vinh, Epps, Bailey 2010, https://www.jmlr.org/papers/v11/vinh10a.html.
    """
    first, second = _compact(one), _compact(two)
    if len(first) == 0:
        return 1.0
    n, width = len(first), int(second.max()) + 1
    keys, joint = np.unique(first * width + second, return_counts=True)
    size_one, size_two = np.bincount(first), np.bincount(second)
    if len(keys) == len(size_one) == len(size_two):
        return 1.0
    information = float(np.sum(joint * np.log(n * joint / (size_one[keys // width] * size_two[keys % width])))) / n
    expected = _expected(size_one, size_two)
    scale = (_entropy(size_one) + _entropy(size_two)) / 2 - expected
    return (information - expected) / scale if scale > 1e-12 else 0.0


def mean_agreement(partitions: Sequence[Labels]) -> float:
    """Return the mean adjusted mutual information over all pairs of partitions; 1 for fewer than two."""
    found = [adjusted_mutual_information(one, two) for one, two in combinations(partitions, 2)]
    return float(np.mean(found)) if found else 1.0


def shared_members(membership: Labels, other: Labels) -> npt.NDArray[np.float64]:
    """Return how far each node's co-members in two partitions are the same nodes.

    Of the nodes that are with it in either partition, the share that is with it in both: with its
    communities C and S, (|C and S| - 1) / (|C or S| - 1). 1 where both leave it alone. Counted from
    the sizes of C, S and their intersection: O(n log n), no matrix.

    Returns
    -------
    float64, shape (n,), within [0, 1]
    """
    joint, size_one, size_two = _overlaps(membership, other)
    either = size_one + size_two - joint - 1
    return np.where(either > 0, (joint - 1) / np.maximum(either, 1), 1.0)


def best_jaccard(membership: Labels, other: Labels) -> npt.NDArray[np.float64]:
    """Return for each community its largest Jaccard index with any community of another partition.

    Returns
    -------
    float64, shape (n_communities,), within (0, 1], by number of the community in `membership`
    """
    joint, size_one, size_two = _overlaps(membership, other)
    best = np.zeros(int(membership.max(initial=-1)) + 1)
    np.maximum.at(best, membership, joint / (size_one + size_two - joint))
    return best


def _overlaps(one: Labels, two: Labels) -> tuple[Labels, Labels, Labels]:
    """Return per node the sizes of its two communities' intersection, of the first, and of the second."""
    second = _compact(two)
    _, place, joint = np.unique(
        one * (int(second.max(initial=-1)) + 1) + second, return_inverse=True, return_counts=True
    )
    return joint[place], np.bincount(one)[one], np.bincount(second)[second]


def _compact(labels: Labels) -> Labels:
    compact: Labels = (np.cumsum(np.bincount(labels) > 0) - 1)[labels]
    return compact


def _entropy(sizes: Labels) -> float:
    share = sizes / sizes.sum()
    return -float(np.sum(xlogy(share, share)))


def _expected(size_one: Labels, size_two: Labels) -> float:
    """Return the mean mutual information of random partitions with these sizes, in nats."""
    a, times_a = np.unique(size_one, return_counts=True)
    b, times_b = np.unique(size_two, return_counts=True)
    return float(_hypergeometric_sum(a, times_a, b, times_b, gammaln(np.arange(size_one.sum() + 2.0)), NEGLIGIBLE))


@numba.njit(cache=True, nogil=True)
def _hypergeometric_sum(a, times_a, b, times_b, log_gamma, negligible):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sum P(k) k / n log(n k / (a b)) over k, for each distinct pair of sizes, from the mode outward."""
    n = len(log_gamma) - 2
    total = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            x, y = a[i], b[j]
            low, high = max(0, x + y - n), min(x, y)
            mode = min(max((x + 1) * (y + 1) // (n + 2), low), high)
            at_mode = np.exp(
                log_gamma[x + 1] + log_gamma[y + 1] + log_gamma[n - x + 1] + log_gamma[n - y + 1]
                - log_gamma[n + 1] - log_gamma[mode + 1] - log_gamma[x - mode + 1] - log_gamma[y - mode + 1]
                - log_gamma[n - x - y + mode + 1]
            )  # fmt: skip
            inner = 0.0
            p, k = at_mode, mode
            while k <= high and p > negligible:
                if k > 0:
                    inner += p * k * np.log(n * k / (x * y))
                p *= (x - k) * (y - k) / ((k + 1) * (n - x - y + k + 1))
                k += 1
            p, k = at_mode, mode
            while k > low:
                p *= k * (n - x - y + k) / ((x - k + 1) * (y - k + 1))
                k -= 1
                if p <= negligible or k == 0:
                    break
                inner += p * k * np.log(n * k / (x * y))
            total += times_a[i] * times_b[j] * inner / n
    return total
