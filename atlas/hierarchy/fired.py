"""The tokens on which features fire under a rule: the index by feature, filtered."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.rules import ANY, Rules
from atlas.errors import ArtifactError
from atlas.firings import BY_FEATURE, Firings
from atlas.indexing import stored_bands

BAND_MEMORY = 2**26


@dataclass(frozen=True)
class Fired:
    """The tokens on which chosen features fire under a rule.

    Attributes
    ----------
    indptr : int64, shape (d + 1,)
        Feature i fires on `tokens[indptr[i]:indptr[i + 1]]`; features that were not chosen have none.
    tokens : uint32, shape (nnz,)
        Places in the corpus, ascending within a feature. Four bytes a firing of the chosen features.
    """

    indptr: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.uint32]


def fired_under(
    firings: Firings,
    rules: Rules,
    rule: str,
    firing_count: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
) -> Fired:
    """Return the tokens on which the chosen features fire under a rule, in one pass over the index by feature.

    Parameters
    ----------
    rules
        Rules with what they compare against.
    firing_count
        Firings of each feature under the rule, int64, shape (d,).
    chosen
        Features to keep, bool, shape (d,).

    Raises
    ------
    ArtifactError
        The index does not hold the firings that were counted.
    """
    indptr = np.concatenate([[0], np.cumsum(np.where(chosen, firing_count, 0))]).astype(np.int64)
    tokens = np.empty(int(indptr[-1]), np.uint32)
    for band in stored_bands(firings.directory / BY_FEATURE, memory=BAND_MEMORY):
        ids = np.repeat(np.arange(band.low, band.high, dtype=np.int32), np.diff(band.indptr))
        keep = chosen[ids]
        if rule != ANY:
            keep &= rules.passes(rule, ids, band.activations)
        low, high = int(indptr[band.low]), int(indptr[band.high])
        if int(keep.sum()) != high - low:
            raise ArtifactError(
                f"{firings.directory.name}: the index by feature does not hold the firings that were counted",
                "run `atlas ingest counts` again",
            )
        tokens[low:high] = band.tokens[keep]
    return Fired(indptr, tokens)


@numba.njit(cache=True, nogil=True)
def seek(values, low, high, value):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the first place from `low` on, `high` at most, whose value is not below `value`.

    Steps double, then halve: O(log distance) from where the last search ended, the values being ascending.
    """
    step = np.int64(1)
    end = np.int64(low)
    while end < high and values[end] < value:
        low = end + 1
        end += step
        step *= 2
    end = min(end, high)
    while low < end:
        middle = (low + end) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            end = middle
    return low
