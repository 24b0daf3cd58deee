"""The tables of an atlas's artifacts, as Arrow schemas made from the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.schema import fields, replication_fields
from atlas.schema.fields import Field

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """A Parquet table of one artifact.

    Parameters
    ----------
    name
        File name without `.parquet`.
    stage
        Directory of the artifact that holds it.
    columns
        Its columns in order.
    key
        Columns whose values together identify a row; rows are sorted by them.
    """

    name: str
    stage: str
    columns: tuple[Field, ...]
    key: tuple[str, ...]

    def arrow(self) -> pa.Schema:
        """Return the Arrow schema: 64-bit integers and floats, required columns not nullable."""
        import pyarrow as pa

        kinds: dict[str, pa.DataType] = {
            "string": pa.string(),
            "integer": pa.int64(),
            "float": pa.float64(),
            "boolean": pa.bool_(),
            "list<string>": pa.list_(pa.string()),
            "list<float>": pa.list_(pa.float64()),
            "list<integer>": pa.list_(pa.int64()),
        }
        return pa.schema(
            [pa.field(column.name, kinds[column.type], nullable=not column.required) for column in self.columns]
        )


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("documents", "10-activations", fields.DOCUMENT_FIELDS, ("document",)),
        Table("vocabulary", "10-activations", fields.VOCABULARY_FIELDS, ("token_id",)),
        Table("edges", "30-edges", fields.EDGE_FIELDS, ("a", "b")),
        Table("clusters", "40-clusters", fields.CLUSTER_FIELDS, ("level", "cluster")),
        Table("membership", "40-clusters", fields.MEMBERSHIP_FIELDS, ("index", "level")),
        Table("profile", "40-clusters", fields.PROFILE_FIELDS, ("resolution",)),
        Table("parents", "40-clusters", fields.PARENT_FIELDS, ("parent", "child")),
        Table("same_as", "40-clusters", fields.SAME_AS_FIELDS, ("a", "b")),
        Table("parent_summary", "40-clusters", fields.PARENT_SUMMARY_FIELDS, ("index",)),
        Table("peer_clusters", "45-peer", fields.PEER_CLUSTER_FIELDS, ("peer_cluster",)),
        Table("peer_membership", "45-peer", fields.PEER_MEMBERSHIP_FIELDS, ("index",)),
        Table("features", "50-structure", fields.FEATURE_FIELDS, ("index",)),
        Table("egos", "50-structure", fields.EGO_FIELDS, ("index",)),
        Table(
            "shapes",
            "50-structure",
            (
                *fields.named(fields.CLUSTER_FIELDS, "level", "cluster"),
                *fields.CLUSTER_EVIDENCE_FIELDS,
                *fields.SHAPE_FIELDS,
            ),
            ("level", "cluster"),
        ),
        Table("census", "50-structure", fields.CENSUS_FIELDS, ("graph", "subgraph", "shape")),
        Table(
            "census_grid", "50-structure", fields.CENSUS_GRID_FIELDS, ("graph", "phi_cut", "resolution", "shape")
        ),
        *(
            Table(name, "55-replication", columns, key)
            for name, columns, key in (
                ("half_documents", replication_fields.HALF_DOCUMENT_FIELDS, ("document",)),
                ("replicated_edges", replication_fields.REPLICATED_EDGE_FIELDS, ("a", "b")),
                ("replicated_parents", replication_fields.REPLICATED_PARENT_FIELDS, ("parent", "child")),
                ("replicated_same_as", replication_fields.REPLICATED_SAME_AS_FIELDS, ("a", "b")),
                ("replicated_membership", replication_fields.REPLICATED_MEMBERSHIP_FIELDS, ("index", "level")),
                ("replicated_clusters", replication_fields.REPLICATED_CLUSTER_FIELDS, ("level", "cluster")),
                ("replicated_egos", replication_fields.REPLICATED_EGO_FIELDS, ("index",)),
                ("replication", replication_fields.REPLICATION_FIELDS, ("claim", "of")),
            )
        ),
    )
}
