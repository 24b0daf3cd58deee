"""Which way to count: a dense triangle, panels of its rows, or sparse rows, by the memory and time that each takes."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.counting import cuda
from atlas.counting.counter import INT32_TOKENS
from atlas.counting.ranked import pairs_of_rows, rows_with
from atlas.counting.scheme import Scheme
from atlas.counting.sparse import sparse_bytes
from atlas.counting.triangle import CHUNK_FIRINGS, cell_bytes
from atlas.errors import CapacityError

_FIRING_BYTES = 48  # of a chunk while it is read and inverted: ids, activations, levels, amounts, index
_CELLS = 0.6  # share of the memory for cells: the rest is for the chunk and for pairs that are finished
# nanoseconds of one thread, fitted to ten sets of 4,096 to 32,768 features and 8 to 100 firings a token
_NS_PAIR, _NS_FIRING, _NS_CELL = 0.4, 20.0, 1.2  # triangle: an increment, a firing inverted and walked to, a cell
_NS_SPARSE_PAIR, _NS_SPARSE_FIRING, _NS_DISTINCT, _NS_MERGED = 0.5, 32.0, 0.6, 15.0  # a pair emitted, one merged
GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """How the tokens are counted; no plan changes the result.

    Attributes
    ----------
    strategy
        `triangle` (one pass), `panels` (a pass for each range of rows) or `sparse` (rows of all tokens, or
        of `parts` runs of tokens that are merged).
    panels
        Ranges of ranks whose rows are counted at once.
    parts
        Runs of tokens that are counted apart.
    chunk_firings
        Firings that are inverted at once.
    estimate
        Bytes of the host's memory that counting is expected to take at most.
    on_gpu
        Bytes of the GPU's memory that the totals take.
    """

    strategy: str
    panels: tuple[tuple[int, int], ...]
    parts: int
    chunk_firings: int
    estimate: int
    on_gpu: int = 0

    def remarks(self, memory: int) -> dict[str, object]:
        """Return what the manifest keeps of how the counts were made."""
        return {
            "counted_as": self.strategy,
            "passes": len(self.panels),
            "parts": self.parts,
            "memory_given_mib": round(memory / 2**20),
            "memory_estimated_mib": max(1, round(self.estimate / 2**20)),
            "gpu_memory_mib": round(self.on_gpu / 2**20),
        }

    def describe(self, memory: int) -> str:
        """Return one phrase for the log."""
        how = {
            "triangle": "a dense triangle, one pass",
            "panels": f"a dense triangle in {len(self.panels)} panels of rows, a pass each",
            "sparse": "sparse rows" + (f" of {self.parts} runs of tokens, merged" if self.parts > 1 else ", one pass"),
        }[self.strategy]
        totals = f"; {self.on_gpu / GIB:.2f} GiB on the GPU" if self.on_gpu else ""
        return f"{how}; about {max(1, self.estimate / 2**20):,.0f} of {memory / 2**20:,.0f} MiB{totals}"


def plan_counts(scheme: Scheme, *, n_tokens: int, n_firings: int, memory: int, threads: int) -> Plan:
    """Return the quickest plan that fits.

    Parameters
    ----------
    n_tokens, n_firings
        What is to be counted.
    memory
        Bytes that counting may take, beside the program itself.
    threads
        Counting threads: each has a row of counters.

    Raises
    ------
    CapacityError
        No plan fits: the memory that would is named (fault 25).
    """
    d = scheme.d_sae
    floor = 64 * 2**20 + 256 * d + _sparse(scheme, 1, min(n_firings, 2**16), threads)
    if memory < floor:
        raise CapacityError(
            f"counting {d} features needs {floor / 2**20:.0f} MiB at least, {memory / 2**20:.0f} MiB are allowed",
            f"give --memory {-(-floor // 2**20)}M or more",
        )
    chunk = max(min(CHUNK_FIRINGS, n_firings, memory // 4 // _FIRING_BYTES), 1)
    panels = _panels(d, int(_CELLS * memory) // cell_bytes(scheme))
    pairs = n_firings * n_firings / max(n_tokens, 1) / 2
    fixed = _sparse(scheme, 0, 0, threads)
    growing = _sparse(scheme, n_tokens, n_firings, threads) - fixed
    parts = max(1, -(-growing // max(int(_CELLS * memory) - fixed, 2**20)), -(-n_tokens // INT32_TOKENS))
    cells = pairs_of_rows(0, d)
    dense_ns = len(panels) * n_firings * _NS_FIRING + (pairs * _NS_PAIR + cells * _NS_CELL) * (1 << scheme.bits)
    sparse_ns = pairs * _NS_SPARSE_PAIR + n_firings * _NS_SPARSE_FIRING
    sparse_ns += parts * min(pairs / parts, cells) * (_NS_DISTINCT + _NS_MERGED * (parts > 1))
    if panels and dense_ns <= sparse_ns:
        used = max(pairs_of_rows(*rows) for rows in panels) * cell_bytes(scheme)
        estimate = used + chunk * _FIRING_BYTES
        return Plan("triangle" if len(panels) == 1 else "panels", panels, 1, chunk, estimate)
    estimate = _sparse(scheme, -(-n_tokens // parts), -(-n_firings // parts), threads) + chunk * _FIRING_BYTES
    return Plan("sparse", ((0, d),), parts, chunk, estimate)


def plan_gpu(scheme: Scheme, *, n_tokens: int, n_firings: int, memory: int, free: int) -> Plan:
    """Return the panels of rows whose totals fit in `free` bytes of a GPU; `memory` is the host's, for chunks.

    Raises
    ------
    CapacityError
        Not even one row fits (fault 24).
    """
    panels = _panels(scheme.d_sae, free // cuda.bytes_a_pair(scheme))
    if not panels:
        raise CapacityError(
            f"a row of {scheme.d_sae - 1} totals does not fit in {free / GIB:.2f} GiB of the GPU's memory",
            "give --device cpu",
        )
    chunk = max(min(16 * CHUNK_FIRINGS, n_firings, memory // 4 // _FIRING_BYTES), 1)
    used = max(pairs_of_rows(*rows) for rows in panels) * cuda.bytes_a_pair(scheme)
    return Plan("triangle" if len(panels) == 1 else "panels", panels, 1, chunk, chunk * _FIRING_BYTES, used)


def _sparse(scheme: Scheme, n_tokens: int, n_firings: int, threads: int) -> int:
    return sparse_bytes(scheme, n_tokens=n_tokens, n_firings=n_firings, threads=threads)


def _panels(d_sae: int, n_pairs: int) -> tuple[tuple[int, int], ...]:
    """Return ranges of at most `n_pairs` pairs that hold all rows; none where a single row has more."""
    found, low = [], 0
    while low < d_sae:
        high = min(rows_with(low, n_pairs), d_sae)
        if high == low:
            return ()
        found.append((low, high))
        low = high
    return tuple(found)
