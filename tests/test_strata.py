"""Firings per stratum: the same numbers however the tokens are cut and the strata are numbered."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract import pack
from hypothesis import given
from hypothesis import strategies as st
from worlds import shards_of

from atlas.counting.strata import span_labels, stratified_counts
from atlas.shards import Shard


def brute(firing: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], n_strata: int) -> np.ndarray[Any, Any]:
    out = np.zeros((n_strata, firing.shape[1]), np.int64)
    for token, label in enumerate(labels):
        if label >= 0:
            out[label] += firing[token]
    return out


@given(st.data())
def test_counts_equal_brute_force(data: st.DataObject) -> None:
    """Any labels, left-out tokens and empty strata among them, and any cut into shards."""
    n, d = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 8))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    firing = rng.random((n, d)) < data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    n_strata = data.draw(st.integers(1, 6))
    labels = rng.integers(-1, n_strata, n)
    shards = shards_of(firing, np.zeros(n), seed=0, size=data.draw(st.integers(1, 40)))
    found = stratified_counts(iter(shards), labels, n_strata=n_strata, d_sae=d)
    assert found.toarray().tolist() == brute(firing, labels, n_strata).tolist()
    assert found.data.dtype == np.int64
    assert found.has_canonical_format
    assert (found.data > 0).all()


def test_strata_that_cross_shards_are_added_up() -> None:
    """Spans of documents over 40 shards of 7 tokens: as of one shard."""
    rng = np.random.default_rng(3)
    firing = rng.random((280, 30)) < 0.2
    document = np.sort(rng.integers(0, 5, 280))
    labels = span_labels(document, span=16)
    counts = [
        stratified_counts(
            shards_of(firing, document, seed=0, size=size), labels, n_strata=int(labels[-1]) + 1, d_sae=30
        )
        for size in (7, 280)
    ]
    assert (counts[0] != counts[1]).nnz == 0
    assert counts[0].sum() == firing.sum()


def test_no_tokens_give_an_empty_matrix() -> None:
    """Of the shape that was asked for."""
    found = stratified_counts([], np.zeros(0, np.int64), n_strata=3, d_sae=5)
    assert found.shape == (3, 5)
    assert found.nnz == 0


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
