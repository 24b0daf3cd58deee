"""Composition or ambiguity: the rule that makes a verdict of the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atlas.behaviour.evidence import MIN_FIRINGS, MIN_SHARE, Evidence

Verdict = Literal["composition", "ambiguity", "neither", "undetermined"]
VERDICTS: tuple[Verdict, ...] = ("composition", "ambiguity", "neither", "undetermined")


@dataclass(frozen=True)
class Criteria:
    """Thresholds of the verdict, chosen on planted worlds of seeds below 100.

    Attributes
    ----------
    min_joint : int
        Joint tokens that a verdict needs.
    min_lift : float
        Joint lift from which the members fire together at all.
    same_item, one_item : float
        Share of the joint tokens on one item from which that is the token they share, and above which it is the only
        one that counts.
    trade_off, strong_trade_off : float
        Median correlation of activations up to which they may be rivals, and up to which they are no parts.
    falls : float
        Trend over the context up to which joint firing falls,
    falls_z : float
        and that trend in standard deviations.
    predicts : float
        Share of variance that a token's item must predict beyond permuted items.
    """

    min_joint: int = 50
    min_lift: float = 2.0
    same_item: float = 0.5
    one_item: float = 0.7
    trade_off: float = 0.0
    strong_trade_off: float = -0.1
    falls: float = -0.05
    falls_z: float = -3.0
    predicts: float = 0.05


def verdict(size: int, found: Evidence, criteria: Criteria | None = None) -> tuple[Verdict, str]:
    """Return the verdict on a subgraph of `size` members, and what decided it.

    `ambiguity`: the members fire together on one item, their activations trade off, and they do so less the more
    context there is: rival readings. `composition`: they fire together on different items, which predict where in
    the members' space a token lies, without a trade-off and no less with more context: parts that add up.
    `neither`: they do not fire together, or on one item without any rivalry, or on tokens that say nothing of which.
    Everything else is `undetermined`.

    Neither phi nor the association of leaves is read. The joint lift is: of a set that does not fire together there
    is nothing to ask. It is one number for all members, which a star has as well as a clique.

    Parameters
    ----------
    criteria
        Thresholds; the defaults are the calibrated ones.

    Notes
    -----
    A verdict says how firings behave. That two features are readings of a token, or parts of a meaning, is read into
    it by people, who should look at the contexts.
    """
    c = criteria or Criteria()
    if found.judged_members < max(2, MIN_SHARE * size):
        return "undetermined", f"members with fewer than {MIN_FIRINGS} firings"
    if found.joint_lift is not None and found.joint_lift < c.min_lift:
        return "neither", "no more together than chance"
    if found.joint_tokens < c.min_joint or found.item_share is None:
        return "undetermined", "few joint tokens"
    if found.strength_correlation is None or found.position_z is None or found.position_trend is None:
        return "undetermined", "no two members on one item often enough"
    falls = found.position_trend <= c.falls and found.position_z <= c.falls_z
    if falls and found.item_share >= c.same_item and found.strength_correlation <= c.trade_off:
        return "ambiguity", "one item, a trade-off that context ends"
    if falls:
        return "undetermined", "falls with context alone"
    if found.strength_correlation <= c.strong_trade_off:
        return "undetermined", "a trade-off alone"
    if found.item_share > c.one_item:
        return "neither", "one item, no rivalry"
    return _by_items(found, c)


def _by_items(found: Evidence, c: Criteria) -> tuple[Verdict, str]:
    if found.item_r2 is None or found.item_r2_null is None:
        return "undetermined", "too few tokens to learn items from"
    if found.item_r2 - max(found.item_r2_null, 0.0) >= c.predicts:
        return "composition", "different items, which predict the parts"
    return "neither", "items say nothing of the parts"

