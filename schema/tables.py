"""The tables of an atlas's artifacts, as Arrow schemas made from the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.schema import (
    absorption_fields,
    behaviour_fields,
    census_fields,
    comparison_fields,
    context_fields,
    fields,
    magnitude_fields,
    manifold_fields,
    replication_fields,
)
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

        return pa.schema(
            [pa.field(column.name, arrow_type(column), nullable=not column.required) for column in self.columns]
        )


def arrow_type(field: Field) -> pa.DataType:
    """Return the Arrow type of a field's values: integers and floats have 64 bits."""
    import pyarrow as pa

    of: dict[str, pa.DataType] = {
        "string": pa.string(),
        "integer": pa.int64(),
        "float": pa.float64(),
        "boolean": pa.bool_(),
    }
    element = of[field.type.removeprefix("list<").removesuffix(">")]
    return pa.list_(element) if field.type.startswith("list<") else element


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("documents", "10-activations", fields.DOCUMENT_FIELDS, ("document",)),
        Table("vocabulary", "10-activations", fields.VOCABULARY_FIELDS, ("token_id",)),
        Table("pieces", "10-activations", context_fields.PIECE_FIELDS, ("token_id",)),
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
            Table(name, "51-contexts", columns, key)
            for name, columns, key in (
                ("contexts", context_fields.CONTEXT_FIELDS, ("context",)),
                ("feature_contexts", context_fields.FEATURE_CONTEXT_FIELDS, ("index", "context")),
                ("edge_contexts", context_fields.EDGE_CONTEXT_FIELDS, ("a", "b", "context")),
            )
        ),
        *(
            Table(name, "52-rings", columns, key)
            for name, columns, key in (
                ("manifolds", manifold_fields.MANIFOLD_FIELDS, ("manifold",)),
                ("manifold_members", manifold_fields.MANIFOLD_MEMBER_FIELDS, ("manifold", "index")),
                ("manifold_items", manifold_fields.MANIFOLD_ITEM_FIELDS, ("manifold", "place")),
            )
        ),
        *(
            Table(name, "53-absorption", columns, key)
            for name, columns, key in (
                ("absorption", absorption_fields.ABSORPTION_FIELDS, ("child", "parent")),
                ("hedging", absorption_fields.HEDGING_FIELDS, ("a", "b")),
                ("absorption_control", absorption_fields.ABSORPTION_CONTROL_FIELDS, ("claim", "place")),
                ("letters", absorption_fields.LETTER_FIELDS, ("letter",)),
                ("letter_words", absorption_fields.LETTER_WORD_FIELDS, ("letter", "token_id")),
            )
        ),
        Table("magnitude", "54-magnitude", magnitude_fields.MAGNITUDE_FIELDS, ("index",)),
        Table("peaks", "54-magnitude", magnitude_fields.PEAK_FIELDS, ("index", "peak")),
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
        *(
            Table(name, "56-behaviour", columns, key)
            for name, columns, key in (
                ("verdicts", behaviour_fields.VERDICT_TABLE_FIELDS, ("level", "cluster")),
                ("ego_verdicts", behaviour_fields.EGO_VERDICT_TABLE_FIELDS, ("index",)),
                ("agreement", behaviour_fields.AGREEMENT_FIELDS, ("subgraph", "compared")),
                (
                    "agreement_cells",
                    behaviour_fields.AGREEMENT_CELL_FIELDS,
                    ("subgraph", "compared", "shape", "verdict"),
                ),
                ("logic", behaviour_fields.LOGIC_FIELDS, ("a", "b", "c", "kind")),
                ("logic_summary", behaviour_fields.LOGIC_SUMMARY_FIELDS, ("kind",)),
                ("interference", behaviour_fields.INTERFERENCE_FIELDS, ("a", "b")),
                ("means", behaviour_fields.MEANS_FIELDS, ("level", "cluster")),
            )
        ),
        Table("sorts", "57-census", census_fields.SORT_TABLE_FIELDS, ("index",)),
        Table("feature_census", "57-census", census_fields.FEATURE_CENSUS_FIELDS, ("facet", "value")),
        *(
            Table(name, "70-comparison", columns, key)
            for name, columns, key in (
                ("matches", comparison_fields.MATCH_FIELDS, ("index", "other")),
                ("community_matches", comparison_fields.COMMUNITY_MATCH_FIELDS, ("level", "cluster")),
                ("comparison", comparison_fields.COMPARISON_FIELDS, ("structure", "of")),
            )
        ),
    )
}
