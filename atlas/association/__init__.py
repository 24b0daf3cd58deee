"""Which pairs of features fire together more than their documents explain, and by how much."""

from atlas.association.backbone import choose_phi_cut
from atlas.association.control import permute_within_strata
from atlas.association.fdr import benjamini_hochberg
from atlas.association.measures import measures
from atlas.association.null import lower_tail, upper_tail
from atlas.association.stage import EDGES, associate

__all__ = [
    "EDGES",
    "associate",
    "benjamini_hochberg",
    "choose_phi_cut",
    "lower_tail",
    "measures",
    "permute_within_strata",
    "upper_tail",
]
