"""The GPU backend on a GPU: the list that every backend passes, larger cases, real memory, other libraries' arrays."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from contract import RULES, CounterContract, Firing, dense, draw, oracle, pack

from atlas.counting.counter import Counter
from atlas.counting.cuda import CudaEngine, choose_device, firings_of, on_device
from atlas.counting.gpu import GpuCounter
from atlas.counting.ranked import Ranked
from atlas.counting.scheme import Scheme
from atlas.errors import BackendError, CapacityError, InputError

try:
    choose_device("cuda")
except BackendError as error:
    pytest.skip(f"no GPU ({error.cause})", allow_module_level=True)

import cupy


class OnGpu(CounterContract):
    """The contract on the device; subclasses differ in what happens to the rows."""

    options: dict[str, Any] = {}  # noqa: RUF012 - read only

    def make(self, scheme: Scheme, **options: Any) -> Counter:
        return GpuCounter(scheme, **self.options, **options)

    def pretend(self, counter: Counter, times: int) -> None:
        assert isinstance(counter, GpuCounter)
        counter._joint *= times
        counter._fired *= times
        counter.covered = ((counter.covered[0][0], counter.covered[0][0] + times),)


class TestAsItIs(OnGpu):
    pass


class TestWholeRowsInSharedMemory(OnGpu):
    options = {"sparse": 0.0}  # noqa: RUF012 - read only


class TestTilesAndSegments(OnGpu):
    options = {"shared_bytes": 160, "segment": 7, "chunk": 300, "sparse": 0.5}  # noqa: RUF012 - read only


class TestStraightToTheTotals(OnGpu):
    options = {"sparse": 1e9}  # noqa: RUF012 - read only


def spread(d: int, n: int, l0: int, seed: int) -> Firing:
    """Return tokens of `l0` of `d` features each, low ids far more often than high ones."""
    rng = np.random.default_rng(seed)
    edges = 2 * np.arange(l0 + 1) + ((d - 2 * l0) * np.expm1(6 * np.arange(l0 + 1) / l0) / np.expm1(6)).astype(np.int64)
    ids = edges[:-1] + (rng.random((n, l0)) * np.diff(edges)).astype(np.int64)
    return {"indptr": np.arange(n + 1) * l0, "ids": rng.permuted(ids, axis=1).ravel().astype(np.int32)}


def pairs(scheme: Scheme, firing: Firing, rows: tuple[int, int]) -> tuple[Any, Any]:
    """Return row * d + column of every pair seen in these rows, ascending, and its count: plain numpy."""
    ranks = np.sort(scheme.rank[firing["ids"]].reshape(len(firing["indptr"]) - 1, -1).astype(np.int64), axis=1)
    found = []
    for row in range(1, ranks.shape[1]):
        inside = (ranks[:, row] >= rows[0]) & (ranks[:, row] < rows[1])
        found.append((ranks[inside, row, None] * scheme.d_sae + ranks[inside, :row]).ravel())
    return np.unique(np.concatenate(found), return_counts=True)


def emitted(scheme: Scheme, blocks: list[Ranked]) -> tuple[Any, Any]:
    """Return the same of a counter's blocks."""
    row = np.concatenate([np.repeat(np.arange(b.low, b.high), np.diff(b.indptr)) for b in blocks])
    code = row * scheme.d_sae + np.concatenate([block.columns for block in blocks])
    order = np.argsort(code)
    return code[order], np.concatenate([block.joint_count[0] for block in blocks])[order]


