"""The CPU backends pass the list of every backend, and agree with scipy whatever the order, chunks and threads."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
import scipy.sparse
from contract import RULES, CounterContract, Firing, draw, oracle, pack
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.counting.by_feature import bands, row_pointer
from atlas.counting.counter import INT32_TOKENS, Counter
from atlas.counting.ranked import pairs_of_rows
from atlas.counting.reference import ReferenceCounter
from atlas.counting.scheme import Scheme
from atlas.counting.sparse import SparseCounter
from atlas.counting.triangle import TriangleCounter, cell_bytes, rows_that_fit
from atlas.errors import CapacityError, InputError


class TestTriangle(CounterContract):
    def make(self, scheme: Scheme, **options: Any) -> Counter:
        return TriangleCounter(scheme, **options)

    def pretend(self, counter: Counter, times: int) -> None:
        assert isinstance(counter, TriangleCounter)
        counter._cells *= times
        counter._firing_count *= times
        counter.covered = ((counter.covered[0][0], counter.covered[0][0] + times),)


class TestSparse(CounterContract):
    def make(self, scheme: Scheme, **options: Any) -> Counter:
        return SparseCounter(scheme, **options)

    def test_counts_past_two_to_the_31(self) -> None:
        """Fault 44: what would pass 2^31 tokens is refused, and nothing is counted; finished counts merge further."""
        counter = self.counted(Scheme(np.arange(2)), pack([[0, 1]]))
        counter.covered = ((0, INT32_TOKENS),)
        with pytest.raises(InputError, match="2147483647 tokens"):
            counter.update(**pack([[0, 1]]), first_token=INT32_TOKENS)
        with pytest.raises(InputError, match="2147483647 tokens"):
            counter.merge(self.counted(counter.scheme, pack([[0, 1]]), first_token=INT32_TOKENS))


def scipy_counts(firing: Firing, d: int) -> scipy.sparse.csr_matrix:
    """Return the int64 product's upper triangle, by feature."""
    ones = np.ones(len(firing["ids"]), np.int64)
    dense = scipy.sparse.csr_matrix((ones, firing["ids"], firing["indptr"]), shape=(len(firing["indptr"]) - 1, d))
    product = scipy.sparse.triu(dense.T @ dense, 1).tocsr()
    product.sort_indices()
    return product


worlds = st.integers(1, 12).flatmap(
    lambda d: st.tuples(
        st.just(d),
        st.lists(st.lists(st.integers(0, d - 1), unique=True, max_size=d), max_size=25),
        st.permutations(range(d)),
        st.integers(1, 4),
    )
)


@pytest.mark.parametrize("backend", [TriangleCounter, SparseCounter, ReferenceCounter])
@settings(max_examples=40)
@given(worlds)
def test_finalize_equals_scipy(backend: type[Counter], world: tuple[int, list[list[int]], list[int], int]) -> None:
    """By feature, sorted, entry by entry equal to the int64 product, whatever the permutation and the threads."""
    d, tokens, order, threads = world
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    counter = backend(Scheme(np.array(order)))
    counter.update(**pack(tokens))
    counts, expected = counter.finalize(), scipy_counts(pack(tokens), d)
    assert np.array_equal(counts.indptr, expected.indptr)
    assert np.array_equal(counts.columns, expected.indices)
    assert np.array_equal(counts.joint_count, expected.data)


@pytest.mark.parametrize("memory", [1, 3000, 2**20])
@pytest.mark.parametrize("d", [50, 700])
def test_bands_of_any_size_give_the_sorted_pairs_with_rules_and_sums(d: int, memory: int) -> None:
    """Bands join up to what one band holds, and equal the dense products by feature; sums keep their sides."""
    firing = draw(d, 120, 15, 8, bits=2, sums=True)
    scheme = Scheme(np.random.default_rng(4).permutation(d), RULES[:3], True)
    counter = SparseCounter(scheme)
    counter.update(**firing)
    counted = counter.counted()
    found = list(bands(counted, row_pointer(counted), memory=memory))
    whole = counter.finalize()
    assert (found[0].low, found[-1].high) == (0, d)
    assert len(found) > 1 or memory == 2**20
    names = ("columns", "joint_count", "joint_sum")
    columns, joint, sums = (np.concatenate([getattr(band, name) for band in found], axis=-1) for name in names)
    by_rank, by_rank_sums = oracle(scheme, firing)
    rank = scheme.rank.astype(np.int64)
    a, b = np.nonzero(np.triu(by_rank[0][np.ix_(rank, rank)], 1))
    assert np.array_equal(whole.rows, a)
    assert np.array_equal(whole.columns, b)
    assert np.array_equal(columns, b)
    assert np.array_equal(joint, by_rank[:, rank[a], rank[b]])
    assert np.array_equal(sums, by_rank_sums[:, rank[a], rank[b]])
    assert np.array_equal(whole.further["joint_sum_b"], sums[1])
    assert np.array_equal(whole.further["joint_count:rel:0.5"], joint[2])


