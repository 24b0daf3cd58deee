"""Windows: the documents of a corpus as tokens, cut for the model's context and packed into shards."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.errors import InputError, ServiceError
from atlas.ingest.corpus import Corpus, Document

logger = logging.getLogger("atlas")

_DOCUMENTS_AT_ONCE = 64


@dataclass(frozen=True)
class Stream:
    """All tokens of the documents that are read, in corpus order.

    Attributes
    ----------
    token_id : int32, shape (n_all,)
        Special tokens of the text included, prepended BOS not.
    offsets : int64, shape (n_documents + 1,)
        Document d is `token_id[offsets[d]:offsets[d + 1]]`.
    kept : bool, shape (n_all,)
        False on special tokens.
    names, sources
        Of each document.
    n_empty
        Documents of the corpus without text, which are not counted as documents.
    """

    token_id: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    kept: npt.NDArray[np.bool_]
    names: tuple[str, ...]
    sources: tuple[str, ...]
    n_empty: int

    @property
    def n_kept(self) -> int:
        """Number of kept tokens."""
        return int(self.kept.sum())

    @property
    def kept_per_document(self) -> npt.NDArray[np.int64]:
        """Kept tokens of each document: int64, shape (n_documents,)."""
        before = np.concatenate([[0], np.cumsum(self.kept, dtype=np.int64)])
        return np.diff(before[self.offsets])

    def document(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Return the document of each token from `start` to `stop`: int32."""
        return (np.searchsorted(self.offsets, np.arange(start, stop), side="right") - 1).astype(np.int32)


@dataclass(frozen=True)
class Plan:
    """The stream cut into windows, and the windows packed into shards.

    Attributes
    ----------
    starts : int64, shape (n_windows + 1,)
        Window w is `token_id[starts[w]:starts[w + 1]]`; windows tile the stream and break at documents.
    shards : int64, shape (n_shards + 1,)
        Shard s is the windows `shards[s]:shards[s + 1]`.
    """

    stream: Stream
    starts: npt.NDArray[np.int64]
    shards: npt.NDArray[np.int64]

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return len(self.shards) - 1

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return len(self.starts) - 1

    def span(self, shard: int) -> tuple[int, int]:
        """Return where a shard's tokens begin and end in the stream."""
        return int(self.starts[self.shards[shard]]), int(self.starts[self.shards[shard + 1]])

    def n_kept(self, shard: int) -> int:
        """Return the number of kept tokens of a shard."""
        start, stop = self.span(shard)
        return int(self.stream.kept[start:stop].sum())

    def digest(self) -> str:
        """Return the hex sha256 of tokens, documents, what is kept, windows and shards."""
        total = hashlib.sha256()
        for array in (self.stream.token_id, self.stream.offsets, self.stream.kept, self.starts, self.shards):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def batches(self, shard: int, batch_size: int) -> list[npt.NDArray[np.int64]]:
        """Return the shard's windows in batches: longest first, so that a batch needs little padding.

        Depends on the plan and the batch size alone, never on what an earlier process did.
        """
        windows = np.arange(self.shards[shard], self.shards[shard + 1])
        lengths = np.diff(self.starts)[windows]
        order = windows[np.argsort(-lengths, kind="stable")]
        return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


def plan(stream: Stream, *, window: int, shard_tokens: int) -> Plan:
    """Return the plan: windows of at most `window` tokens, shards of at most `shard_tokens` kept ones."""
    starts = cut_windows(stream.offsets, window)
    before = np.concatenate([[0], np.cumsum(stream.kept, dtype=np.int64)])
    return Plan(stream, starts, pack_shards(np.diff(before[starts]), shard_tokens))


def cut_windows(offsets: npt.NDArray[np.int64], window: int) -> npt.NDArray[np.int64]:
    """Return where windows start, and at the end where the last one stops: int64, ascending.

    Each document is cut from its beginning into pieces of `window` tokens, the last one shorter: no
    window holds tokens of two documents, no token is in two windows.
    """
    pieces = [np.arange(start, stop, window) for start, stop in itertools.pairwise(offsets.tolist())]
    return np.concatenate([*pieces, offsets[-1:]]).astype(np.int64)