def check(scheme: Scheme, firing: Firing, rows: tuple[int, int], **options: Any) -> None:
    counter = GpuCounter(scheme, rows=rows, **options)
    counter.update(**firing)
    for ours, theirs in zip(emitted(scheme, list(counter.ranked())), pairs(scheme, firing, rows), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(counter.firing_count[0], np.bincount(firing["ids"], minlength=scheme.d_sae))


class TestLarge:
    @pytest.mark.parametrize(
        "options",
        [{}, {"sparse": 0.0}, {"sparse": 0.0, "shared_bytes": 2**14}, {"chunk": 40_000, "segment": 100}],
        ids=["as it is", "80 KB of shared memory", "five tiles", "chunks and segments"],
    )
    def test_20_000_features(self, options: dict[str, Any]) -> None:
        """Equal to plain numpy with every pair of 3,000 tokens, also where shared memory must be asked for."""
        scheme = Scheme(np.random.default_rng(1).permutation(20_000))
        check(scheme, spread(20_000, 3_000, 60, 2), (0, 20_000), **options)

    def test_all_the_shared_memory_that_a_block_can_have(self) -> None:
        """The largest tile is launched."""
        scheme = Scheme(np.arange(60_000))
        engine = CudaEngine(0, sums=False, shared_bytes=10**9)
        assert engine.shared_bytes >= 48 * 1024
        check(scheme, spread(60_000, 4_000, 80, 3), (59_000, 60_000), engine=engine, sparse=0.0)

    @pytest.mark.parametrize("rows", [(200_000, 200_500), (999_750, 1_000_000)])
    @pytest.mark.parametrize("sparse", [0.0, 0.25])
    def test_a_million_features_in_panels_of_rows(self, rows: tuple[int, int], sparse: float) -> None:
        """Sparse rows of dozens of tiles, and straight to the totals."""
        scheme = Scheme(np.random.default_rng(3).permutation(1_000_000))
        check(scheme, spread(1_000_000, 20_000, 60, 4), rows, sparse=sparse)

    def test_rules_and_sums(self) -> None:
        """Four rules and sums of 700 features against dense integer products."""
        firing = draw(700, 2_000, 40, 5, bits=3, sums=True)
        scheme = Scheme(np.random.default_rng(5).permutation(700), RULES, True)
        counter = GpuCounter(scheme)
        counter.update(**firing)
        for ours, theirs in zip(dense(scheme, list(counter.ranked())), oracle(scheme, firing), strict=True):
            assert np.array_equal(ours, np.tril(theirs, -1))

    def test_one_very_long_token(self) -> None:
        """A token on which everything fires is one token."""
        scheme = Scheme(np.arange(5_000))
        counter = GpuCounter(scheme)
        counter.update(np.array([0, 5_000]), np.arange(5_000, dtype=np.int32)[::-1])
        assert sum(block.n_pairs for block in counter.ranked()) == 5_000 * 4_999 // 2

    def test_the_same_bits_every_time(self) -> None:
        """Blocks end in any order, results do not depend on it."""
        firing = draw(900, 3_000, 50, 6, bits=1, sums=True)
        scheme = Scheme(np.random.default_rng(7).permutation(900), RULES[:2], True)
        runs = []
        for _ in range(4):
            counter = GpuCounter(scheme, segment=50)
            counter.update(**firing)
            blocks = list(counter.ranked())
            runs.append([part.tobytes() for b in blocks for part in (b.indptr, b.columns, b.joint_count, b.joint_sum)])
        assert runs[1:] == runs[:1] * 3


@pytest.fixture
def pool() -> Iterator[Any]:
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    yield pool
    pool.set_limit(size=0)


class TestMemory:
    def test_smaller_chunks_where_memory_is_short(self, pool: Any, caplog: pytest.LogCaptureFixture) -> None:
        """Fault 24: a real allocation fails; the counts are those of a counter with memory, and one line says it."""
        firing = spread(2_000, 20_000, 100, 8)
        scheme = Scheme(np.arange(2_000))
        with_memory, short = GpuCounter(scheme, chunk=2**30), GpuCounter(scheme, chunk=2**30)
        with_memory.update(**firing)
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + 16 * 2**20)
        with caplog.at_level(logging.WARNING, "atlas"):
            short.update(**firing)
        pool.set_limit(size=0)
        assert re.search(r"memory is short: firings are counted \d+ at a time", caplog.text)
        assert len(caplog.messages) == 1
        for ours, theirs in zip(
            *(emitted(scheme, list(counter.ranked())) for counter in (short, with_memory)), strict=True
        ):
            assert np.array_equal(ours, theirs)

    def test_no_memory_at_all(self, pool: Any) -> None:
        """The end of the run, with nothing counted; the same counter goes on once there is memory."""
        firing = spread(2_000, 20_000, 100, 8)
        counter = GpuCounter(Scheme(np.arange(2_000)))
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + 1024)
        with pytest.raises(CapacityError):
            counter.update(**firing)
        pool.set_limit(size=0)
        assert (counter.n_tokens, counter.firing_count.sum()) == (0, 0)
        counter.update(**firing)
        assert counter.firing_count.sum() == 2_000_000

    def test_totals_that_do_not_fit_name_the_rows_that_do(self, pool: Any) -> None:
        """Fault 25: the rows that fit are named, and fit."""
        with pytest.raises(CapacityError, match="counting ranks 0 to 9999999 takes") as caught:
            GpuCounter(Scheme(np.arange(10_000_000)))
        assert re.search(r"count ranks 0 to \d+ first", caught.value.remedy)
        pool.set_limit(size=pool.used_bytes() + 64 * 2**20)
        with pytest.raises(CapacityError) as caught:
            GpuCounter(Scheme(np.arange(10_000)))
        fits = int(re.search(r"count ranks 0 to (\d+) first", caught.value.remedy)[1])  # type: ignore[index]
        GpuCounter(Scheme(np.arange(10_000)), rows=(0, fits + 1))


