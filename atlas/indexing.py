"""The index by feature, built from the shards in bounded memory: of every firing, or of a sample of each feature's.

The index may be larger than memory, so it is built in bands of features whose firings fit a budget:

1. read every shard once: check it, count each feature's firings, write the token table
2. for each band read every shard again, and put the band's firings in their places: O(nnz) a band
3. append the band to the file by ordinary writes

The sample needs min(K, n_i) places a feature, so that one band is the rule, and one further pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from atlas.errors import ArtifactError, InputError
from atlas.mapped import ArrayFile, StreamedArrays
from atlas.shards import read_shards, shard_path
from atlas.tracking import Track, untracked

BY_FEATURE = "by_feature.safetensors"
CONTEXTS = "contexts.safetensors"
TOKENS = "tokens.safetensors"
INDEX_MEMORY = 2**30
"""Bytes for the firings of one band."""
SEED = 0
"""Seed of the contexts that are kept: another one only gives another sample of the same quality."""
_MAX_TOKENS = 2**32 - 1
_FIRING = 8  # bytes of a row (uint32) and an activation (float32)
_RANKED = 48  # the same with a priority (uint64), once more in order of rows, with what puts them in order


@dataclass(frozen=True)
class Band:
    """The firings of the features `low` to `high - 1`, by feature.

    Attributes
    ----------
    indptr : int64, shape (high - low + 1,)
        Feature i's firings are entries `indptr[i - low]:indptr[i - low + 1]`.
    tokens : uint32, shape (nnz,)
        Rows of the token table, ascending within a feature.
    activations : float32, shape (nnz,)
        The activation on each of them.
    """

    low: int
    high: int
    indptr: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.uint32]
    activations: npt.NDArray[np.float32]


def reservoir_size(contexts: str) -> int | None:
    """Return how many contexts a feature keeps: None for `all`, K for `reservoir:K`.

    Raises
    ------
    InputError
        It is neither, or K is below 1 or no number of 32 bits.
    """
    if contexts == "all":
        return None
    found = re.fullmatch(r"reservoir:(\d{1,10})", contexts, re.ASCII)
    size = int(found[1]) if found else 0
    if not 1 <= size <= _MAX_TOKENS:
        raise InputError(f"contexts {contexts!r}, expected all or reservoir:K", "write all, or a size as reservoir:64")
    return size


def build_index(
    directory: Path,
    *,
    n_shards: int,
    d_sae: int,
    reservoir: int | None = None,
    memory: int = INDEX_MEMORY,
    track: Track = untracked,
) -> None:
    """Write the token table and the firings by feature from the shards.

    The results are `tokens.safetensors` (token_id, document, position: int32, shape (N,)) and either
    `by_feature.safetensors` (indptr int64 (d_sae + 1,), tokens uint32 (nnz,) ascending within a
    feature, activations float32 (nnz,)) or, with a reservoir, `contexts.safetensors` (the same arrays
    of the firings that are kept, and firing_count int64 (d_sae,) of all of them). Neither depends on
    `memory`, nor on how the tokens were cut into shards.

    Parameters
    ----------
    reservoir
        Firings to keep of each feature, a uniform sample without replacement; all when not given.
    memory
        Bytes for the firings of one band. A band has one feature at least, which takes up to 8 bytes a token;
        beside it memory holds one shard and 40 bytes a feature.
    track
        Told of the firings placed.

    Raises
    ------
    InputError
        There are 2^32 tokens or more (fault 44), or a shard breaks its contract.
    CapacityError
        The disk is full (fault 26).
    """
    paths = [shard_path(directory, number) for number in range(n_shards)]
    counts = _write_tokens(directory / TOKENS, paths, d_sae)
    if reservoir is None:
        _write_index(directory / BY_FEATURE, paths, counts, memory, track)
    else:
        _write_contexts(directory / CONTEXTS, paths, counts, reservoir, memory)
    (directory / (CONTEXTS if reservoir is None else BY_FEATURE)).unlink(missing_ok=True)


def _write_tokens(path: Path, paths: Sequence[Path], d_sae: int) -> npt.NDArray[np.int64]:
    """Write the token table, and return each feature's firings: int64, shape (d_sae,)."""
    n_tokens = 0
    for shard_file in paths:
        with ArrayFile(shard_file) as stored:
            n_tokens += stored.shape("token_id")[0]
    if n_tokens > _MAX_TOKENS:
        raise InputError(f"{n_tokens} tokens, at most {_MAX_TOKENS} fit one run", "split the corpus into several runs")
    counts = np.zeros(d_sae, np.int64)
    names = ("token_id", "document", "position")
    with StreamedArrays(path, dict.fromkeys(names, ((n_tokens,), "int32"))) as out:
        for first, shard in read_shards(paths, d_sae=d_sae):
            counts += np.bincount(shard.ids, minlength=d_sae)
            for name in names:
                out.write(name, getattr(shard, name), at=first)
    return counts


