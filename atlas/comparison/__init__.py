"""Comparison of runs: features matched one to one, structures found again, rates beside rates (`70-comparison`)."""

from atlas.comparison.stage import COMPARISON, compare

__all__ = ["COMPARISON", "compare"]
