"""Whether claims hold again: everything that a run says, found anew on two halves of its documents."""

from atlas.replication.duplicates import document_groups
from atlas.replication.halves import Split, split
from atlas.replication.stage import REPLICATION, replicate

__all__ = ["REPLICATION", "Split", "document_groups", "replicate", "split"]
