"""Rings, lines and other figures on which the activations of a set of features lie."""

from atlas.rings.candidates import FeatureSet, ItemSet, Rules, feature_sets, item_sets
from atlas.rings.geometry import Places, Points, places
from atlas.rings.judging import Judged, measure, named, tried
from atlas.rings.stage import RINGS, rings

__all__ = [
    "RINGS",
    "FeatureSet",
    "ItemSet",
    "Judged",
    "Places",
    "Points",
    "Rules",
    "feature_sets",
    "item_sets",
    "measure",
    "named",
    "places",
    "rings",
    "tried",
]
