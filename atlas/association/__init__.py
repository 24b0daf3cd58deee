"""Which pairs of features fire together more, or less, than their documents explain, and by how much."""

from atlas.association.backbone import choose_phi_cut, disparity_filter, mutual_top_k
from atlas.association.control import permute_within_strata, shift_within_strata
from atlas.association.fdr import benjamini_hochberg, benjamini_yekutieli
from atlas.association.measures import measures
from atlas.association.null import lower_tail, upper_tail
from atlas.association.stage import EDGES, associate

__all__ = [
    "EDGES",
    "associate",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "choose_phi_cut",
    "disparity_filter",
    "lower_tail",
    "measures",
    "mutual_top_k",
    "permute_within_strata",
    "shift_within_strata",
    "upper_tail",
]
