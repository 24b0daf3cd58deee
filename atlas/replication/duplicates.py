"""Near-duplicate documents: found by MinHash, confirmed by their shingles, and counted as one."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet

from atlas.firings import Firings
from atlas.tracking import Track, untracked

SHINGLE = 5
"""Consecutive tokens of a shingle."""
THRESHOLD = 0.5
"""Jaccard index of the shingles from which two documents are near duplicates."""
BANDS, ROWS = 42, 3
"""Of the MinHash: two documents of Jaccard index j share a band with probability 1 - (1 - j^3)^42."""
_CHUNK = 2**14
_MULTIPLIER = 0x9E3779B97F4A7C15


def document_groups(firings: Firings, *, track: Track = untracked) -> npt.NDArray[np.int64]:
    """Return the group of each document, in order of their first tokens: near duplicates have the same.

    Two documents are near duplicates where the Jaccard index of their sets of five consecutive tokens is .5 or
    more; a shorter document has one shingle, itself. Groups are what is connected by that. Candidates are those
    that share a band of three MinHashes out of 42, which misses 4 in 1,000 pairs at the threshold and 5 in 100,000
    at .6; each candidate is compared exactly. It says whether documents share their wording, not whether they say
    the same.

    Parameters
    ----------
    track
        Told of the documents read.

    Returns
    -------
    int64, shape (n_documents,)
        Numbers from 0 without gaps, by the first document of each group. Documents are those of `document_starts`.

    References
    ----------
    Broder 1997, doi:10.1109/SEQUEN.1997.666900.
    """
    from datasketch import MinHash, MinHashLSH  # takes a second to import

    starts = document_starts(firings.document)
    n = len(starts) - 1
    groups = DisjointSet(range(n))
    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    empty = MinHash(num_perm=BANDS * ROWS, hashfunc=int, scheme="affine64")

    def shingles(document: int) -> npt.NDArray[np.uint64]:
        return _shingles(np.asarray(firings.token_id[starts[document] : starts[document + 1]]))

    known: dict[bytes, int] = {}
    with track("near duplicates", total=n, unit="documents") as advance:
        for document in range(n):
            advance(1)
            own = shingles(document)
            same = known.setdefault(hashlib.blake2b(own.tobytes(), digest_size=16).digest(), document)
            if same != document:
                groups.merge(document, same)
                continue
            sketch = empty.copy()
            for low in range(0, len(own), _CHUNK):
                sketch.update_batch(own[low : low + _CHUNK].tolist())
            for other in index.query(sketch):
                if not groups.connected(document, other) and _jaccard(own, shingles(other)) >= THRESHOLD:
                    groups.merge(document, other)
            index.insert(document, sketch)
    first = np.array([groups[document] for document in range(n)], np.int64)
    return _numbered(first)


def document_starts(document: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return where each document begins, and where the last ends: int64, shape (n_documents + 1,)."""
    number = np.asarray(document)
    return np.concatenate([np.flatnonzero(np.diff(number, prepend=-1)), [len(number)]]).astype(np.int64)


def _shingles(tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """Return a number of 64 bits for each distinct shingle, ascending."""
    width = min(SHINGLE, len(tokens))
    hashed = np.zeros(len(tokens) - width + 1, np.uint64)
    for place in range(width):
        hashed = hashed * np.uint64(_MULTIPLIER) + tokens[place : len(tokens) - width + 1 + place].astype(np.uint64)
        hashed ^= hashed >> np.uint64(29)
    return np.unique(hashed)


def _jaccard(some: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(some, others, assume_unique=True))
    return shared / (len(some) + len(others) - shared)


def _numbered(group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the groups numbered from 0 by their first document."""
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
