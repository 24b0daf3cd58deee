"""The half of the documents that verdicts are made on, and what a set of features fires there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.captions import readable
from atlas.firings import BY_FEATURE, Firings
from atlas.mapped import map_arrays
from atlas.marks import Bits, add, has, listed, marks_of, place_of

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
JUDGED = 1
"""The half of the documents that verdicts are made on; the shapes that they are held against are the other's."""


@dataclass(frozen=True)
class HeldOut:
    """What is known of each token, and which tokens count.

    Attributes
    ----------
    firings : Firings
        Of the whole run.
    activations : float32, shape (nnz,)
        In the order of `firings.rows`.
    marks : uint64
        The tokens that are in a document of the half, a bit each (`atlas.marks`).
    learned : bool, shape (n_tokens,)
        Whether its document is one of those, every second of the half, that what an item predicts is learned on.
    item : int32, shape (n_tokens,)
        Vocabulary item, case and outer spaces merged.
    place : float32, shape (n_tokens,)
        log2(1 + tokens before it in its context).
    stratum : int32, shape (n_tokens,)
        Span of a document, as the null of edges has them.
    sizes : int64, shape (n_strata,)
        Tokens of each stratum.
    firing_count : int64, shape (d_sae,)
        Tokens of the half on which each feature fires.
    """

    firings: Firings
    activations: npt.NDArray[np.float32]
    marks: Bits = field(repr=False)
    learned: npt.NDArray[np.bool_]
    item: npt.NDArray[np.int32]
    place: npt.NDArray[np.float32]
    stratum: npt.NDArray[np.int32]
    sizes: Integers
    firing_count: Integers
    n_tokens: int = field(init=False)
    """Tokens of the half."""
    n_items: int = field(init=False)

    @classmethod
    def of(
        cls,
        firings: Firings,
        *,
        documents: npt.NDArray[np.integer],
        item: npt.NDArray[np.int32],
        stratum: npt.NDArray[np.int32],
        window: int | None = None,
    ) -> Self:
        """Return the half that consists of some documents.

        Parameters
        ----------
        documents
            Their numbers, ascending.
        window
            Tokens of a context, in which documents are cut from their beginning; None: a document is one.
        """
        document = np.asarray(firings.document)
        on = np.isin(document, documents)
        learned = on & np.isin(document, documents[::2])
        position = np.asarray(firings.position, np.int64)
        before = position if window is None else position % window
        count = _count(firings.indptr, np.asarray(firings.rows), on)
        activations = map_arrays(firings.directory / BY_FEATURE)["activations"]
        return cls(firings, activations, marks_of(on), learned, item, np.log2(1 + before).astype(np.float32), stratum,
                   np.bincount(stratum, minlength=1), count)  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_tokens", int(np.bitwise_count(self.marks).sum()))
        object.__setattr__(self, "n_items", int(self.item.max(initial=-1)) + 1)


@dataclass(frozen=True)
class Fired:
    """The firings of a set of features on the half, by token.

    Attributes
    ----------
    tokens : int64, shape (n,)
        Places of the tokens on which at least one fires, ascending.
    ends : int64, shape (n + 1,)
        Token t's firings are entries `ends[t]:ends[t + 1]`.
    member : int32, shape (nnz,)
        Place of the feature in the set, ascending within a token.
    activation : float64, shape (nnz,)
    """

    tokens: Integers
    ends: Integers
    member: npt.NDArray[np.int32]
    activation: Floats

    @classmethod
    def of(cls, half: HeldOut, members: npt.NDArray[np.integer], scratch: Bits) -> Self:
        """Return what the members fire.

        Parameters
        ----------
        scratch
            No marks (`atlas.marks.no_marks` of the tokens); none again afterwards.
        """
        stored = half.firings
        starts, stops = stored.indptr[members], stored.indptr[np.asarray(members) + 1]
        return cls(*_gather(starts, stops, np.asarray(stored.rows), half.activations, half.marks, scratch))

    @classmethod
    def windows(
        cls, half: HeldOut, members: npt.NDArray[np.integer], scratch: Bits, *, most: int
    ) -> Iterator[Self]:
        """Yield the same of one run of tokens after the other, of about `most` firings each."""
        stored, rows = half.firings, np.asarray(half.firings.rows)
        starts, stops = stored.indptr[members], stored.indptr[np.asarray(members) + 1]
        n = max(1, -(-int((stops - starts).sum()) // most))
        for token in np.linspace(0, stored.n_tokens, n + 1).astype(np.int64)[1:].tolist():
            own = zip(starts.tolist(), stops.tolist(), strict=True)
            ends = np.array([low + np.searchsorted(rows[low:high], token) for low, high in own], np.int64)
            yield cls(*_gather(starts, ends, rows, half.activations, half.marks, scratch))
            starts = ends


def merged_items(firings: Firings, vocabulary: Sequence[dict[str, Any]]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the item of each token with case and outer spaces merged (int32, shape (n_tokens,)), and their texts.

    Parameters
    ----------
    vocabulary
        Rows of the table, `token_id` and `text`.
    """
    texts = {row["token_id"]: readable(row["text"]).casefold() for row in vocabulary}
    names = sorted(set(texts.values()))
    number = {name: place for place, name in enumerate(names)}
    table = np.zeros(max(texts, default=0) + 1, np.int32)
    for token, text in texts.items():
        table[token] = number[text]
    return table[np.asarray(firings.token_id)], names


@numba.njit(cache=True, nogil=True)
def _count(indptr, rows, on):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    found = np.zeros(len(indptr) - 1, np.int64)
    for feature in range(len(indptr) - 1):
        for token in rows[indptr[feature] : indptr[feature + 1]]:
            found[feature] += on[token]
    return found


@numba.njit(cache=True, nogil=True)
def _gather(starts, stops, rows, activations, on, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return tokens, ends, members and activations: marked, listed in order, then filled member by member."""
    total = 0
    for k in range(len(starts)):
        for token in rows[starts[k] : stops[k]]:
            if has(on, token):
                add(scratch, token)
                total += 1
    tokens, before = listed(scratch)
    ends, place, n = np.zeros(len(tokens) + 1, np.int64), np.empty(total, np.int32), 0
    for k in range(len(starts)):
        for token in rows[starts[k] : stops[k]]:
            if has(on, token):
                place[n] = place_of(scratch, before, token)
                ends[place[n] + 1] += 1
                n += 1
    for t in range(len(tokens)):
        ends[t + 1] += ends[t]
    member, activation, filled, n = np.empty(total, np.int32), np.empty(total, np.float64), ends[:-1].copy(), 0
    for k in range(len(starts)):
        for e in range(starts[k], stops[k]):
            if has(on, rows[e]):
                at = filled[place[n]]
                member[at], activation[at] = k, activations[e]
                filled[place[n]] += 1
                n += 1
    scratch[:] = 0
    return tokens, ends, member, activation
