"""Passes over the shards: which are read, how they are cut into chunks, and what counts them."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.counter import Counter
from atlas.counting.cuda import choose_device, free_memory
from atlas.counting.gpu import GpuCounter
from atlas.counting.merging import merge_counted
from atlas.counting.partial import read_partial, write_partial
from atlas.counting.plan import Plan, plan_counts, plan_gpu
from atlas.counting.ranked import Counted, Ranked
from atlas.counting.rules import Rules, fixed_point
from atlas.counting.scheme import Scheme, TokenRanges
from atlas.counting.sparse import SparseCounter
from atlas.counting.triangle import TriangleCounter
from atlas.files import read_arrays, write_arrays
from atlas.firings import Firings
from atlas.mapped import ArrayFile, map_arrays
from atlas.shards import Shard, read_shard, shard_paths
from atlas.tracking import Advance, Track, untracked

logger = logging.getLogger("atlas")


@dataclass(frozen=True)
class Settings:
    """How to count, none of which changes the result.

    Attributes
    ----------
    memory
        Bytes that counting may take, beside the program itself.
    threads
        Counting threads; all cores when None.
    device
        `auto`, `cpu`, `cuda` or `cuda:N`: looked for when counting begins, not when it is done already.
    """

    memory: int = 4 * 2**30
    threads: int | None = None
    device: str = "cpu"


def scheme_of(firings: Firings, rules: Rules, *, sums: bool = False, source: str = "") -> Scheme:
    """Return the scheme of a run's counts: features in the order of how often they fire, ties by index."""
    order = np.argsort(-firings.firing_count, kind="stable").astype(np.int32)
    return Scheme(order, rules.names, sums, source)


