"""Sparse firings on disk: shards by token, and an index by feature built from them in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.errors import InputError
from atlas.files import read_arrays, write_arrays
from atlas.mapped import create_mapped, map_arrays

SHARDS = "shards"
BY_FEATURE = "by_feature.safetensors"
TOKENS = "tokens.safetensors"


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
    """

    token_id: npt.NDArray[np.int32]
    document: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]
    activations: npt.NDArray[np.float32]

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.token_id)


def shard_path(directory: Path, number: int) -> Path:
    """Return where a shard lies in the artifact's directory."""
    return directory / SHARDS / f"shard-{number:05d}.safetensors"


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
    write_arrays(path, shard.__dict__)
    return path


def read_shard(path: Path) -> Shard:
    """Return a shard as written."""
    return Shard(**read_arrays(path))


def check_shard(shard: Shard, *, d_sae: int, place: str) -> None:
    """Raise `InputError` where a shard breaks its contract; `place` begins the message."""
    n, nnz = shard.n_tokens, len(shard.ids)
    lengths = (len(shard.document), len(shard.position), len(shard.indptr) - 1, len(shard.activations))
    remedy = "the firings were not written by this program; make them again with `atlas ingest activations`"
    if lengths != (n, n, n, nnz) or (shard.indptr[0], shard.indptr[-1]) != (0, nnz):
        raise InputError(f"{place}: lengths {lengths} do not fit {n} tokens and {nnz} firings", remedy)
    if nnz == 0:
        return
    if shard.ids.min() < 0 or shard.ids.max() >= d_sae:
        raise InputError(f"{place}: feature {shard.ids.min()}..{shard.ids.max()}, expected 0..{d_sae - 1}", remedy)
    inside = np.ones(nnz, bool)
    inside[shard.indptr[:-1][shard.indptr[:-1] < nnz]] = False  # the first id of a token follows another's last
    falling = np.flatnonzero((np.diff(shard.ids, prepend=-1) <= 0) & inside)
    if falling.size:
        token = int(np.searchsorted(shard.indptr, falling[0], side="right")) - 1
        raise InputError(f"{place}: ids of token {token} are not strictly ascending", remedy)
    bad = np.flatnonzero(~np.isfinite(shard.activations))
    if bad.size:
        token = int(np.searchsorted(shard.indptr, bad[0], side="right")) - 1
        raise InputError(
            f"{place}: activation of feature {shard.ids[bad[0]]} on token {token} is {shard.activations[bad[0]]}",
            "run the model in float32, and check the SAE's weights",
        )


def build_index(directory: Path, *, n_shards: int, d_sae: int) -> None:
    """Write the token table and the index by feature from the shards.

    Two passes over the shards; memory holds one shard and 16 bytes a feature. The results are
    `tokens.safetensors` (token_id, document, position: int32, shape (N,)) and
    `by_feature.safetensors` (indptr int64 (d_sae + 1,), tokens uint32 (nnz,) ascending within a
    feature, activations float32 (nnz,)).

    Raises
    ------
    InputError
        There are 2^32 tokens or more (fault 44).
    """
    paths = [shard_path(directory, number) for number in range(n_shards)]
    counts = np.zeros(d_sae, np.int64)
    n_tokens = 0
    for path in paths:
        shard = map_arrays(path)
        counts += np.bincount(shard["ids"], minlength=d_sae)
        n_tokens += len(shard["token_id"])
    if n_tokens >= 2**32:
        raise InputError(f"{n_tokens} tokens, at most {2**32 - 1} fit one run", "split the corpus into several runs")
    indptr = np.concatenate([[0], np.cumsum(counts)])
    nnz = int(indptr[-1])
    _write_tokens(directory / TOKENS, paths, n_tokens)
    temporary = directory / f".{BY_FEATURE}.partial"
    out = create_mapped(
        temporary,
        {"indptr": ((d_sae + 1,), "int64"), "tokens": ((nnz,), "uint32"), "activations": ((nnz,), "float32")},
    )
    out["indptr"][:] = indptr
    _fill_index(out, paths, indptr)
    temporary.replace(directory / BY_FEATURE)


