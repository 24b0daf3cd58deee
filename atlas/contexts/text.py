"""The text of windows: the share of each token, and characters that several tokens make."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from atlas.artifacts import Artifact
from atlas.captions import readable
from atlas.contexts.window import Windows, reach
from atlas.errors import ArtifactError
from atlas.firings import Firings

_REACH = 3  # tokens to either side that may hold bytes of a character which a window cuts: UTF-8 has 4 at most
_CAPTION = 24  # characters to either side in the caption of a context


class Speller:
    """The vocabulary of an artifact of activations, read once, and the texts that windows have by it."""

    def __init__(self, activations: Artifact) -> None:
        self._place = f"{activations.name}/vocabulary"
        vocabulary = activations.table("vocabulary")
        self._known, self._text = vocabulary["token_id"].to_numpy(), vocabulary["text"].combine_chunks()
        self._pieces = _pieces(activations)
        self._texts = dict(zip(self._known.tolist(), self._text.to_pylist(), strict=True)) if self._pieces else {}

    def spell(self, firings: Firings, windows: Windows) -> pa.Array[Any]:
        """Return the shares of each window's tokens in its text: list<string>, shape (n,); joined they are the text.

        Raises
        ------
        ArtifactError
            The vocabulary lacks an item of the corpus.
        """
        items = firings.token_id[windows.rows()]
        places = np.searchsorted(self._known, items)
        missing = np.flatnonzero(~np.isin(items, self._known))
        if missing.size:
            raise ArtifactError(
                f"{self._place}: no row for item {items[missing[0]]}", "run `atlas ingest activations` again"
            )
        shares: pa.Array[Any] = self._text.take(pa.array(places, pa.int64()))
        if self._pieces:
            broken = np.isin(items, list(self._pieces))
            shares = _respelt(
                list(map(str, shares.to_pylist())), broken, firings, windows, self._texts, self._pieces
            )
        return windows.lists(shares)


def _pieces(activations: Artifact) -> dict[int, bytes]:
    """Return the bytes of the items that are no whole characters; other writers of firings may not say them."""
    if not (activations.path / "pieces.parquet").exists():
        return {}
    rows = activations.table("pieces").to_pylist()
    return {row["token_id"]: bytes.fromhex(row["bytes"]) for row in rows}


def _respelt(
    shares: list[str],
    broken: np.ndarray[Any, Any],
    firings: Firings,
    windows: Windows,
    texts: Mapping[int, str],
    pieces: Mapping[int, bytes],
) -> pa.Array[Any]:
    """Return the shares, those of windows with a piece of a character spelt with what is beside the window."""
    last = windows.first + windows.length - 1
    before = reach(windows.first, firings.document, -1, _REACH)
    after = reach(last, firings.document, 1, _REACH)
    starts = windows.starts
    for number in np.unique(np.searchsorted(starts, np.flatnonzero(broken), side="right") - 1).tolist():
        more, length, start = int(before[number]), int(windows.length[number]), int(starts[number])
        rows = slice(int(windows.first[number]) - more, int(last[number] + after[number]) + 1)
        shares[start : start + length] = spell(
            firings.token_id[rows].tolist(),
            firings.position[rows].tolist(),
            own=range(more, more + length),
            at=more + int(windows.at[number]),
            text=texts,
            pieces=pieces,
        )
    return pa.array(shares, pa.string())


def spell(
    tokens: Sequence[int],
    position: Sequence[int],
    *,
    own: range,
    at: int,
    text: Mapping[int, str],
    pieces: Mapping[int, bytes],
) -> list[str]:
    """Return the share of each token of a window in its text, whole characters made of their pieces.

    Tokens of byte-level vocabularies may hold part of a character. Bytes of neighbours are joined before they are
    decoded: the character then stands with one of them, and the others have an empty share. Bytes that no neighbour
    completes read as U+FFFD.

    Parameters
    ----------
    tokens, position
        The window with up to three more tokens to either side, as vocabulary items and places in the document.
    own
        Places of the window itself among them.
    at
        Place of the token of the context: a character that it is part of stands with it, any other with the first
        token of its own.
    text, pieces
        Text of every item, and bytes of those that are no whole characters.
    """
    shares = [text[token] for token in tokens]
    place = 0
    while place < len(tokens):
        end = place
        while end < len(tokens) and tokens[end] in pieces and (
            end == place or position[end] == position[end - 1] + 1
        ):
            end += 1
        if end > place:
            shares[place:end] = _joined([pieces[token] for token in tokens[place:end]], own, at, place)
        place = max(end, place + 1)
    return shares[own.start : own.stop]


def _joined(pieces: Sequence[bytes], own: range, at: int, first: int) -> list[str]:
    """Return the share of each of consecutive pieces, the first of which is token `first`."""
    ends = list(accumulate(map(len, pieces)))
    shares = [""] * len(pieces)
    byte = 0
    for sign in b"".join(pieces).decode("utf8", "surrogateescape"):  # a byte that is no text becomes one surrogate
        size = 1 if "\udc80" <= sign <= "\udcff" else len(sign.encode("utf8"))
        owners = [first + bisect_right(ends, byte + step) for step in range(size)]
        shown = [owner for owner in owners if owner in own]
        if shown:
            shares[(at if at in shown else shown[0]) - first] += sign
        byte += size
    return [share.encode("utf8", "surrogateescape").decode("utf8", "replace") for share in shares]


def caption(tokens: Sequence[str], at: int) -> str:
    """Return a context in one short line, its token in marks; nothing in it can steer a terminal (fault 72)."""
    before, token, after = "".join(tokens[:at]), tokens[at], "".join(tokens[at + 1 :])
    inside = token.strip() != ""
    left = " " if before[-1:].isspace() or (inside and token[:1].isspace()) else ""
    right = " " if after[:1].isspace() or (inside and token[-1:].isspace()) else ""
    before, after = (readable(" ".join(some.split())) for some in (before[-4 * _CAPTION :], after[: 4 * _CAPTION]))
    return f"{before[-_CAPTION:]}{left}«{readable(token[:_CAPTION])}»{right}{after[:_CAPTION]}".strip()