@pytest.mark.parametrize("n_rules", [4, 5])
def test_packed_counters_do_not_run_over(n_rules: int) -> None:
    """Pairs that meet on more tokens than a field of a packed counter holds are counted to the unit, by every rule."""
    n = 70_000
    scheme = Scheme(np.array([1, 0, 2]), ("any", "abs:1", "abs:2", "abs:3", "abs:4")[:n_rules], True)
    counter = SparseCounter(scheme)
    level = np.tile(np.array([2, 3, 0], np.uint8), n)
    indptr, ids = np.arange(n + 1) * 3, np.tile(np.arange(3, dtype=np.int32), n)
    counter.update(indptr, ids, level, np.tile(np.array([5, 7, 11]), n))
    for prune in (1, n):
        (block,) = [block for block in counter.ranked(prune=prune) if block.n_pairs]
        assert block.columns.tolist() == [0, 0, 1]
        assert block.joint_count.tolist() == [[n] * 3, [0] * 3, [n, 0, 0], *[[0] * 3] * (n_rules - 3)]
        assert block.joint_sum.tolist() == [[5 * n, 11 * n, 11 * n], [7 * n, 7 * n, 5 * n]]


@pytest.mark.parametrize("backend", [TriangleCounter, SparseCounter])
def test_any_number_of_threads_gives_the_same_rows(backend: type[Counter]) -> None:
    """Rows are independent: two threads emit the bytes that one does."""
    firing = draw(300, 400, 20, 9, bits=1, sums=True)
    scheme = Scheme(np.random.default_rng(5).permutation(300), RULES[:2], True)
    results = []
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(threads)
        counter = backend(scheme)
        counter.update(**firing)
        results.append([np.concatenate([getattr(block, name) for block in counter.ranked()], axis=-1).tobytes()
                        for name in ("columns", "joint_count", "joint_sum")])  # fmt: skip
    assert all(result == results[0] for result in results)


def test_a_million_features_take_no_triangle() -> None:
    """d = 1,000,000: sparse rows hold what was seen, and what is pruned is pruned on final counts."""
    d = 1_000_000
    scheme = Scheme(np.random.default_rng(6).permutation(d))
    counter = SparseCounter(scheme)
    for k in range(3):
        counter.update(np.array([0, 3, 5]), np.array([0, 7, 999_999, 5, 999_999 - k], np.int32), first_token=2 * k)
    counts = counter.finalize()
    found = set(zip(counts.rows.tolist(), counts.columns.tolist(), counts.joint_count.tolist(), strict=True))
    assert found == {
        (0, 7, 3), (0, 999_999, 3), (7, 999_999, 3), (5, 999_999, 1), (5, 999_998, 1), (5, 999_997, 1),
    }  # fmt: skip
    assert sum(block.n_pairs for block in counter.ranked(prune=2)) == 3


def test_too_little_memory_says_what_would_fit() -> None:
    """Fault 25: the error names the ranks that fit."""
    with pytest.raises(CapacityError, match="GiB") as caught:
        TriangleCounter(Scheme(np.arange(1000)), memory=4 * 4950)
    assert "ranks 0 to 100" in caught.value.remedy


@given(st.integers(0, 500), st.integers(0, 100000), st.integers(0, 3), st.booleans())
def test_rows_that_fit_are_the_most_that_do(low: int, memory: int, bits: int, sums: bool) -> None:
    """One more row would not fit."""
    scheme = Scheme(np.arange(1000), ("any", "abs:1", "abs:2", "abs:3")[: bits + 1], sums)
    high = rows_that_fit(scheme, low, memory)
    assert high >= low
    assert cell_bytes(scheme) * pairs_of_rows(low, high) <= memory
    assert cell_bytes(scheme) * pairs_of_rows(low, high + 1) > memory


@pytest.mark.parametrize("backend", [TriangleCounter, SparseCounter])
def test_a_row_pointer_that_falls_and_levels_of_no_rule_are_refused(backend: type[Counter]) -> None:
    """Kernels trust places and levels: what they cannot be is refused before, and nothing is counted."""
    counter = backend(Scheme(np.arange(9), ("any", "abs:1")))
    ids, level = np.arange(8, dtype=np.int32), np.zeros(8, np.uint8)
    with pytest.raises(InputError, match="falls at token 1"):
        counter.update(np.array([0, 5, 3, 8]), ids, level)
    with pytest.raises(InputError, match="level 2, expected below 2"):
        counter.update(np.array([0, 5, 8]), ids, level + np.uint8(2))
    assert (counter.n_tokens, counter.firing_count.sum()) == (0, 0)


def test_activations_too_large_for_the_fixed_point_are_refused() -> None:
    """A sum must not wrap: what does not fit in 31 bits is named, and nothing is counted."""
    for backend in (TriangleCounter, SparseCounter):
        counter = backend(Scheme(np.arange(3), sums=True))
        with pytest.raises(InputError, match="fixed point"):
            counter.update(np.array([0, 2]), np.array([0, 1], np.int32), None, np.array([1, 2**31]))
        assert counter.n_tokens == 0
