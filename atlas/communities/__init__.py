"""Communities of features on three nested levels, and the stage that writes them."""

from atlas.communities.leiden import nested_partition, partition
from atlas.communities.stage import CLUSTERS, cluster
from atlas.schema.fields import LEVELS

__all__ = ["CLUSTERS", "LEVELS", "cluster", "nested_partition", "partition"]
