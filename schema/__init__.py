"""What a node, a relationship and a table of an atlas are, said once."""

from atlas.schema.fields import Field
from atlas.schema.graph import EDGE_KINDS, NODES, RELATIONSHIPS, SCHEMA_VERSION, ClassLabel, Node, Relationship
from atlas.schema.tables import TABLES, Table

__all__ = [
    "EDGE_KINDS",
    "NODES",
    "RELATIONSHIPS",
    "SCHEMA_VERSION",
    "TABLES",
    "ClassLabel",
    "Field",
    "Node",
    "Relationship",
    "Table",
]
