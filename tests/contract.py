"""What every counting backend must do: one list of tests, which needs numpy and pytest alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from atlas.counting.counter import INT32_TOKENS, Counter
from atlas.counting.ranked import Ranked
from atlas.counting.scheme import Scheme
from atlas.errors import InputError

Firing = dict[str, np.ndarray[Any, Any]]
RULES = ("any", "abs:1", "rel:0.5", "abs:2")


def pack(tokens: list[list[int]]) -> Firing:
    """Return tokens written as lists in the form that counters take."""
    indptr = np.concatenate([[0], np.cumsum([len(ids) for ids in tokens])]).astype(np.int64)
    return {"indptr": indptr, "ids": np.array([i for ids in tokens for i in ids], np.int32)}


def draw(d: int, n: int, l0: float, seed: int, *, bits: int = 0, sums: bool = False) -> Firing:
    """Return random tokens with about `l0` firings of `d` features, a few of them empty, some features hot."""
    rng = np.random.default_rng(seed)
    density = np.minimum(rng.lognormal(0, 1.2, d), 8)
    fires = rng.random((n, d)) < np.minimum(density / density.sum() * l0, 0.95)
    fires[rng.random(n) < 0.05] = False
    token, ids = np.nonzero(fires)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(token, minlength=n))]).astype(np.int64)
    firing: Firing = {"indptr": indptr, "ids": ids.astype(np.int32)}
    if bits:
        firing["levels"] = rng.integers(0, 2**bits, len(ids)).astype(np.uint8)
    if sums:
        firing["amounts"] = rng.integers(0, 2**14, len(ids)).astype(np.int64)
    return firing


def part(firing: Firing, start: int, stop: int) -> Firing:
    """Return the tokens from `start` to `stop`."""
    indptr = firing["indptr"]
    cut = slice(indptr[start], indptr[stop])
    rest = {name: array[cut] for name, array in firing.items() if name != "indptr"}
    return {"indptr": indptr[start : stop + 1] - indptr[start], **rest}


def oracle(scheme: Scheme, firing: Firing) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return joint counts (n_rules, d, d) and sums (2, d, d) by rank, from dense int64 products."""
    d, n = scheme.d_sae, len(firing["indptr"]) - 1
    token = np.repeat(np.arange(n), np.diff(firing["indptr"]))
    rank = scheme.rank[firing["ids"]].astype(np.int64)
    counts = []
    for rule in range(len(scheme.rules)):
        dense = np.zeros((n, d), np.int64)
        dense[token, rank] = 1 if rule == 0 else firing["levels"] >> (rule - 1) & 1
        counts.append(dense.T @ dense)
    fired, amount = np.zeros((2, n, d), np.int64)
    fired[token, rank] = 1
    if scheme.sums:
        amount[token, rank] = firing["amounts"]
    return np.stack(counts), np.stack([amount.T @ fired, fired.T @ amount])


