"""What partial counts must share before they may be added: the order of features, the rules, the source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.errors import InputError

MAX_RULES = 5
"""Firing rules of one pass, `any` included: a pair has 2 to the power of the others counters."""
FIXED_POINT = 1024
"""Units of an activation in joint sums: sums of integers are exact in any order, so parts merge exactly."""
TokenRanges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Scheme:
    """What a count counts, apart from which tokens.

    Parameters
    ----------
    order
        int32, shape (d,): features from the most to the least frequent. Any permutation gives exact
        counts; a good one keeps the hot counters in cache. Feature `order[r]` has rank r.
    rules
        Firing rules; the first is `any`, each other one (`abs:T`, `rel:q`) picks some of its firings.
    sums
        Whether the activations on joint tokens are added up, too.
    source
        Digest of the activations that are counted: it stands for model, SAE and text.

    Raises
    ------
    InputError
        `order` is no permutation, the rules are repeated, too many or do not begin with `any`, or there
        are more features than rank and rules in 32 bits can tell apart (fault 44).
    """

    order: npt.NDArray[np.int32]
    rules: tuple[str, ...] = ("any",)
    sums: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", np.asarray(self.order, np.int32))
        if self.d_sae > 2 ** (32 - self.bits):
            raise InputError(
                f"{self.d_sae} features and {len(self.rules)} rules do not fit in 32 bits", "count fewer rules at once"
            )
        if not np.array_equal(np.sort(self.order), np.arange(self.d_sae)):
            raise InputError("the order of features is not a permutation", "give every feature exactly once")
        if self.rules[:1] != ("any",) or len(set(self.rules)) != len(self.rules) or len(self.rules) > MAX_RULES:
            raise InputError(
                f"firing rules {', '.join(self.rules)}", f"begin with any, at most {MAX_RULES}, each of them once"
            )

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return len(self.order)

    @property
    def bits(self) -> int:
        """Bits of a firing's level: one for each rule beyond `any`."""
        return len(self.rules) - 1

    @property
    def rank(self) -> npt.NDArray[np.uint32]:
        """Rank of each feature: uint32, shape (d,)."""
        rank = np.empty(self.d_sae, np.uint32)
        rank[self.order] = np.arange(self.d_sae, dtype=np.uint32)
        return rank

    def description(self) -> dict[str, Any]:
        """Return the scheme as JSON values, the order by its digest."""
        return {
            "order": hashlib.sha256(self.order.tobytes()).hexdigest(),
            "rules": list(self.rules),
            "sums": self.sums,
            "source": self.source,
        }


def require_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise `InputError` where the descriptions of two schemes differ (fault 43): what differs is named."""
    meaning = {
        "order": "rank the features differently",
        "rules": f"have other firing rules ({', '.join(ours['rules'])}; {', '.join(theirs['rules'])})",
        "sums": "differ in whether activations are summed",
        "source": "come from other activations (another SAE, model or text)",
    }
    found = [phrase for key, phrase in meaning.items() if ours[key] != theirs[key]]
    if found:
        raise InputError(f"the partial counts {' and '.join(found)}", "merge counts made with one scheme")


def join_ranges(*ranges: Iterable[tuple[int, int]]) -> TokenRanges:
    """Return half-open ranges of tokens as one ascending list, neighbours joined.

    Raises
    ------
    InputError
        Two of them overlap (fault 43): a token would be counted twice.
    """
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(one for some in ranges for one in some if one[0] < one[1]):
        if joined and start < joined[-1][1]:
            raise InputError(
                f"tokens {start} to {min(stop, joined[-1][1]) - 1} are counted already",
                "count each token once: leave out the part that was counted before",
            )
        if joined and start == joined[-1][1]:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)
