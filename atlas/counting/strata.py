"""Strata: the spans of documents, or vocabulary items, within which features are expected to be independent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.firings import Shard

SPAN = 512
"""Longest stratum in tokens: longer documents are cut, since topics drift."""


def span_labels(document: npt.NDArray[np.integer], *, span: int = SPAN) -> npt.NDArray[np.int32]:
    """Return the stratum of each token: its document, cut into equal parts of at most `span` tokens.

    Parameters
    ----------
    document
        Document of each token, shape (N,); the tokens of a document stand together.
    span
        Longest stratum, in tokens.

    Returns
    -------
    int32, shape (N,)
        Strata numbered 0, 1, ... in corpus order; equal numbers stand together.
    """
    document = np.asarray(document)
    if len(document) == 0:
        return np.zeros(0, np.int32)
    starts = np.flatnonzero(np.diff(document, prepend=document[0] - 1))
    lengths = np.diff(starts, append=len(document))
    parts = -(-lengths // span)
    within = np.arange(len(document)) - np.repeat(starts, lengths)
    part = within * np.repeat(parts, lengths) // np.repeat(lengths, lengths)
    first = np.concatenate([[0], np.cumsum(parts)[:-1]])
    labels: npt.NDArray[np.int32] = (np.repeat(first, lengths) + part).astype(np.int32)
    return labels


@dataclass(frozen=True)
class _Part:
    """Firings per stratum on some of the tokens: `rows` are the strata, ascending, `indptr` theirs, as in CSR.

    Within a row the features ascend. A count needs 32 bits, since a run has fewer than 2^32 tokens.
    """

    rows: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    features: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint32]


def stratified_counts(
    shards: Iterable[Shard], labels: npt.NDArray[np.integer], *, n_strata: int, d_sae: int
) -> scipy.sparse.csr_matrix:
    """Return how often each feature fires in each stratum.

    Each shard is sorted into a part by counting, O(n + nnz + d_sae); parts of about one size are merged, so
    that an entry is copied O(log n_shards) times. Memory holds about twice the result.

    Parameters
    ----------
    shards
        The firings, in corpus order.
    labels
        Stratum of each token, shape (N,), in any order; tokens with a negative label are left out.

    Returns
    -------
    CSR of int64, shape (n_strata, d_sae)
        Sorted indices, no stored zeros.
    """
    parts: list[_Part] = []
    first = 0
    for shard in shards:
        parts.append(_part(shard, labels[first : first + shard.n_tokens], d_sae))
        first += shard.n_tokens
        while len(parts) > 1 and len(parts[-2].features) <= 2 * len(parts[-1].features):
            _merge_last(parts)
    while len(parts) > 1:
        _merge_last(parts)
    none = np.zeros(0, np.int64)
    whole = parts[0] if parts else _Part(none, np.zeros(1, np.int64), none.astype(np.int32), none.astype(np.uint32))
    indptr = np.zeros(n_strata + 1, np.int64)
    indptr[whole.rows + 1] = np.diff(whole.indptr)
    return scipy.sparse.csr_matrix(
        (whole.counts.astype(np.int64), whole.features, np.cumsum(indptr)), shape=(n_strata, d_sae)
    )


def _part(shard: Shard, labels: npt.NDArray[np.integer], d_sae: int) -> _Part:
    """Return the part of one shard."""
    rows, place = np.unique(labels, return_inverse=True)
    left_out = int(np.searchsorted(rows, 0))
    place = place.ravel() - left_out
    starts, features, counts, used = _count(shard.indptr, shard.ids, place, len(rows) - left_out, d_sae)
    indptr = np.concatenate([[0], np.cumsum(used)])
    keep = np.repeat(starts[:-1] - indptr[:-1], used) + np.arange(indptr[-1])
    return _Part(rows[left_out:].astype(np.int64), indptr, features[keep], counts[keep])


def _merge_last(parts: list[_Part]) -> None:
    """Replace the last two parts by their sum."""
    two, one = parts.pop(), parts.pop()
    rows = np.union1d(one.rows, two.rows)
    ends, features, counts = _merge(
        rows, one.rows, one.indptr, one.features, one.counts, two.rows, two.indptr, two.features, two.counts
    )
    if ends[-1] < 0.9 * len(features):  # many entries of both: give back what they left free
        features, counts = features[: ends[-1]].copy(), counts[: ends[-1]].copy()
    parts.append(_Part(rows, ends, features[: ends[-1]], counts[: ends[-1]]))


@numba.njit(cache=True, nogil=True)
def _count(indptr, ids, place, n_rows, d_sae):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return each row's features, ascending, with their counts, from `starts[row]` on, and how many they are.

    Firings are put in order of feature, and from there into their rows: two sorts by counting.
    """
    by_feature = np.zeros(d_sae + 1, np.int64)
    starts = np.zeros(n_rows + 1, np.int64)
    for t in range(len(place)):
        if place[t] >= 0:
            starts[place[t] + 1] += indptr[t + 1] - indptr[t]
            for k in range(indptr[t], indptr[t + 1]):
                by_feature[ids[k] + 1] += 1
    for i in range(d_sae):
        by_feature[i + 1] += by_feature[i]
    for r in range(n_rows):
        starts[r + 1] += starts[r]
    row_of = np.empty(starts[n_rows], np.int32)
    free = by_feature[:-1].copy()
    for t in range(len(place)):
        if place[t] >= 0:
            for k in range(indptr[t], indptr[t + 1]):
                row_of[free[ids[k]]] = place[t]
                free[ids[k]] += 1
    features = np.empty(starts[n_rows], np.int32)
    counts = np.empty(starts[n_rows], np.uint32)
    used = np.zeros(n_rows, np.int64)
    for i in range(d_sae):
        for k in range(by_feature[i], by_feature[i + 1]):
            r = row_of[k]
            at = starts[r] + used[r]
            if used[r] > 0 and features[at - 1] == i:
                counts[at - 1] += 1
            else:
                features[at], counts[at] = i, 1
                used[r] += 1
    return starts, features, counts, used


@numba.njit(cache=True, nogil=True)
def _merge(rows, a_rows, a_indptr, a_features, a_counts, b_rows, b_indptr, b_features, b_counts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the row pointer, features and counts of the sum of two parts, over the rows of either."""
    features = np.empty(len(a_features) + len(b_features), np.int32)
    counts = np.empty(len(features), np.uint32)
    ends = np.zeros(len(rows) + 1, np.int64)
    at, a, b = 0, 0, 0
    for r in range(len(rows)):
        i, i_end, j, j_end = 0, 0, 0, 0
        if a < len(a_rows) and a_rows[a] == rows[r]:
            i, i_end = a_indptr[a], a_indptr[a + 1]
            a += 1
        if b < len(b_rows) and b_rows[b] == rows[r]:
            j, j_end = b_indptr[b], b_indptr[b + 1]
            b += 1
        while i < i_end or j < j_end:
            from_a = j == j_end or (i < i_end and a_features[i] <= b_features[j])
            from_b = i == i_end or (j < j_end and b_features[j] <= a_features[i])
            features[at] = a_features[i] if from_a else b_features[j]
            counts[at] = (a_counts[i] if from_a else np.uint32(0)) + (b_counts[j] if from_b else np.uint32(0))
            i += from_a
            j += from_b
            at += 1
        ends[r + 1] = at
    return ends, features, counts