def dense(scheme: Scheme, blocks: list[Ranked]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the blocks' counts and sums as dense lower triangles, after checking their form."""
    d = scheme.d_sae
    joint = np.zeros((len(scheme.rules), d, d), np.int64)
    sums = np.zeros((2, d, d), np.int64)
    for block in blocks:
        assert (block.indptr.dtype, block.columns.dtype, block.joint_count.dtype) == (np.int64, np.uint32, np.int64)
        assert block.joint_count.shape == (len(scheme.rules), block.n_pairs)
        assert block.joint_sum.shape == (2, block.n_pairs if scheme.sums else 0)
        assert (block.joint_count[0] > 0).all()
        for k in range(block.high - block.low):
            columns = block.columns[block.indptr[k] : block.indptr[k + 1]].astype(np.int64)
            assert len(np.unique(columns)) == len(columns)
            assert (columns < block.low + k).all()
            joint[:, block.low + k, columns] = block.joint_count[:, block.indptr[k] : block.indptr[k + 1]]
            if scheme.sums:
                sums[:, block.low + k, columns] = block.joint_sum[:, block.indptr[k] : block.indptr[k + 1]]
    return joint, sums


class CounterContract:
    """Inherited by the tests of each backend, which say how to make its counter."""

    def make(self, scheme: Scheme, **options: Any) -> Counter:
        raise NotImplementedError

    def counted(self, scheme: Scheme, *firings: Firing, **options: Any) -> Counter:
        counter = self.make(scheme, **options)
        for firing in firings:
            counter.update(**firing)
        return counter

    def check(self, scheme: Scheme, counter: Counter, firing: Firing) -> None:
        joint, sums = oracle(scheme, firing)
        found, found_sums = dense(scheme, list(counter.ranked()))
        assert np.array_equal(found, np.tril(joint, -1))
        if scheme.sums:
            assert np.array_equal(found_sums, np.tril(sums, -1))
        singles = joint[:, scheme.rank.astype(np.int64), scheme.rank.astype(np.int64)]
        assert np.array_equal(counter.firing_count, singles)

    def same(self, a: Counter, b: Counter) -> None:
        assert np.array_equal(a.firing_count, b.firing_count)
        for x, y in zip(dense(a.scheme, list(a.ranked())), dense(b.scheme, list(b.ranked())), strict=True):
            assert np.array_equal(x, y)

    def test_three_tokens_by_hand(self) -> None:
        """{0,1,2}, {1,2}, {}: with ranks 2, 0, 1 features 1 and 2 meet twice, 0 meets each once."""
        counter = self.counted(Scheme(np.array([2, 0, 1, 3])), pack([[0, 1, 2], [2, 1], []]))
        assert counter.firing_count.tolist() == [[1, 2, 2, 0]]
        assert counter.n_tokens == 3
        found, _ = dense(counter.scheme, list(counter.ranked()))
        assert found[0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]]

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize(("d", "n", "l0"), [(1, 5, 0.5), (2, 9, 1), (7, 40, 3), (90, 300, 12), (700, 60, 40)])
    def test_equal_to_the_dense_product_for_any_order(self, d: int, n: int, l0: float, seed: int) -> None:
        """Entry by entry equal to the int64 product, whatever the permutation."""
        firing = draw(d, n, l0, seed)
        scheme = Scheme(np.random.default_rng(seed + 100).permutation(d))
        self.check(scheme, self.counted(scheme, firing), firing)

    @pytest.mark.parametrize("n_rules", [1, 2, 4])
    @pytest.mark.parametrize("sums", [False, True])
    def test_rules_and_sums_in_one_pass_equal_separate_passes(self, n_rules: int, sums: bool) -> None:
        """Each rule's counts are those of a pass over its firings alone; sums are exact integers."""
        firing = draw(60, 200, 9, 5, bits=n_rules - 1, sums=sums)
        scheme = Scheme(np.random.default_rng(1).permutation(60), RULES[:n_rules], sums)
        counter = self.counted(scheme, firing)
        self.check(scheme, counter, firing)
        together, _ = dense(scheme, list(counter.ranked()))
        for rule in range(1, n_rules):
            passing = (firing["levels"] >> (rule - 1) & 1).astype(bool)
            kept = np.concatenate([[0], np.cumsum(passing)])[firing["indptr"]]
            alone = self.counted(Scheme(scheme.order), {"indptr": kept, "ids": firing["ids"][passing]})
            separate, _ = dense(alone.scheme, list(alone.ranked()))
            assert np.array_equal(together[rule], separate[0])
            assert np.array_equal(counter.firing_count[rule], alone.firing_count[0])

    @pytest.mark.parametrize("cuts", [(), (0,), (1, 2, 3), (50, 50, 120), (199,)])
    def test_independent_of_chunks_and_of_the_order_of_merges(self, cuts: tuple[int, ...]) -> None:
        """One update, many updates, and merges in either order give one result."""
        firing = draw(40, 200, 7, 11, bits=1, sums=True)
        scheme = Scheme(np.random.default_rng(2).permutation(40), RULES[:2], True)
        bounds = [0, *cuts, 200]
        parts = [part(firing, start, stop) for start, stop in itertools.pairwise(bounds)]
        whole = self.counted(scheme, firing)
        self.same(whole, self.counted(scheme, *parts))
        for order in (1, -1):
            counters = [
                self.counted(scheme, some, first_token=start) for some, start in zip(parts, bounds, strict=False)
            ][::order]
            for other in counters[1:]:
                counters[0].merge(other)
            self.same(whole, counters[0])
            assert counters[0].covered == ((0, 200),)

    @pytest.mark.parametrize("panel", [0, 1, 17, 39, 40])
    def test_row_panels_partition_the_work(self, panel: int) -> None:
        """Two ranges of rows hold together what one counter of all rows does."""
        firing = draw(40, 150, 8, 3, bits=2)
        scheme = Scheme(np.random.default_rng(3).permutation(40), RULES[:3])
        blocks = []
        for rows in ((0, panel), (panel, 40)):
            counter = self.counted(scheme, firing, rows=rows)
            some = list(counter.ranked())
            assert (some[0].low, some[-1].high) == rows if some else rows[0] == rows[1]
            blocks += some
        assert np.array_equal(dense(scheme, blocks)[0], np.tril(oracle(scheme, firing)[0], -1))

    def test_pruning_is_exact_on_final_counts(self) -> None:
        """Pairs below the limit in every chunk and above it in all together are kept."""
        scheme = Scheme(np.arange(3))
        counter = self.counted(scheme, *[pack([[0, 1]])] * 4, *[pack([[1, 2]])] * 3)
        assert dense(scheme, list(counter.ranked(prune=4)))[0][0].tolist() == [[0, 0, 0], [4, 0, 0], [0, 0, 0]]
        assert counter.firing_count.tolist() == [[4, 7, 3]]

    def test_no_token_and_empty_tokens(self) -> None:
        """Nothing counted gives no pair; empty tokens are tokens."""
        counter = self.make(Scheme(np.arange(5)))
        assert dense(counter.scheme, list(counter.ranked()))[0].sum() == 0
        counter.update(**pack([]))
        counter.update(**pack([[], [], []]))
        assert (counter.n_tokens, counter.firing_count.sum()) == (3, 0)
        assert dense(counter.scheme, list(counter.ranked()))[0].sum() == 0

    def test_one_feature_tokens_make_no_pair(self) -> None:
        """A feature alone is counted, and meets nobody."""
        counter = self.counted(Scheme(np.arange(3)[::-1]), pack([[0], [2], [2]]))
        assert counter.firing_count.tolist() == [[1, 0, 2]]
        assert sum(block.n_pairs for block in counter.ranked()) == 0

    def test_counts_past_two_to_the_31(self) -> None:
        """Totals are 64 bit: a counter that was merged to 1.5 * 2^31 - 1.5 tokens says so, to the unit."""
        scheme = Scheme(np.arange(2))
        whole = None
        for k in range(3):
            counter = self.counted(scheme, pack([[0, 1]]), first_token=k * INT32_TOKENS)
            self.pretend(counter, INT32_TOKENS)
            if whole is None:
                whole = counter
            else:
                whole.merge(counter)
        assert whole is not None
        assert whole.n_tokens == 3 * INT32_TOKENS
        assert [block.joint_count.tolist() for block in whole.ranked() if block.n_pairs] == [[[3 * INT32_TOKENS]]]

    def pretend(self, counter: Counter, times: int) -> None:
        """Make a counter of one token stand for `times` of them; each backend knows where its counters are."""
        raise NotImplementedError

    def test_an_id_twice_in_a_token_is_refused_and_nothing_is_counted(self) -> None:
        """A doubled id would count a feature with itself."""
        counter = self.make(Scheme(np.arange(3)))
        with pytest.raises(InputError, match="token 1 names a feature twice"):
            counter.update(np.array([0, 1, 3]), np.array([2, 1, 1], np.int32))
        assert (counter.n_tokens, counter.firing_count.sum()) == (0, 0)
        counter.update(**pack([[0, 2]]))
        assert dense(counter.scheme, list(counter.ranked()))[0].sum() == 1

    @pytest.mark.parametrize("wrong", [3, -1])
    def test_an_id_out_of_range_is_refused(self, wrong: int) -> None:
        """Widths are stored, never inferred from the largest id."""
        with pytest.raises(InputError, match=r"expected 0\.\.2"):
            self.make(Scheme(np.arange(3))).update(np.array([0, 1]), np.array([wrong], np.int32))

    def test_lengths_levels_and_amounts_must_fit(self) -> None:
        """What the scheme does not count is not taken, what it counts is not missing."""
        plain, full = Scheme(np.arange(3)), Scheme(np.arange(3), RULES[:2], True)
        indptr, ids = np.array([0, 2]), np.array([0, 1], np.int32)
        levels, amounts = np.zeros(2, np.uint8), np.zeros(2, np.int64)
        with pytest.raises(InputError, match="row pointer"):
            self.make(plain).update(indptr, ids[:1])
        with pytest.raises(InputError, match="levels are not counted"):
            self.make(plain).update(indptr, ids, levels)
        with pytest.raises(InputError, match="levels are missing"):
            self.make(full).update(indptr, ids, None, amounts)
        with pytest.raises(InputError, match="amounts are missing"):
            self.make(full).update(indptr, ids, levels)
        with pytest.raises(InputError, match="1 levels for 2 firings"):
            self.make(full).update(indptr, ids, levels[:1], amounts)

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (Scheme(np.array([1, 0, 2])), "rank the features differently"),
            (Scheme(np.arange(3), ("any", "abs:1")), "other firing rules"),
            (Scheme(np.arange(3), sums=True), "summed"),
            (Scheme(np.arange(3), source="another"), "other activations"),
        ],
    )
    def test_counters_of_another_scheme_refuse_to_merge(self, other: Scheme, message: str) -> None:
        """Fault 43: partial counts only merge where their rows mean the same."""
        with pytest.raises(InputError, match=message):
            self.make(Scheme(np.arange(3))).merge(self.make(other))

    def test_tokens_are_counted_once(self) -> None:
        """Fault 43: overlapping tokens refuse to merge, and to be updated with."""
        scheme, firing = Scheme(np.arange(3)), pack([[0, 1]] * 4)
        counter = self.counted(scheme, firing)
        with pytest.raises(InputError, match="tokens 3 to 3 are counted already"):
            counter.merge(self.counted(scheme, firing, first_token=3))
        with pytest.raises(InputError, match="counted already"):
            counter.update(**firing, first_token=2)
        with pytest.raises(InputError, match="rows"):
            counter.merge(self.make(scheme, rows=(0, 2)))
        assert counter.n_tokens == 4
