"""Which features fire wherever others do: parents and children, and features that are the same."""

from atlas.hierarchy.candidates import Limits, PairBlock, find_candidates, wilson_lower_bound
from atlas.hierarchy.division import Divisions, Thresholds, divide
from atlas.hierarchy.fired import Fired, fired_under
from atlas.hierarchy.parents import Relations, find_parents, odds_ratios
from atlas.hierarchy.reduction import depths, direct_pairs, n_ancestors
from atlas.hierarchy.stage import check_rules, require_rule, write_hierarchy

__all__ = [
    "Divisions",
    "Fired",
    "Limits",
    "PairBlock",
    "Relations",
    "Thresholds",
    "check_rules",
    "depths",
    "direct_pairs",
    "divide",
    "find_candidates",
    "find_parents",
    "fired_under",
    "n_ancestors",
    "odds_ratios",
    "require_rule",
    "wilson_lower_bound",
    "write_hierarchy",
]
