"""The firings of one artifact: by token from its shards, by feature from its index or its sample of contexts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.errors import ArtifactError, InputError
from atlas.indexing import (
    BY_FEATURE,
    CONTEXTS,
    INDEX_MEMORY,
    TOKENS,
    build_index,
    feature_bands,
    positive_medians,
    reservoir_size,
    stored_bands,
)
from atlas.mapped import ArrayFile, StreamedArrays, map_arrays
from atlas.shards import Shard, read_shards, shard_path, shard_paths, write_shard

__all__ = [
    "BY_FEATURE",
    "CONTEXTS",
    "ENTROPY",
    "TOKENS",
    "Firings",
    "Shard",
    "build_index",
    "shard_path",
    "write_entropy",
    "write_shard",
]
ENTROPY = "entropy.safetensors"


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
    firing_count : int64, shape (d_sae,)
        Tokens on which each feature fires.
    d_sae, n_tokens : int
        Features and kept tokens.
    reservoir : int or None
        Contexts that the run keeps of each feature; None where it keeps all, in an index by feature.

    Raises
    ------
    ArtifactError
        A file is missing or damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        tokens = map_arrays(directory / TOKENS)
        self.token_id = tokens["token_id"]
        self.document = tokens["document"]
        self.position = tokens["position"]
        self.n_tokens = len(self.token_id)
        self.reservoir: int | None = None
        self._kept = directory / BY_FEATURE
        if not self._kept.exists() and (directory / CONTEXTS).exists():
            self._kept = directory / CONTEXTS
            with ArrayFile(self._kept) as stored:
                self.reservoir = reservoir_size(stored.metadata.get("contexts", "all"))
        by_feature = map_arrays(self._kept)
        self._indptr = np.array(by_feature["indptr"])
        self._rows = by_feature["tokens"]
        self._activations = by_feature["activations"]
        count = np.diff(self._indptr) if self.reservoir is None else by_feature["firing_count"]
        self.firing_count: npt.NDArray[np.int64] = np.array(count)
        self.d_sae = len(self.firing_count)

    @property
    def entropy(self) -> npt.NDArray[np.float32] | None:
        """Entropy of the model's next token at each token, nats: float32, shape (n_tokens,); None without any."""
        path = self.directory / ENTROPY
        return map_arrays(path)["entropy"] if path.exists() else None

    @property
    def indptr(self) -> npt.NDArray[np.int64]:
        """Where each feature's entries of `rows` begin: int64, shape (d_sae + 1,)."""
        self.require_index()
        return self._indptr

    @property
    def rows(self) -> np.ndarray[Any, Any]:
        """The index by feature: uint32, shape (nnz,).

        Feature i fires on `rows[indptr[i]:indptr[i + 1]]`, ascending places in `token_id`.
        """
        self.require_index()
        return self._rows

    def require_index(self) -> None:
        """Raise `InputError` where the run keeps a sample of each feature's contexts, and no index."""
        if self.reservoir is not None:
            raise InputError(
                f"{self.directory.name}: the run keeps a reservoir of {self.reservoir} contexts per feature, "
                f"and this needs every one",
                "make the activations in another run directory with `--contexts all`",
            )

    def shards(self) -> Iterator[Shard]:
        """Yield the shards in corpus order, each of them checked.

        Raises
        ------
        ArtifactError
            A shard is missing or truncated, or they are not the shards that the index was built from.
        InputError
            A shard breaks its contract: file, token and feature are named.
        """
        n_tokens = n_firings = 0
        for _, shard in read_shards(shard_paths(self.directory), d_sae=self.d_sae):
            yield shard
            n_tokens, n_firings = n_tokens + shard.n_tokens, n_firings + len(shard.ids)
        expected = (self.n_tokens, int(self.firing_count.sum()))
        if (n_tokens, n_firings) != expected:
            raise ArtifactError(
                f"{self.directory.name}: {n_tokens} tokens and {n_firings} firings in the shards, expected "
                f"{expected[0]} and {expected[1]}",
                "run `atlas ingest activations` again",
            )

    def medians(self, *, memory: int = INDEX_MEMORY) -> npt.NDArray[np.float32]:
        """Return the median of each feature's positive activations: float32, shape (d_sae,).

        It is exact, of an even number the mean of the two in the middle; 0 where a feature never fires
        positively. From the index it takes one pass, from the shards of a run that keeps a reservoir one for each
        `memory` bytes of firings.

        Parameters
        ----------
        memory
            Bytes for the firings that are held at once, 8 each; those of one feature at least.
        """
        if self.reservoir is None:
            return positive_medians(stored_bands(self._kept, memory=memory), self.d_sae)
        bands = feature_bands(shard_paths(self.directory), self.firing_count, memory=memory)
        return positive_medians(bands, self.d_sae)

    def contexts_of(self, feature: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Return what is kept of a feature's firings: rows (uint32, ascending) and activations (float32).

        All of them, or a uniform sample without replacement of at most `reservoir`.
        """
        span = slice(self._indptr[feature], self._indptr[feature + 1])
        return np.asarray(self._rows[span]), np.asarray(self._activations[span])

    def tokens_of(self, feature: int) -> npt.NDArray[np.uint32]:
        """Return the rows (places in `token_id`) on which a feature fires: uint32, ascending."""
        self.require_index()
        return self.contexts_of(feature)[0]

    def activations_of(self, feature: int) -> npt.NDArray[np.float32]:
        """Return the feature's activations, in the order of `tokens_of`."""
        self.require_index()
        return self.contexts_of(feature)[1]

    def joint_tokens(self, a: int, b: int) -> npt.NDArray[np.uint32]:
        """Return the rows on which both features fire: uint32, ascending.

        The rarer feature's rows are looked up among the other's: O(n_rare log n_common).

        Raises
        ------
        InputError
            The run keeps a reservoir of contexts.
        """
        rare, common = sorted((self.tokens_of(a), self.tokens_of(b)), key=len)
        if not len(rare):
            return rare
        place = np.searchsorted(common, rare)
        place[place == len(common)] = 0
        found: npt.NDArray[np.uint32] = rare[common[place] == rare]
        return found


def write_entropy(directory: Path) -> None:
    """Write the entropies of an artifact's shards as one array, in corpus order.

    Raises
    ------
    ArtifactError
        A shard has none, or they are of other tokens than the index.
    """
    n_tokens = len(map_arrays(directory / TOKENS)["token_id"])
    done = 0
    with StreamedArrays(directory / ENTROPY, {"entropy": ((n_tokens,), "float32")}) as out:
        for path in shard_paths(directory):
            with ArrayFile(path) as stored:
                if "entropy" not in stored.names:
                    raise ArtifactError(f"{path}: holds no entropy", "remove the activations, and make them again")
                piece = stored.read("entropy")
            out.write("entropy", piece, at=done)
            done += len(piece)
    if done != n_tokens:
        raise ArtifactError(
            f"{directory.name}: {done} entropies of {n_tokens} tokens", "run `atlas ingest activations` again"
        )
