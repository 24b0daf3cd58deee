"""Communities of features on three nested levels, how sure they are, and the stage that writes them."""

from atlas.communities.agreement import adjusted_mutual_information
from atlas.communities.leiden import nested_partition, partition, polish
from atlas.communities.levels import find_level
from atlas.communities.profile import choose_levels, resolution_profile
from atlas.communities.stage import CLUSTERS, cluster
from atlas.schema.fields import LEVELS

__all__ = [
    "CLUSTERS",
    "LEVELS",
    "adjusted_mutual_information",
    "choose_levels",
    "cluster",
    "find_level",
    "nested_partition",
    "partition",
    "polish",
    "resolution_profile",
]
