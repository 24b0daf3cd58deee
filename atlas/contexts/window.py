"""The tokens around a token: windows that stay in their document, and what a feature does in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.firings import Firings
from atlas.tracking import Track, untracked


@dataclass(frozen=True)
class Windows:
    """Runs of rows around tokens.

    Attributes
    ----------
    first, length : int64, shape (n,)
        First row of each window, and how many it has.
    at : int64, shape (n,)
        Place of the token itself in its window.
    """

    first: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each window begins among the tokens of all, one after the other: int64, shape (n,)."""
        return np.cumsum(self.length) - self.length

    def rows(self) -> npt.NDArray[np.int64]:
        """Return the rows of all windows, one after the other: int64, shape (length.sum(),)."""
        return np.arange(self.length.sum()) + np.repeat(self.first - self.starts, self.length)

    def lists(self, values: pa.Array[Any]) -> pa.Array[Any]:
        """Return values of the tokens of all windows, one after the other, as a list for each window."""
        ends = np.concatenate([[0], np.cumsum(self.length)])
        lists: pa.Array[Any] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)
        return lists

    def of(self, chosen: npt.NDArray[np.int64]) -> Windows:
        """Return some of the windows, in the order asked for."""
        return Windows(self.first[chosen], self.length[chosen], self.at[chosen])


def windows_around(rows: npt.NDArray[np.int64], document: npt.NDArray[np.integer], *, window: int) -> Windows:
    """Return the windows of up to `window` kept tokens to either side of each row, within its document.

    Parameters
    ----------
    rows : int64, shape (n,)
    document : shape (n_tokens,)
        Document of each kept token.
    """
    before, after = (reach(rows, document, step, window) for step in (-1, 1))
    return Windows(rows - before, before + 1 + after, before)


def reach(
    rows: npt.NDArray[np.int64], document: npt.NDArray[np.integer], step: int, window: int
) -> npt.NDArray[np.int64]:
    """Return how far each row's document goes on in a direction, `window` rows at most."""
    reach, going = np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
    for distance in range(1, window + 1):
        other = rows + step * distance
        going &= (other >= 0) & (other < len(document))
        going[going] = document[other[going]] == document[rows[going]]
        reach += going
    return reach


def activations_in(
    windows: Windows, index: npt.NDArray[np.int64], firings: Firings, *, track: Track = untracked
) -> npt.NDArray[np.float32]:
    """Return the activation of a feature on each token of a window, 0 where it does not fire.

    Read from the shards, one in memory at a time: what a reservoir left out is there.

    Parameters
    ----------
    windows
        One for each feature asked for.
    index : int64, shape (n,)
        The feature of each window.
    track
        Told of the tokens read.

    Returns
    -------
    float32, shape (length.sum(),), one window after the other
    """
    starts = windows.starts
    found = np.zeros(int(windows.length.sum()), np.float32)
    order = np.argsort(windows.first, kind="stable")
    first = windows.first[order]
    longest = int(windows.length.max(initial=0))
    low = 0
    with track("activations around them", total=firings.n_tokens, unit="tokens") as advance:
        for shard in firings.shards():
            high = low + shard.n_tokens
            some = order[np.searchsorted(first, low - longest) : np.searchsorted(first, high)]
            _look_up(
                shard.indptr, shard.ids, shard.activations, low,
                windows.first[some], windows.length[some], starts[some], index[some], found,
            )  # fmt: skip
            low = high
            advance(shard.n_tokens)
    return found


@numba.njit(cache=True, nogil=True)
def _look_up(indptr, ids, activations, low, first, length, starts, index, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put the activations of each window's feature on the tokens of one shard in their places."""
    for w in range(len(first)):
        for step in range(length[w]):
            t = first[w] + step - low
            if t < 0 or t >= len(indptr) - 1:
                continue
            begin, end = indptr[t], indptr[t + 1]
            at = begin + np.searchsorted(ids[begin:end], index[w])
            if at < end and ids[at] == index[w]:
                found[starts[w] + step] = activations[at]
