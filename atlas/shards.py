"""Shards: the firings on runs of consecutive tokens, one file each, checked when written and when read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from atlas.errors import ArtifactError, InputError
from atlas.files import write_arrays
from atlas.mapped import ArrayFile

SHARDS = "shards"
_TYPES = {
    "token_id": "int32",
    "document": "int32",
    "position": "int32",
    "indptr": "int64",
    "ids": "int32",
    "activations": "float32",
}
_ENTROPY = "entropy"
_REMEDY = "the firings were not written by this program; make them again with `atlas ingest activations`"


@dataclass(frozen=True)
class Shard:
    """The firings on a run of consecutive kept tokens.

    Attributes
    ----------
    token_id, document, position : int32, shape (n,)
        Vocabulary item, document index and place in the document of each token.
    indptr : int64, shape (n + 1,)
        Token t's firings are entries `indptr[t]:indptr[t + 1]`.
    ids : int32, shape (nnz,)
        Features that fire, ascending within a token.
    activations : float32, shape (nnz,)
        Their activations, in units of unit-norm decoder directions.
    entropy : float32, shape (n,), or None
        Entropy of the model's next token at each token, in nats, where the run has it.
    """

    token_id: npt.NDArray[np.int32]
    document: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    activations: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32] | None = None

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.token_id)


def shard_path(directory: Path, number: int) -> Path:
    """Return where a shard lies in the artifact's directory."""
    return directory / SHARDS / f"shard-{number:05d}.safetensors"


def shard_paths(directory: Path) -> list[Path]:
    """Return the shards of an artifact's directory, in corpus order.

    Raises
    ------
    ArtifactError
        One is missing among them: it is named.
    """
    n_shards = len(list((directory / SHARDS).glob("shard-*.safetensors")))
    paths = [shard_path(directory, number) for number in range(n_shards)]
    for path in paths:
        if not path.exists():
            raise ArtifactError(f"{_place(path)}: missing among {n_shards} shards", _again())
    return paths


def write_shard(directory: Path, number: int, shard: Shard, *, d_sae: int) -> Path:
    """Write a shard after checking it, and return its path.

    Raises
    ------
    InputError
        Ids are out of range or not strictly ascending within a token, an activation is NaN or
        infinite (fault 14), or the lengths disagree. The place is named.
    """
    check_shard(shard, d_sae=d_sae, place=f"shard {number}")
    path = shard_path(directory, number)
    path.parent.mkdir(exist_ok=True)
    write_arrays(path, {name: array for name, array in shard.__dict__.items() if array is not None})
    return path


def read_shard(path: Path, *, d_sae: int) -> Shard:
    """Return a shard as written, after checking it: kernels trust what they are given.

    Raises
    ------
    ArtifactError
        The file is missing, truncated, or holds other arrays than a shard's. It is named.
    InputError
        What it holds breaks the contract of a shard: file, token and feature are named.
    """
    with ArrayFile(path, remedy=_again()) as stored:
        found = {name: stored.dtype(name) for name in stored.names}
        if {**found, _ENTROPY: "float32"} != {**_TYPES, _ENTROPY: "float32"}:
            raise ArtifactError(f"{_place(path)}: holds {found or 'nothing'}, expected {_TYPES}", _again())
        shard = Shard(**{name: stored.read(name) for name in found})
    check_shard(shard, d_sae=d_sae, place=_place(path))
    return shard


def read_shards(paths: Sequence[Path], *, d_sae: int) -> Iterator[tuple[int, Shard]]:
    """Yield (row of its first token, shard) of checked shards, one in memory at a time.

    The files are read, not mapped: mapped pages would count as this process's memory until it ends.
    """
    first = 0
    for path in paths:
        shard = read_shard(path, d_sae=d_sae)
        yield first, shard
        first += shard.n_tokens


def check_shard(shard: Shard, *, d_sae: int, place: str) -> None:
    """Raise `InputError` where a shard breaks its contract; `place` begins the message."""
    n, nnz = shard.n_tokens, len(shard.ids)
    lengths = (len(shard.document), len(shard.position), len(shard.indptr) - 1, len(shard.activations))
    if lengths != (n, n, n, nnz) or (shard.indptr[0], shard.indptr[-1]) != (0, nnz):
        raise InputError(f"{place}: lengths {lengths} do not fit {n} tokens and {nnz} firings", _REMEDY)
    if shard.entropy is not None and not (len(shard.entropy) == n and np.isfinite(shard.entropy).all()):
        raise InputError(f"{place}: {len(shard.entropy)} entropies of {n} tokens, or one that is not finite", _REMEDY)
    if _sound(shard.indptr, shard.ids, shard.activations, d_sae):
        return
    token, at = _first_fault(shard.indptr, shard.ids, shard.activations, d_sae)
    if at < 0:
        raise InputError(f"{place}: the row pointer of token {token} does not ascend", _REMEDY)
    feature, activation = int(shard.ids[at]), float(shard.activations[at])
    if not 0 <= feature < d_sae:
        raise InputError(f"{place}: feature {feature} on token {token}, expected 0..{d_sae - 1}", _REMEDY)
    if at > shard.indptr[token] and feature <= shard.ids[at - 1]:
        raise InputError(f"{place}: ids of token {token} are not strictly ascending", _REMEDY)
    raise InputError(
        f"{place}: activation of feature {feature} on token {token} is {activation}",
        "run the model in float32, and check the SAE's weights",
    )


@numba.njit(cache=True, nogil=True)
def _sound(indptr, ids, activations, d_sae):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether there is no fault: loops without a branch, three times as fast as looking for the place.

    Ids may fall only from one token to the next: as often as they do so at a token's first.
    """
    falls = 0
    for k in range(1, len(ids)):
        falls += ids[k] <= ids[k - 1]
    wrong = 0
    for k in range(len(ids)):
        wrong += (ids[k] < 0) | (ids[k] >= d_sae)
    for k in range(len(ids)):
        wrong += not abs(activations[k]) < np.inf
    for t in range(len(indptr) - 1):
        k, end = indptr[t], indptr[t + 1]
        if end < k or end > len(ids):
            return False
        if 0 < k < end:
            falls -= ids[k] <= ids[k - 1]
    return falls == 0 and wrong == 0


@numba.njit(cache=True, nogil=True)
def _first_fault(indptr, ids, activations, d_sae):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return (token, place in ids) of the first fault; place -1 for the row pointer's."""
    for t in range(len(indptr) - 1):
        if indptr[t + 1] < indptr[t] or indptr[t + 1] > len(ids):
            return t, -1
        last = -1
        for k in range(indptr[t], indptr[t + 1]):
            if ids[k] <= last or ids[k] >= d_sae or not np.isfinite(activations[k]):
                return t, k
            last = ids[k]
    return -1, -1


def _place(path: Path) -> str:
    """Return a shard's path from the artifact's directory on: `10-activations/shards/shard-00003.safetensors`."""
    return Path(*path.parts[-3:]).as_posix()


def _again() -> str:
    return "run `atlas ingest activations` again: it does damaged shards anew, and only those"