class TestArrays:
    firing = draw(300, 500, 20, 9)
    scheme = Scheme(np.random.default_rng(9).permutation(300))

    def equal(self, counter: GpuCounter) -> None:
        joint, _ = oracle(self.scheme, self.firing)
        assert np.array_equal(dense(self.scheme, list(counter.ranked()))[0], np.tril(joint, -1))

    def test_cupy(self) -> None:
        """Arrays on the device are taken as they are, strided and 64-bit ones too."""
        counter = GpuCounter(self.scheme)
        ids = cupy.repeat(cupy.asarray(self.firing["ids"].astype(np.int64)), 2)[::2]
        counter.update(cupy.asarray(self.firing["indptr"]), ids)
        self.equal(counter)
        with pytest.raises(InputError, match=r"expected 0\.\.299"):
            counter.update(cupy.asarray([0, 1]), cupy.asarray([2**32]))

    def test_the_cuda_array_interface(self) -> None:
        """No copy is made of what only has the interface."""

        class Bare:
            def __init__(self, array: Any) -> None:
                self.__cuda_array_interface__ = array.__cuda_array_interface__

        array = cupy.arange(5)
        assert on_device(Bare(array), cupy).data.ptr == array.data.ptr
        assert on_device(array, cupy).data.ptr == array.data.ptr

    def test_torch(self) -> None:
        """Tensors on the device are neither copied nor sent through the host; those on the host are uploaded."""
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("torch has no CUDA here")
        for device in ("cuda", "cpu"):
            tensors = {name: torch.as_tensor(array, device=device) for name, array in self.firing.items()}
            counter = GpuCounter(self.scheme)
            counter.update(**tensors)
            self.equal(counter)
        ids = torch.as_tensor(self.firing["ids"], device="cuda")
        assert on_device(ids, cupy).data.ptr == ids.data_ptr()
        acts = torch.relu(torch.randn(50, 300, device="cuda"))
        for precision in (torch.float32, torch.float16, torch.bfloat16):
            indptr, found, values = firings_of(acts.to(precision))
            token, column = torch.nonzero(acts.to(precision), as_tuple=True)
            assert np.array_equal(cupy.asnumpy(found), column.cpu().numpy())
            assert np.array_equal(cupy.asnumpy(values), acts.to(precision)[token, column].float().cpu().numpy())
            assert int(indptr[-1]) == len(token)

    def test_firings_of_dense_output_are_counted_on_the_device(self) -> None:
        """From an encoder's output to counts without the host."""
        acts = np.maximum(np.random.default_rng(10).normal(-1, 1, (400, 300)), 0).astype(np.float32)
        indptr, ids, activations = firings_of(cupy.asarray(acts))
        token, column = np.nonzero(acts)
        assert np.array_equal(np.repeat(np.arange(400), np.diff(cupy.asnumpy(indptr))), token)
        assert np.array_equal(cupy.asnumpy(ids), column)
        assert np.array_equal(cupy.asnumpy(activations), acts[token, column])
        counter = GpuCounter(self.scheme)
        counter.update(indptr, ids)
        fired = (acts[:, self.scheme.order] > 0).astype(np.int64)
        assert np.array_equal(dense(self.scheme, list(counter.ranked()))[0][0], np.tril(fired.T @ fired, -1))

    def test_another_stream(self) -> None:
        """Work goes to the current stream, whichever it is."""
        counter = GpuCounter(self.scheme)
        cupy.cuda.get_current_stream().synchronize()
        with cupy.cuda.Stream(non_blocking=True):
            counter.update(cupy.asarray(self.firing["indptr"]), cupy.asarray(self.firing["ids"]))
            self.equal(counter)

    def test_two_devices_merge(self) -> None:
        """Counters of two devices add up."""
        if cupy.cuda.runtime.getDeviceCount() < 2:
            pytest.skip("one GPU")
        counters = [GpuCounter(self.scheme, device=number, first_token=500 * number) for number in (0, 1)]
        for counter in counters:
            counter.update(**self.firing)
        counters[0].merge(counters[1])
        joint, _ = oracle(self.scheme, self.firing)
        assert np.array_equal(dense(self.scheme, list(counters[0].ranked()))[0], 2 * np.tril(joint, -1))

    def test_a_doubled_id_on_the_device(self) -> None:
        """Refused as on the host, with nothing counted."""
        counter = GpuCounter(Scheme(np.arange(3)))
        doubled = {name: cupy.asarray(array) for name, array in pack([[0], [1, 1]]).items()}
        with pytest.raises(InputError, match="token 1 names a feature twice"):
            counter.update(**doubled)
        assert counter.firing_count.sum() == 0