def rules_of(firings: Firings, names: tuple[str, ...], *, memory: int) -> Rules:
    """Return the rules with the run's thresholds and medians, which are looked up only where a rule needs them."""

    def threshold() -> npt.NDArray[np.float32]:
        return np.asarray(map_arrays(firings.directory / "encoder.safetensors")["threshold"], np.float32)

    return Rules.of(names, threshold=threshold, medians=lambda: firings.medians(memory=memory // 2))


def count_shards(
    firings: Firings,
    numbers: Sequence[int] | None,
    scratch: Path,
    *,
    scheme: Scheme,
    rules: Rules,
    settings: Settings,
    prune: int = 1,
    track: Track = untracked,
    tell: Callable[[Plan], None] = lambda plan: None,
) -> Counted:
    """Return the counts of some shards, or of all.

    Parameters
    ----------
    numbers
        Shards to count, in any order; all when None.
    scratch
        Folder for what does not stay in memory; it holds the blocks of the result, and the caller removes it.
    prune
        Pairs seen on fewer of these tokens are left out.
    track
        Told of the tokens counted.
    tell
        Told how they are counted, which the log is, too.
    """
    work = Work.of(firings, numbers, scheme, rules)
    threads = use_threads(settings.threads)
    sizes = {"n_tokens": work.n_tokens, "n_firings": work.n_firings}
    gpu = choose_device(settings.device)
    if gpu is None:
        plan = plan_counts(scheme, **sizes, memory=settings.memory, threads=threads)
    else:
        plan = plan_gpu(scheme, **sizes, memory=settings.memory, free=free_memory(gpu, sums=scheme.sums))
    logger.info("counts: %s", plan.describe(settings.memory))
    tell(plan)
    spool = Spool(scratch / "rows", limit=settings.memory // 8)
    with track("counts", total=work.n_tokens * len(plan.panels), unit="tokens") as advance:
        firing_count, covered = _fill(spool, work, plan, scratch, settings, gpu, prune, advance)
    return Counted(scheme, firing_count, covered, spool)


def _fill(
    spool: Spool,
    work: Work,
    plan: Plan,
    scratch: Path,
    settings: Settings,
    gpu: int | None,
    prune: int,
    advance: Advance,
) -> tuple[npt.NDArray[np.int64], TokenRanges]:
    """Put the pairs of all rows into the spool as the plan says; return firing counts and covered tokens."""
    if plan.parts > 1:
        scratch.mkdir(parents=True, exist_ok=True)
        parts = []
        for number, some in enumerate(work.split(plan.parts)):
            counter: Counter = SparseCounter(work.scheme)
            some.feed(counter, plan.chunk_firings, advance)
            place = scratch / f"run-{number:05d}"
            write_partial(place, Counted(work.scheme, counter.firing_count, counter.covered, counter.ranked()))
            parts.append(read_partial(place))
            del counter
        merged = merge_counted(parts, prune=prune, memory=settings.memory // 2)
        spool.take(merged.blocks)
        return merged.firing_count, merged.covered
    for rows in plan.panels:
        if gpu is not None:
            counter = GpuCounter(work.scheme, rows=rows, device=gpu)
        elif plan.strategy == "sparse":
            counter = SparseCounter(work.scheme)
        else:
            counter = TriangleCounter(work.scheme, rows=rows)
        work.feed(counter, plan.chunk_firings, advance)
        spool.take(counter.ranked(prune=prune))
        counted = counter.firing_count, counter.covered
        del counter  # the next panel's cells come in the place of these
    return counted


@dataclass(frozen=True)
class Work:
    """Shards to count, with where each begins in the corpus.

    Attributes
    ----------
    shards : tuple of (path, first_token, n_tokens, n_firings)
        In corpus order.
    """

    shards: tuple[tuple[Path, int, int, int], ...]
    scheme: Scheme
    rules: Rules

    @classmethod
    def of(cls, firings: Firings, numbers: Sequence[int] | None, scheme: Scheme, rules: Rules) -> Self:
        """Return the work on some shards, or on all."""
        found, first = [], 0
        for number, path in enumerate(shard_paths(firings.directory)):
            with ArrayFile(path) as arrays:
                n, nnz = arrays.shape("token_id")[0], arrays.shape("ids")[0]
            if numbers is None or number in numbers:
                found.append((path, first, n, nnz))
            first += n
        return cls(tuple(found), scheme, rules)

    @property
    def n_tokens(self) -> int:
        """Tokens of the shards."""
        return sum(n for _, _, n, _ in self.shards)

    @property
    def n_firings(self) -> int:
        """Firings of the shards under the rule `any`."""
        return sum(nnz for _, _, _, nnz in self.shards)

    def split(self, parts: int) -> Iterator[Self]:
        """Yield `parts` pieces of consecutive shards with about equal numbers of firings, none empty."""
        done = np.cumsum([nnz for _, _, _, nnz in self.shards])
        cuts = np.searchsorted(done, np.linspace(0, done[-1], parts + 1)[1:-1], side="right")
        for low, high in itertools.pairwise([0, *cuts.tolist(), len(self.shards)]):
            if low < high:
                yield replace(self, shards=self.shards[low:high])

    def _given(self, shard: Shard, first: int) -> tuple[Any, ...]:
        """Return what a counter is given of some tokens: place, lengths, ids, levels, amounts."""
        amounts = fixed_point(shard.activations) if self.scheme.sums else None
        return first, np.diff(shard.indptr), shard.ids, self.rules.levels(shard), amounts

    def feed(self, counter: Counter, chunk_firings: int, advance: Advance) -> None:
        """Update a counter with all tokens: consecutive shards joined to about `chunk_firings` firings."""
        held: list[tuple[Any, ...]] = []
        for k, (path, first, n, _) in enumerate(self.shards):
            shard = read_shard(path, d_sae=self.scheme.d_sae)
            if len(shard.ids) > chunk_firings:  # too much at once
                for piece, at in _pieces(shard, chunk_firings):
                    _update(counter, [self._given(piece, first + at)])
                advance(n)
                continue
            held.append(self._given(shard, first))
            follows = k + 1 < len(self.shards) and self.shards[k + 1][1] == first + n
            room = chunk_firings - sum(len(ids) for _, _, ids, _, _ in held)
            if not follows or self.shards[k + 1][3] > room:
                _update(counter, held)
                held = []
            advance(n)


def _pieces(shard: Shard, chunk_firings: int) -> Iterator[tuple[Shard, int]]:
    """Yield (tokens, place of the first one) of a shard in pieces of at most so many firings, or of one token."""
    start = 0
    while start < shard.n_tokens:
        stop = int(np.searchsorted(shard.indptr, shard.indptr[start] + chunk_firings, side="right")) - 1
        stop = min(max(stop, start + 1), shard.n_tokens)
        at = slice(shard.indptr[start], shard.indptr[stop])
        token_id, document, position = (one[start:stop] for one in (shard.token_id, shard.document, shard.position))
        indptr = shard.indptr[start : stop + 1] - shard.indptr[start]
        yield Shard(token_id, document, position, indptr, shard.ids[at], shard.activations[at]), start
        start = stop


def _update(counter: Counter, held: list[tuple[Any, ...]]) -> None:
    starts, lengths, ids, levels, amounts = zip(*held, strict=True)
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    level = None if levels[0] is None else np.concatenate(levels)
    amount = None if amounts[0] is None else np.concatenate(amounts)
    counter.update(indptr, np.concatenate(ids), level, amount, first_token=starts[0])


class Spool:
    """Blocks of rows, held in memory up to a limit and in files beyond it; can be gone through again.

    Parameters
    ----------
    folder
        For the files; the caller removes it. They are read again by this process alone.
    limit
        Bytes held in memory.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit, self._held = folder, limit, 0
        self._blocks: list[Ranked | Path] = []

    def take(self, blocks: Iterable[Ranked]) -> None:
        """Add blocks of rows that follow those taken before."""
        for block in blocks:
            if self._held + block.nbytes <= self._limit:
                self._held += block.nbytes
                self._blocks.append(block)
                continue
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{len(self._blocks):06d}.safetensors"
            arrays = {name: array for name, array in block.__dict__.items() if name != "low"}
            write_arrays(path, arrays | {"low": np.array([block.low], np.int64)}, durable=False)
            self._blocks.append(path)

    def __iter__(self) -> Iterator[Ranked]:
        for block in self._blocks:
            if isinstance(block, Ranked):
                yield block
            else:
                arrays = read_arrays(block)
                yield Ranked(int(arrays.pop("low")[0]), **arrays)


def use_threads(threads: int | None) -> int:
    """Set the number of counting threads (all cores by default) and return it."""
    chosen = min(threads or os.cpu_count() or 1, int(numba.config.NUMBA_NUM_THREADS))
    numba.set_num_threads(chosen)
    return chosen