def _write_index(path: Path, paths: Sequence[Path], counts: npt.NDArray[np.int64], memory: int, track: Track) -> None:
    indptr = _starts(counts)
    nnz = int(indptr[-1])
    shapes = {"indptr": (indptr.shape, "int64"), "tokens": ((nnz,), "uint32"), "activations": ((nnz,), "float32")}
    with StreamedArrays(path, shapes) as out, track("index", total=nnz, unit="firings") as advance:
        out.write("indptr", indptr)
        for band in feature_bands(paths, counts, memory=memory):
            out.write("tokens", band.tokens, at=int(indptr[band.low]))
            out.write("activations", band.activations, at=int(indptr[band.low]))
            advance(len(band.tokens))


def feature_bands(paths: Sequence[Path], counts: npt.NDArray[np.int64], *, memory: int) -> Iterator[Band]:
    """Yield every firing of the shards by feature, in bands of features that ascend from 0 to d_sae.

    Parameters
    ----------
    paths
        The shards, in corpus order. Each is read once a band.
    counts
        Firings of each feature in these shards: int64, shape (d_sae,).
    memory
        Bytes that a band's firings may take, 8 each; a band has one feature at least. The arrays of a band
        are used again for the next one: take what you keep.

    Raises
    ------
    ArtifactError
        The shards do not hold the firings that `counts` says.
    """
    ranges = _cut(counts * _FIRING, memory)
    tokens, activations = _buffers(counts, ranges)
    for low, high in ranges:
        indptr = _starts(counts[low:high])
        free = indptr[:-1].copy()
        for first, shard in read_shards(paths, d_sae=len(counts)):
            place = _place(shard.indptr, shard.ids, shard.activations, first, low, free, indptr, tokens, activations)
            _require(place)
        _require(np.array_equal(free, indptr[1:]))
        yield Band(low, high, indptr, tokens[: indptr[-1]], activations[: indptr[-1]])


