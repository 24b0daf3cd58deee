"""Strata: the spans of documents, or vocabulary items, within which features are expected to be independent."""

from __future__ import annotations

from collections.abc import Iterable

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


def stratified_counts(
    shards: Iterable[Shard], labels: npt.NDArray[np.integer], *, n_strata: int, d_sae: int
) -> scipy.sparse.csr_matrix:
    """Return how often each feature fires in each stratum.

    Parameters
    ----------
    shards
        The firings, in corpus order.
    labels
        Stratum of each token, shape (N,); tokens with a negative label are left out.

    Returns
    -------
    CSR of int64, shape (n_strata, d_sae)
        Sorted indices, no stored zeros.
    """
    shape = (n_strata, d_sae)
    none = np.zeros(0, np.int64)
    total: scipy.sparse.csr_matrix = scipy.sparse.csr_matrix((none, (none, none)), shape=shape)
    first = 0
    for shard in shards:
        stratum = np.repeat(labels[first : first + shard.n_tokens], np.diff(shard.indptr))
        first += shard.n_tokens
        keep = stratum >= 0
        part = scipy.sparse.coo_matrix(
            (np.ones(int(keep.sum()), np.int64), (stratum[keep], shard.ids[keep])), shape=shape
        )
        total = total + part.tocsr()
    total.sort_indices()
    return total
