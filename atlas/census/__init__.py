"""What portion of the features is of which sort: magnitude, geometry, role and basis, crossed, with intervals."""

from atlas.census.stage import CENSUS, census

__all__ = ["CENSUS", "census"]