def _fill_index(out: dict[str, Any], paths: Sequence[Path], indptr: npt.NDArray[np.int64]) -> None:
    free = indptr[:-1].copy()
    first = 0
    for path in paths:
        shard = map_arrays(path)
        ids, n = np.asarray(shard["ids"]), len(shard["token_id"])
        rows = np.repeat(np.arange(first, first + n, dtype=np.uint32), np.diff(shard["indptr"]))
        order = np.argsort(ids, kind="stable")
        counts = np.bincount(ids, minlength=len(free))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        slots = np.arange(len(ids)) + np.repeat(free - starts, counts)
        out["tokens"][slots] = rows[order]
        out["activations"][slots] = shard["activations"][order]
        free += counts
        first += n
    for array in out.values():
        if isinstance(array, np.memmap):
            array.flush()


def _write_tokens(path: Path, paths: Sequence[Path], n_tokens: int) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    names = ("token_id", "document", "position")
    out = create_mapped(temporary, dict.fromkeys(names, ((n_tokens,), "int32")))
    first = 0
    for shard in map(map_arrays, paths):
        n = len(shard["token_id"])
        for name in names:
            out[name][first : first + n] = shard[name]
        first += n
    for array in out.values():
        if isinstance(array, np.memmap):
            array.flush()
    temporary.replace(path)


class Firings:
    """The firings of one artifact, read as they are needed.

    Parameters
    ----------
    directory
        The artifact's directory.

    Attributes
    ----------
    token_id, document, position : int32, shape (n_tokens,)
        Of every kept token, in corpus order.
    d_sae, n_tokens : int
        Features and kept tokens.
    indptr : int64, shape (d_sae + 1,); rows : uint32, shape (nnz,)
        The index by feature: feature i fires on `rows[indptr[i]:indptr[i + 1]]`, ascending places
        in `token_id`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        tokens = map_arrays(directory / TOKENS)
        self.token_id = tokens["token_id"]
        self.document = tokens["document"]
        self.position = tokens["position"]
        index = map_arrays(directory / BY_FEATURE)
        self.indptr = np.asarray(index["indptr"])
        self.rows = index["tokens"]
        self._activations = index["activations"]
        self.d_sae = len(self.indptr) - 1
        self.n_tokens = len(self.token_id)

    @property
    def firing_count(self) -> npt.NDArray[np.int64]:
        """Tokens on which each feature fires: int64, shape (d_sae,)."""
        return np.diff(self.indptr)

    def shards(self) -> Iterator[Shard]:
        """Yield the shards in corpus order."""
        for path in sorted((self.directory / SHARDS).glob("shard-*.safetensors")):
            yield read_shard(path)

    def tokens_of(self, feature: int) -> npt.NDArray[np.uint32]:
        """Return the rows (places in `token_id`) on which a feature fires: uint32, ascending."""
        return np.asarray(self.rows[self.indptr[feature] : self.indptr[feature + 1]])

    def activations_of(self, feature: int) -> npt.NDArray[np.float32]:
        """Return the feature's activations, in the order of `tokens_of`."""
        return np.asarray(self._activations[self.indptr[feature] : self.indptr[feature + 1]])

    def joint_tokens(self, a: int, b: int) -> npt.NDArray[np.uint32]:
        """Return the rows on which both features fire: uint32, ascending.

        The rarer feature's rows are looked up among the other's: O(n_rare log n_common).
        """
        rare, common = sorted((self.tokens_of(a), self.tokens_of(b)), key=len)
        if not len(rare):
            return rare
        place = np.searchsorted(common, rare)
        place[place == len(common)] = 0
        found: npt.NDArray[np.uint32] = rare[common[place] == rare]
        return found
