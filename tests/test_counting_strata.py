"""Strata: documents cut into spans, and how often each feature fires in each."""

from __future__ import annotations

import numpy as np
from contract import pack
from hypothesis import given
from hypothesis import strategies as st

from atlas.counting.strata import span_labels, stratified_counts
from atlas.shards import Shard


def test_documents_are_cut_into_equal_spans() -> None:
    """A document of 5 with spans of 2 gives parts of 2, 2 and 1; the next document starts anew."""
    assert span_labels(np.array([7, 7, 7, 7, 7, 9]), span=2).tolist() == [0, 0, 1, 1, 2, 3]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(2, 12))
def test_spans_never_cross_documents_nor_exceed_their_length(lengths: list[int], span: int) -> None:
    """Each stratum lies in one document, has at most `span` tokens, and equal parts differ by one."""
    document = np.repeat(np.arange(len(lengths)), lengths)
    labels = span_labels(document, span=span)
    assert np.array_equal(np.unique(labels), np.arange(labels[-1] + 1))
    for label in np.unique(labels):
        assert len(np.unique(document[labels == label])) == 1
        assert (labels == label).sum() <= span
    for one in range(len(lengths)):
        sizes = np.unique(labels[document == one], return_counts=True)[1]
        assert sizes.max() - sizes.min() <= 1


def test_stratified_counts_by_hand() -> None:
    """Firings are added per stratum over shards; tokens with a negative label are left out."""

    def shard(tokens: list[list[int]]) -> Shard:
        indptr, ids = pack(tokens).values()
        n = np.zeros(len(tokens), np.int32)
        return Shard(n, n, n, indptr, ids, np.ones(len(ids), np.float32))

    shards = [shard([[0, 1], [1]]), shard([[1, 2], [0]])]
    counts = stratified_counts(shards, np.array([0, 0, 0, -1]), n_strata=2, d_sae=3)
    assert counts.toarray().tolist() == [[1, 3, 1], [0, 0, 0]]
