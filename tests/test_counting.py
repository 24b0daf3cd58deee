"""Counts are exact: solved by hand, against scipy's int64, and independent of how the work was cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from atlas.counting.rowwise import RowwiseCounter, assemble, rows_that_fit, triangle_size
from atlas.counting.strata import span_labels, stratified_counts
from atlas.errors import CapacityError, InputError
from atlas.firings import Shard

Tokens = list[list[int]]


def pack(tokens: Tokens) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    indptr = np.concatenate([[0], np.cumsum([len(ids) for ids in tokens])]).astype(np.int64)
    return indptr, np.array([i for ids in tokens for i in sorted(ids)], np.int32)


def oracle(tokens: Tokens, d: int) -> scipy.sparse.csr_matrix:
    indptr, ids = pack(tokens)
    dense = scipy.sparse.csr_matrix((np.ones(len(ids), np.int64), ids, indptr), shape=(len(tokens), d))
    product = scipy.sparse.triu(dense.T @ dense, 1).tocsr()
    product.sort_indices()
    return product


worlds = st.integers(1, 12).flatmap(
    lambda d: st.tuples(
        st.just(d),
        st.lists(st.lists(st.integers(0, d - 1), unique=True, max_size=d), max_size=25),
        st.permutations(range(d)),
    )
)


def test_three_tokens_by_hand() -> None:
    """{0,1,2}, {1,2}, {} : 1 and 2 meet twice, 0 meets each once."""
    counter = RowwiseCounter(np.array([2, 0, 1, 3]))
    counter.update(*pack([[0, 1, 2], [1, 2], []]))
    counts = counter.finalize()
    assert counts.firing_count.tolist() == [1, 2, 2, 0]
    assert list(zip(counts.rows.tolist(), counts.columns.tolist(), counts.joint_count.tolist(), strict=True)) == [
        (0, 1, 1),
        (0, 2, 1),
        (1, 2, 2),
    ]
    assert counts.joint_count.dtype == np.int64


@given(worlds)
def test_equal_to_scipy_for_any_order_of_features(world: tuple[int, Tokens, list[int]]) -> None:
    """Entry by entry equal to the int64 product, whatever the permutation."""
    d, tokens, order = world
    counter = RowwiseCounter(np.array(order))
    counter.update(*pack(tokens))
    counts = counter.finalize()
    expected = oracle(tokens, d)
    assert np.array_equal(counts.indptr, expected.indptr)
    assert np.array_equal(counts.columns, expected.indices)
    assert np.array_equal(counts.joint_count, expected.data)


@given(worlds, st.integers(0, 25), st.integers(0, 12))
def test_independent_of_chunks_merges_and_row_panels(
    world: tuple[int, Tokens, list[int]], cut: int, panel: int
) -> None:
    """Two updates, a merge of two counters, and two row panels all give the one result."""
    d, tokens, order = world
    cut, panel = min(cut, len(tokens)), min(panel, d)
    whole, first, second = (RowwiseCounter(np.array(order)) for _ in range(3))
    whole.update(*pack(tokens[:cut]))
    whole.update(*pack(tokens[cut:]))
    first.update(*pack(tokens[:cut]))
    second.update(*pack(tokens[cut:]))
    second.merge(first)
    parts = []
    for rows in ((0, panel), (panel, d)):
        part = RowwiseCounter(np.array(order), rows=rows)
        part.update(*pack(tokens))
        parts.append(part.pairs())
    one = whole.finalize()
    for other in (second.finalize(), assemble(one.firing_count, parts)):
        for name, array in one.arrays().items():
            assert np.array_equal(array, other.arrays()[name]), name


def test_an_id_twice_in_a_token_is_refused() -> None:
    """A doubled id would count a feature with itself."""
    with pytest.raises(InputError, match="token 1 names a feature twice"):
        RowwiseCounter(np.arange(3)).update(np.array([0, 1, 3]), np.array([2, 1, 1]))


def test_an_id_out_of_range_is_refused() -> None:
    """Widths are stored, never inferred from the largest id."""
    with pytest.raises(InputError, match=r"expected 0\.\.2"):
        RowwiseCounter(np.arange(3)).update(np.array([0, 1]), np.array([3]))


def test_counters_of_another_order_refuse_to_merge() -> None:
    """Fault 43: partial counts only merge where their rows mean the same."""
    with pytest.raises(InputError, match="rank the features differently"):
        RowwiseCounter(np.arange(3)).merge(RowwiseCounter(np.array([1, 0, 2])))


def test_more_tokens_than_a_counter_holds_are_refused() -> None:
    """Fault 44: int32 counters are safe below 2^31 tokens, and no further is counted."""
    counter = RowwiseCounter(np.arange(2))
    counter.n_tokens = 2**31 - 1
    with pytest.raises(InputError, match="2147483647"):
        counter.update(np.array([0, 1]), np.array([0]))


def test_too_little_memory_says_what_would_fit() -> None:
    """Fault 25: the error names the ranks that fit."""
    with pytest.raises(CapacityError, match="GiB") as caught:
        RowwiseCounter(np.arange(1000), memory=4 * 4950)
    assert "ranks 0 to 100" in caught.value.remedy


@given(st.integers(0, 500), st.integers(0, 100000))
def test_rows_that_fit_are_the_most_that_do(low: int, memory: int) -> None:
    """One more row would not fit."""
    high = rows_that_fit(low, memory)
    assert high >= low
    assert 4 * triangle_size(low, high) <= memory
    assert 4 * triangle_size(low, high + 1) > memory


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

    def shard(tokens: Tokens) -> Shard:
        indptr, ids = pack(tokens)
        n = np.zeros(len(tokens), np.int32)
        return Shard(n, n, n, indptr, ids, np.ones(len(ids), np.float32))

    shards = [shard([[0, 1], [1]]), shard([[1, 2], [0]])]
    counts = stratified_counts(shards, np.array([0, 0, 0, -1]), n_strata=2, d_sae=3)
    assert counts.toarray().tolist() == [[1, 3, 1], [0, 0, 0]]
