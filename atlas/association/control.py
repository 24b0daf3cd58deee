"""The built-in nulls: a copy of the firings moved within strata, to be run through the same code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from atlas.firings import Firings, Shard, build_index, write_shard


@numba.njit(cache=True, nogil=True)
def _permute(indptr, ids, labels, d_sae, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Place each feature's firings of a stratum on tokens of it drawn without replacement."""
    n = len(labels)
    out_t = np.empty(len(ids), np.int64)
    out_f = np.empty(len(ids), np.int32)
    at = 0
    counts = np.zeros(d_sae, np.int64)
    place = np.empty(n, np.int64)
    start = 0
    while start < n:
        end = start
        while end < n and labels[end] == labels[start]:
            place[end - start] = end
            end += 1
        size = end - start
        firing = np.unique(ids[indptr[start] : indptr[end]])
        for k in range(indptr[start], indptr[end]):
            counts[ids[k]] += 1
        for f in firing:
            for k in range(counts[f]):  # the first counts[f] places of a partial Fisher-Yates shuffle
                swap = k + int(rng.random() * (size - k))
                place[k], place[swap] = place[swap], place[k]
                out_t[at], out_f[at] = place[k], f
                at += 1
            counts[f] = 0
        start = end
    return out_t, out_f


@numba.njit(cache=True, nogil=True)
def _shift(indptr, ids, labels, d_sae, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Move each feature's firings of a stratum on by one number of tokens, from its end to its beginning."""
    n = len(labels)
    out_t = np.empty(len(ids), np.int64)
    offset = np.empty(d_sae, np.int64)
    start = 0
    while start < n:
        end = start
        while end < n and labels[end] == labels[start]:
            end += 1
        size = end - start
        for f in np.unique(ids[indptr[start] : indptr[end]]):
            offset[f] = int(rng.random() * size)
        for t in range(start, end):
            for k in range(indptr[t], indptr[t + 1]):
                out_t[k] = start + (t - start + offset[ids[k]]) % size
        start = end
    return out_t, ids


def whole_strata(firings: Firings, labels: npt.NDArray[np.integer]) -> Iterator[tuple[Shard, npt.NDArray[np.integer]]]:
    """Yield the shards regrouped so that none ends inside a stratum, with each token's stratum."""
    held: Shard | None = None
    first = 0
    for shard in firings.shards():
        if held is not None:
            shard = _join(held, shard)
        span = labels[first : first + shard.n_tokens]
        end = shard.n_tokens
        if first + end < firings.n_tokens and labels[first + end] == span[-1]:
            end = int(np.searchsorted(span, span[-1]))
        held = _part(shard, end, shard.n_tokens) if end < shard.n_tokens else None
        if end:
            yield _part(shard, 0, end), span[:end]
        first += end


def _part(shard: Shard, low: int, high: int) -> Shard:
    lo, hi = shard.indptr[low], shard.indptr[high]
    return Shard(
        shard.token_id[low:high],
        shard.document[low:high],
        shard.position[low:high],
        shard.indptr[low : high + 1] - lo,
        shard.ids[lo:hi],
        shard.activations[lo:hi],
    )


def _join(one: Shard, two: Shard) -> Shard:
    return Shard(
        np.concatenate([one.token_id, two.token_id]),
        np.concatenate([one.document, two.document]),
        np.concatenate([one.position, two.position]),
        np.concatenate([one.indptr, two.indptr[1:] + one.indptr[-1]]),
        np.concatenate([one.ids, two.ids]),
        np.concatenate([one.activations, two.activations]),
    )


def permute_within_strata(
    firings: Firings, labels: npt.NDArray[np.integer], directory: Path, *, seed: int, keep_activations: bool = False
) -> Firings:
    """Write and return a copy in which each feature's firings are permuted within each stratum.

    Every n_id is kept, every dependence between features and every run is destroyed: whatever is
    claimed of this copy within strata is false. Activations are set to 1, or move with the firings
    where `keep_activations`. Memory holds one shard.

    Parameters
    ----------
    labels
        Stratum of each token, equal ones standing together, shape (N,).
    directory
        Empty directory for the copy.
    seed
        Seed of numpy's PCG64; same seed, same copy.
    """
    return _moved(firings, labels, directory, _permute, seed, keep_activations)


def shift_within_strata(firings: Firings, labels: npt.NDArray[np.integer], directory: Path, *, seed: int) -> Firings:
    """Write and return a copy in which each feature's firings are shifted within each stratum, round its end.

    Each feature moves by a number of tokens of its own, drawn anew in each stratum: every n_id and,
    but for the one that the end cuts, every run is kept, and every dependence between features
    destroyed. It tests the correction for runs, too, which the permuted copy has no need of.
    Parameters and result as in `permute_within_strata`.
    """
    return _moved(firings, labels, directory, _shift, seed)


def _moved(
    firings: Firings,
    labels: npt.NDArray[np.integer],
    directory: Path,
    move: Any,
    seed: int,
    keep_activations: bool = False,
) -> Firings:
    rng = np.random.default_rng(seed)
    number = 0
    for number, (shard, strata) in enumerate(whole_strata(firings, labels), start=1):
        tokens, features = move(shard.indptr, shard.ids, strata, firings.d_sae, rng)
        order = np.lexsort((features, tokens))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(tokens, minlength=shard.n_tokens))])
        values = _by_stratum(shard, strata) if keep_activations else np.ones(len(features), np.float32)
        copy = Shard(
            shard.token_id, shard.document, shard.position, indptr.astype(np.int64), features[order], values[order]
        )
        write_shard(directory, number - 1, copy, d_sae=firings.d_sae)
    build_index(directory, n_shards=number, d_sae=firings.d_sae)
    return Firings(directory)


def _by_stratum(shard: Shard, strata: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Return the activations by stratum and then by feature, the order in which `_permute` places firings."""
    token = np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr))
    order = np.lexsort((shard.ids, np.cumsum(np.diff(strata, prepend=strata[:1]) != 0)[token]))
    found: npt.NDArray[np.float32] = shard.activations[order]
    return found


CONTROLS = {"permute": permute_within_strata, "shift": shift_within_strata}
"""How the copies are made on which the test is repeated."""
