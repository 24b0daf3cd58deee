"""Two halves of the documents: who is in which, and the firings of one as an index of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.firings import Firings, Shard, build_index, write_shard
from atlas.replication.duplicates import document_starts


@dataclass(frozen=True)
class Split:
    """Which document is in which half.

    Attributes
    ----------
    document : int32, shape (n_documents,)
        Numbers of the documents, as the tokens have them.
    n_tokens : int64, shape (n_documents,)
        Kept tokens of each.
    group : int64, shape (n_documents,)
        Near duplicates have the same, and are in the same half.
    half : int8, shape (n_documents,)
        0 or 1.
    """

    document: npt.NDArray[np.int32]
    n_tokens: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    half: npt.NDArray[np.int8]

    @property
    def n_groups(self) -> int:
        """Groups: what is drawn."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def repeated(self) -> npt.NDArray[np.bool_]:
        """Whether each document has a near duplicate."""
        repeated: npt.NDArray[np.bool_] = np.bincount(self.group)[self.group] > 1
        return repeated


def split(firings: Firings, group: npt.NDArray[np.int64], *, seed: int) -> Split:
    """Return two halves of about as many tokens; near duplicates stay together.

    Groups go, the largest first and those of equal size in random order, to the half that has fewer tokens so far.

    Parameters
    ----------
    group
        Group of each document, as `document_groups` numbers them.
    """
    starts = document_starts(firings.document)
    sizes = np.diff(starts)
    weight = np.bincount(group, sizes, minlength=0).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(weight))
    order = order[np.argsort(-weight[order], kind="stable")]
    side = np.zeros(len(weight), np.int8)
    total = [0, 0]
    for one in order.tolist():
        side[one] = int(total[1] < total[0])
        total[side[one]] += int(weight[one])
    return Split(np.asarray(firings.document[starts[:-1]]), sizes, group, side[group])


def write_half(firings: Firings, some: Split, half: int, directory: Path) -> Firings:
    """Return the firings of one half, written to a directory as shards with an index by feature."""
    directory.mkdir(parents=True)
    member = np.repeat(some.half == half, some.n_tokens)
    n_shards = 0
    for shard in _pieces(firings, member):
        write_shard(directory, n_shards, shard, d_sae=firings.d_sae)
        n_shards += 1
    build_index(directory, n_shards=n_shards, d_sae=firings.d_sae)
    return Firings(directory)


def _pieces(firings: Firings, member: npt.NDArray[np.bool_]) -> Iterator[Shard]:
    """Yield what a half has of each shard."""
    first = 0
    for shard in firings.shards():
        own = member[first : first + shard.n_tokens]
        first += shard.n_tokens
        if not own.any():
            continue
        level = np.diff(shard.indptr)
        entries = np.repeat(own, level)
        yield Shard(
            shard.token_id[own],
            shard.document[own],
            shard.position[own],
            np.concatenate([[0], np.cumsum(level[own])]).astype(np.int64),
            shard.ids[entries],
            shard.activations[entries],
        )
