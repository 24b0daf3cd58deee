"""What two ascending lists have in common, found by going through them side by side."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def meet(values, i, i_end, j, j_end):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the next places of equal values, `i` and `j` included; one place is at its end where there are none.

    `values` ascends, without repeats, from `i` to `i_end` and from `j` to `j_end`.
    """
    while i < i_end and j < j_end and values[i] != values[j]:
        if values[i] < values[j]:
            i += 1
        else:
            j += 1
    return i, j
