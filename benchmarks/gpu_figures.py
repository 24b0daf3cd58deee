"""Counting on one GPU beside other ways, as Markdown: `python benchmarks/gpu_figures.py [--tokens N] [--repeats N]`.

Needs numpy and CuPy; torch adds its integer product. Tokens are made on the device and their making is not timed. Each
line is a median; `s / 1e9 tokens` is scaled from the tokens that were timed, and the last column is the share of the
rate of random shared-memory atomics that a kernel of nothing else reaches on the same device.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from atlas.counting.cuda import CudaEngine
from atlas.counting.gpu import GpuCounter
from atlas.counting.scheme import Scheme
from atlas.errors import CapacityError

WIDTHS = (16_384, 65_536, 131_072)
LENGTHS = (20, 50, 100, 200)
BATCH = 2**26  # firings made at once
SMALL = 2**14  # tokens that slow methods are timed on

SOURCE = r"""
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

__device__ u64 mixed(u64 x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* One feature of each of l0 strata a token: distinct ones, those of narrow strata often. */
extern "C" __global__ void generate(const i64* edges, i64 n, u32 l0, u64 seed, int* ids)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 k = (i64)blockIdx.x * blockDim.x + threadIdx.x; k < n; k += step) {
        const u32 slot = k % l0;
        ids[k] = (int)(edges[slot] + (i64)(mixed(seed + k) % (u64)(edges[slot + 1] - edges[slot])));
    }
}

extern "C" __global__ void shared_atomics(u32 n_counters, u32 rounds, u32* sums)
{
    extern __shared__ u32 counters[];
    for (u32 k = threadIdx.x; k < n_counters; k += blockDim.x) counters[k] = 0;
    __syncthreads();
    u32 x = (u32)mixed((u64)blockIdx.x * blockDim.x + threadIdx.x);
    for (u32 k = 0; k < rounds; ++k) {
        x = x * 1664525u + 1013904223u;
        atomicAdd(&counters[(u32)((u64)x * n_counters >> 32)], 1u);
    }
    __syncthreads();
    u32 sum = 0;
    for (u32 k = threadIdx.x; k < n_counters; k += blockDim.x) sum += counters[k];
    atomicAdd(&sums[blockIdx.x], sum);
}
"""


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a function that leaves work on the device, after one run that does not count."""
    import cupy

    times = []
    for _ in range(repeats + 1):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        function()
        cupy.cuda.Device().synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def edges_of(d: int, l0: int) -> np.ndarray[Any, Any]:
    """Return the bounds of the strata, the first ones 2 features wide and later ones ever wider."""
    part = np.arange(l0 + 1) / l0
    return (2 * np.arange(l0 + 1) + (d - 2 * l0) * np.expm1(6 * part) / np.expm1(6)).astype(np.int64)


