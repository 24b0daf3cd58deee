"""Exact co-occurrence counts: which pairs of features fire on the same token, and how often."""

from atlas.counting.counts import PairCounts
from atlas.counting.rowwise import RowwiseCounter
from atlas.counting.stage import COUNTS, count
from atlas.counting.strata import span_labels, stratified_counts

__all__ = ["COUNTS", "PairCounts", "RowwiseCounter", "count", "span_labels", "stratified_counts"]