def pack_shards(sizes: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """Return where shards start among windows of these sizes, and at the end the number of windows: int64.

    Consecutive windows share a shard while they hold at most `limit` tokens together; a window that is
    larger alone is a shard alone.
    """
    bounds = [0]
    held = 0
    for number, size in enumerate(sizes.tolist()):
        if held and held + size > limit:
            bounds.append(number)
            held = 0
        held += size
    return np.asarray([*bounds, len(sizes)] if len(sizes) else [0], np.int64)


def read_stream(
    corpus: Corpus, tokenizer: Any, *, special: Sequence[int], bos: int | None, tokens: int | None
) -> Stream:
    """Return the tokens of a corpus.

    Parameters
    ----------
    corpus
        Documents, read until there are enough tokens.
    tokenizer
        Of the model; it adds no special tokens.
    special
        Token ids that are not kept.
    bos
        Token prepended to each window, or None. A document that brings its own at its beginning loses it,
        so that no window has it twice (fault 37).
    tokens
        Kept tokens wanted: the stream ends with exactly the last of them. None reads the whole corpus.

    Raises
    ------
    ServiceError
        The corpus ends before the tokens asked for (fault 35).
    InputError
        Nothing is left after special tokens are dropped (fault 45).
    """
    drop = np.asarray(sorted(set(special)), np.int64)
    pieces: list[npt.NDArray[np.int32]] = []
    names, sources = [], []
    n_kept = 0
    for document, ids in _tokenised(corpus.documents(), tokenizer, bos):
        pieces.append(ids)
        names.append(document.name)
        sources.append(document.source)
        n_kept += int((~np.isin(ids, drop)).sum())
        if tokens is not None and n_kept >= tokens:
            break
    if tokens is not None and n_kept < tokens:
        raise ServiceError(
            f"corpus {corpus.name}: ends after {n_kept} tokens, {tokens} were asked for",
            f"give --tokens {n_kept} or leave it out: the corpus is never read a second time to fill up",
        )
    if n_kept == 0:
        raise InputError(
            f"corpus {corpus.name}: no token is left in {len(names)} documents ({corpus.n_empty} are empty)",
            "give a corpus with text, or name fewer special tokens",
        )
    stream = _assembled(pieces, names, sources, drop, corpus.n_empty)
    return stream if tokens is None else _cut(stream, tokens)


def _tokenised(
    documents: Iterable[Document], tokenizer: Any, bos: int | None
) -> Iterable[tuple[Document, npt.NDArray[np.int32]]]:
    documents = iter(documents)
    while batch := list(itertools.islice(documents, _DOCUMENTS_AT_ONCE)):
        encoded = tokenizer([document.text for document in batch], add_special_tokens=False, verbose=False)
        for document, found in zip(batch, encoded["input_ids"], strict=True):
            ids = np.asarray(found, np.int32)
            yield document, ids[1:] if bos is not None and len(ids) and ids[0] == bos else ids


def _assembled(
    pieces: list[npt.NDArray[np.int32]],
    names: list[str],
    sources: list[str],
    drop: npt.NDArray[np.int64],
    n_empty: int,
) -> Stream:
    token_id = np.concatenate(pieces)
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)])
    return Stream(token_id, offsets, ~np.isin(token_id, drop), tuple(names), tuple(sources), n_empty)


def _cut(stream: Stream, tokens: int) -> Stream:
    """Return the stream up to its kept token number `tokens`, which lies in its last document."""
    end = int(np.flatnonzero(stream.kept)[tokens - 1]) + 1
    offsets = np.minimum(stream.offsets, end)
    return Stream(stream.token_id[:end], offsets, stream.kept[:end], stream.names, stream.sources, stream.n_empty)