class Bench:
    """The device, its kernels, and the table."""

    def __init__(self, n_tokens: int, repeats: int) -> None:
        import cupy

        self.cupy, self.n_tokens, self.repeats = cupy, n_tokens, repeats
        module = cupy.RawModule(code=SOURCE, options=("-std=c++17",))
        self.generate, self.atomics = (module.get_function(name) for name in ("generate", "shared_atomics"))
        self.rate = self.measured_rate()

    def measured_rate(self) -> float:
        """Return random shared-memory atomics a second, with the blocks that counting uses."""
        engine, rounds = CudaEngine(0, sums=False), 20_000
        blocks = engine.blocks // 4
        self.atomics.max_dynamic_shared_size_bytes = engine.shared_bytes
        sums = self.cupy.zeros(blocks, self.cupy.uint32)
        args = (np.uint32(engine.shared_bytes // 4), np.uint32(rounds), sums)

        def run() -> None:
            self.atomics((blocks,), (engine.threads,), args, shared_mem=engine.shared_bytes)

        taken = seconds(run, self.repeats)
        if not bool((sums == np.uint32((self.repeats + 1) * rounds * engine.threads)).all()):
            raise SystemExit("the atomics were not all counted")
        return blocks * engine.threads * rounds / taken

    def tokens(self, d: int, l0: int, n_tokens: int) -> Iterator[tuple[Any, Any]]:
        """Yield batches of tokens as (indptr, ids) on the device."""
        edges = self.cupy.asarray(edges_of(d, l0))
        for first in range(0, n_tokens, BATCH // l0):
            n = min(BATCH // l0, n_tokens - first)
            ids = self.cupy.empty(n * l0, self.cupy.int32)
            self.generate((1024,), (256,), (edges, np.int64(n * l0), np.uint32(l0), np.uint64(first * l0), ids))
            yield self.cupy.arange(n + 1, dtype=self.cupy.int64) * l0, ids

    def line(self, d: int, l0: int, method: str, n_tokens: int, taken: float | str) -> None:
        """Print a line of the table."""
        if isinstance(taken, str):
            print(f"| {d:,} | {l0} | {method} | {taken} | | |", flush=True)
            return
        rate = n_tokens * l0 * (l0 - 1) / 2 / taken
        share = f"{rate / self.rate:.0%}"
        print(f"| {d:,} | {l0} | {method} | {taken / n_tokens * 1e9:.1f} | {1e9 / rate:.4f} | {share} |", flush=True)

    def ours(self, d: int, l0: int, n_tokens: int, **options: Any) -> float | str:
        """Return the time of all updates, or why there is none; the number of increments is checked."""
        times = []
        for _ in range(self.repeats):
            try:
                counter = GpuCounter(Scheme(np.arange(d)), **options)
            except CapacityError as error:
                return str(error)
            taken = 0.0
            for indptr, ids in self.tokens(d, l0, n_tokens):
                self.cupy.cuda.Device().synchronize()
                start = time.perf_counter()
                counter.update(indptr, ids)
                self.cupy.cuda.Device().synchronize()
                taken += time.perf_counter() - start
            times.append(taken)
            found = sum(int(counter._joint[k : k + 2**28].sum()) for k in range(0, len(counter._joint), 2**28))
            if found != n_tokens * l0 * (l0 - 1) // 2:
                return f"wrong: {found} increments"
            del counter
            self.cupy.get_default_memory_pool().free_all_blocks()
        return statistics.median(times)

    def sparse_product(self, d: int, l0: int) -> float | str:
        """Return the time of CuPy's `X.T @ X` on sparse float32, or what is wrong with it."""
        from cupyx.scipy import sparse

        indptr, ids = next(self.tokens(d, l0, SMALL))
        ones = self.cupy.ones(len(ids), self.cupy.float32)
        x = sparse.csr_matrix((ones, ids, indptr.astype(self.cupy.int32)), shape=(SMALL, d))
        x.sort_indices()
        transposed = x.T.tocsr()
        taken = seconds(lambda: transposed @ x, self.repeats)
        found = int((transposed @ x).data.sum(dtype=self.cupy.float64))
        return taken if found == SMALL * l0 * l0 else f"wrong: {found} of {SMALL * l0 * l0}"

    def dense(self, d: int, l0: int, dtype: str) -> Any:
        """Return a batch as a dense matrix."""
        _, ids = next(self.tokens(d, l0, SMALL))
        x = self.cupy.zeros((SMALL, d), dtype)
        x[self.cupy.arange(SMALL)[:, None], ids.reshape(SMALL, l0)] = 1
        return x

    def dense_product(self, d: int, l0: int) -> float:
        """Return the time of a dense float32 product."""
        x = self.dense(d, l0, "float32")
        return seconds(lambda: x.T @ x, self.repeats)

    def integer_product(self, d: int, l0: int) -> float | str:
        """Return the time of torch's dense int8 product on tensor cores."""
        try:
            import torch
        except ImportError:
            return "no torch"
        if not torch.cuda.is_available():
            return "torch has no CUDA"
        x = torch.from_dlpack(self.dense(d, l0, "int8"))
        transposed = x.T.contiguous()
        return seconds(lambda: torch._int_mm(transposed, x), self.repeats)

    def other(self, method: Callable[[int, int], float | str], d: int, l0: int) -> float | str:
        """Return another method's time, or that it does not fit."""
        try:
            return method(d, l0)
        except (MemoryError, RuntimeError) as error:
            return (str(error).splitlines() or [type(error).__name__])[0]
        finally:
            self.cupy.get_default_memory_pool().free_all_blocks()
            if "torch" in sys.modules:
                sys.modules["torch"].cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    bench = Bench(options.tokens, options.repeats)
    print(f"random shared-memory atomics: {bench.rate:.3g} / s\n")
    print("| d | L0 | method | s / 1e9 tokens | ns / increment | of the atomic rate |\n|---|---|---|---|---|---|")
    for d in WIDTHS:
        for l0 in LENGTHS:
            n = options.tokens
            for chunk in (None, 2**24, 2**26):
                name = "ours, chunks of " + ("the L2" if chunk is None else f"{chunk:,}")
                bench.line(d, l0, name, n, bench.ours(d, l0, n, chunk=chunk))
            bench.line(d, l0, "ours, one block on a multiprocessor", n, bench.ours(d, l0, n, shared_bytes=2**20))
            bench.line(d, l0, "global atomics", n // 10, bench.ours(d, l0, n // 10, sparse=1e9))
            for name, method in (
                ("CuPy sparse X.T @ X", bench.sparse_product),
                ("dense float32", bench.dense_product),
                ("dense int8 (torch)", bench.integer_product),
            ):
                bench.line(d, l0, name, SMALL, bench.other(method, d, l0))


if __name__ == "__main__":
    main()