@numba.njit(cache=True, nogil=True)
def _place(indptr, ids, values, first, low, free, starts, tokens, activations):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put a shard's firings of a band in their places; False where a feature has more than there are places."""
    width = len(free)
    for t in range(len(indptr) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            i = ids[k] - low
            if 0 <= i < width:
                slot = free[i]
                if slot == starts[i + 1]:
                    return False
                tokens[slot] = first + t
                activations[slot] = values[k]
                free[i] = slot + 1
    return True


def _write_contexts(
    path: Path, paths: Sequence[Path], counts: npt.NDArray[np.int64], reservoir: int, memory: int
) -> None:
    indptr = _starts(np.minimum(counts, reservoir))
    nnz = int(indptr[-1])
    shapes = {
        "indptr": (indptr.shape, "int64"),
        "firing_count": (counts.shape, "int64"),
        "tokens": ((nnz,), "uint32"),
        "activations": ((nnz,), "float32"),
    }
    with StreamedArrays(path, shapes, metadata={"contexts": f"reservoir:{reservoir}", "seed": str(SEED)}) as out:
        out.write("indptr", indptr)
        out.write("firing_count", counts)
        for band in context_bands(paths, counts, reservoir=reservoir, memory=memory):
            out.write("tokens", band.tokens, at=int(indptr[band.low]))
            out.write("activations", band.activations, at=int(indptr[band.low]))


def context_bands(
    paths: Sequence[Path], counts: npt.NDArray[np.int64], *, reservoir: int, memory: int, seed: int = SEED
) -> Iterator[Band]:
    """Yield a sample of each feature's firings, in bands of features that ascend from 0 to d_sae.

    A feature keeps the `reservoir` firings of smallest priority, a hash of (seed, row, feature): a uniform
    sample without replacement, which depends on the firings alone. Of two samples of disjoint tokens the
    firings of smallest priority are the sample of both.

    Parameters
    ----------
    paths, counts
        As for `feature_bands`.
    memory
        Bytes that a band's sample may take, 48 a firing; a band has one feature at least.

    Raises
    ------
    ArtifactError
        The shards do not hold the firings that `counts` says.

    References
    ----------
    Cohen, Kaplan, "Summarizing data using bottom-k sketches", 2007, doi:10.1145/1281100.1281133.
    """
    places = np.minimum(counts, reservoir)
    for low, high in _cut(places * _RANKED, memory):
        indptr = _starts(places[low:high])
        nnz = int(indptr[-1])
        priorities, tokens = np.empty(nnz, np.uint64), np.empty(nnz, np.uint32)
        activations = np.empty(nnz, np.float32)
        held = np.zeros(high - low, np.int64)
        for first, shard in read_shards(paths, d_sae=len(counts)):
            _sample(shard.indptr, shard.ids, shard.activations, first, low, seed,
                    held, indptr, priorities, tokens, activations)  # fmt: skip
        _require(np.array_equal(held, np.diff(indptr)))
        order = np.lexsort((tokens, np.repeat(np.arange(high - low), held)))
        yield Band(low, high, indptr, tokens[order], activations[order])


@numba.njit(cache=True, nogil=True)
def priority(seed, row, feature):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the place of a firing in a random order: uint64, splitmix64 of seed, then row, then feature.

    References
    ----------
    Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014, doi:10.1145/2660193.2660195.
    """
    mixed = np.uint64(seed)
    for part in (np.uint64(row), np.uint64(feature)):
        mixed = (mixed ^ part) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


@numba.njit(cache=True, nogil=True)
def _after(one, row, other, other_row):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether a firing comes after another in the order of priorities, ties broken by row."""
    return one > other or (one == other and row > other_row)


@numba.njit(cache=True, nogil=True)
def _sample(indptr, ids, values, first, low, seed, held, starts, priorities, tokens, activations):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Offer a shard's firings of a band to the features' samples: heaps whose root is the next to go."""
    for t in range(len(indptr) - 1):
        row = np.uint32(first + t)
        for k in range(indptr[t], indptr[t + 1]):
            i = ids[k] - low
            if i < 0 or i >= len(held) or starts[i] == starts[i + 1]:
                continue
            root, size = starts[i], starts[i + 1] - starts[i]
            rank = priority(seed, row, ids[k])
            if held[i] < size:  # sift up
                at = held[i]
                held[i] += 1
                while at > 0:
                    parent = (at - 1) // 2
                    if not _after(rank, row, priorities[root + parent], tokens[root + parent]):
                        break
                    _move(root + parent, root + at, priorities, tokens, activations)
                    at = parent
            elif _after(priorities[root], tokens[root], rank, row):  # sift down from where the root was
                at = 0
                while 2 * at + 1 < size:
                    child = 2 * at + 1
                    if child + 1 < size and _after(priorities[root + child + 1], tokens[root + child + 1],
                                                   priorities[root + child], tokens[root + child]):  # fmt: skip
                        child += 1
                    if not _after(priorities[root + child], tokens[root + child], rank, row):
                        break
                    _move(root + child, root + at, priorities, tokens, activations)
                    at = child
            else:
                continue
            priorities[root + at], tokens[root + at], activations[root + at] = rank, row, values[k]


@numba.njit(cache=True, nogil=True)
def _move(source, target, priorities, tokens, activations):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    priorities[target] = priorities[source]
    tokens[target] = tokens[source]
    activations[target] = activations[source]


def stored_bands(path: Path, *, memory: int) -> Iterator[Band]:
    """Yield the firings of a finished index in bands, as `feature_bands` does, from one pass over the file."""
    with ArrayFile(path) as stored:
        whole = stored.read("indptr")
        counts = np.diff(whole)
        ranges = _cut(counts * _FIRING, memory)
        tokens, activations = _buffers(counts, ranges)
        for low, high in ranges:
            indptr = whole[low : high + 1] - whole[low]
            band = Band(low, high, indptr, tokens[: indptr[-1]], activations[: indptr[-1]])
            stored.read_rows("tokens", int(whole[low]), band.tokens)
            stored.read_rows("activations", int(whole[low]), band.activations)
            yield band


def positive_medians(bands: Iterator[Band], d_sae: int) -> npt.NDArray[np.float32]:
    """Return the median of each feature's positive activations: float32, shape (d_sae,), 0 where there are none."""
    medians = np.zeros(d_sae, np.float32)
    for band in bands:
        for i in range(band.high - band.low):
            values = band.activations[band.indptr[i] : band.indptr[i + 1]]
            positive = values[values > 0]
            if len(positive):
                medians[band.low + i] = np.median(positive, overwrite_input=True)
    return medians


def _cut(sizes: npt.NDArray[np.int64], memory: int) -> list[tuple[int, int]]:
    """Return half-open ranges of features, each as long as its bytes fit in `memory`, one feature at least."""
    ends = np.cumsum(sizes)
    ranges, low = [], 0
    while low < len(sizes):
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + memory, side="right")))
        ranges.append((low, high))
        low = high
    return ranges


def _buffers(
    counts: npt.NDArray[np.int64], ranges: Sequence[tuple[int, int]]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    """Return room for the rows and activations of the largest band: one after the other uses it."""
    most = max((int(counts[low:high].sum()) for low, high in ranges), default=0)
    return np.empty(most, np.uint32), np.empty(most, np.float32)


def _starts(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _require(same: bool) -> None:
    if not same:
        raise ArtifactError(
            "the shards changed while they were read", "let no other program write to the run directory"
        )
