"""Which table feeds which label and type of the graph: as data, for both ways of loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from atlas.schema.graph import POINTS


@dataclass(frozen=True)
class Key:
    """How the uid of a node is made: the atlas's name, a word where there is one, and columns' values, by colons.

    Parameters
    ----------
    label
        Of the node.
    columns
        Of the table at hand.
    """

    label: str
    columns: tuple[str, ...]

    @property
    def word(self) -> str:
        """What sets its uids apart from those of other labels."""
        return _WORDS.get(self.label, "")


_WORDS = {
    "PeerCluster": "peer", "Edge": "CO_OCCURS", "Context": "context", "Manifold": "manifold", "Peak": "peak",
    "Letter": "letter",
}  # fmt: skip


@dataclass(frozen=True)
class NodeTable:
    """The table that has a row for each node of a label.

    Parameters
    ----------
    table
        Its name.
    key
        What its uids are made of.
    beside
        Tables of the same key whose columns are properties, too; of several columns of one name the first counts.
    needed
        Those of `beside` that must have a row for every node.
    lists
        A table whose rows are gathered by the key, and the list that each of its columns becomes.
    named
        The column that is the name of its nodes, where none is called so; a node without either has its hub's.
    """

    table: str
    key: Key
    beside: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    lists: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: str = ""


@dataclass(frozen=True)
class LinkTable:
    """A table that has a row for each relationship of a type.

    Parameters
    ----------
    table
        Its name.
    start, end
        The nodes, by its columns.
    beside
        As of a `NodeTable`.
    where
        A column of booleans, where only rows with a true one count.
    uid
        Columns of the relationship's own uid, where its type is keyed.
    """

    table: str
    start: Key
    end: Key
    beside: tuple[str, ...] = ()
    where: str = ""
    uid: tuple[str, ...] = ()


def _feature(column: str = "index") -> Key:
    return Key("Feature", (column,))


_CLUSTER = Key("Cluster", ("level", "cluster"))
_PEER_CLUSTER = Key("PeerCluster", ("peer_cluster",))
_CONTEXT = Key("Context", ("context",))
_MANIFOLD = Key("Manifold", ("manifold",))
_PEAK = Key("Peak", ("index", "peak"))
_LETTER = Key("Letter", ("letter",))

NODE_TABLES: dict[str, NodeTable] = {
    source.key.label: source
    for source in (
        NodeTable(
            "features",
            _feature(),
            beside=("egos", "parent_summary", "replicated_egos", "magnitude", "ego_verdicts", "sorts"),
        ),
        NodeTable(
            "clusters", _CLUSTER, beside=("shapes", "replicated_clusters", "verdicts", "means"), needed=("shapes",)
        ),
        NodeTable("peer_clusters", _PEER_CLUSTER),
        NodeTable("contexts", _CONTEXT),
        NodeTable(
            "manifolds",
            _MANIFOLD,
            lists={"manifold_items": {column: made.name for column, made in POINTS.items()}},
        ),
        NodeTable("peaks", _PEAK, named="cause"),
        NodeTable("letters", _LETTER, named="letter"),
    )
}
"""By label: all but `:Atlas`, which is of no table, and `:Edge`, which is a relationship, too."""

EDGE_TABLES = ("replicated_edges", "interference")
"""Tables beside `edges`, whose columns are properties of `:Edge`."""

SHIFTS = {"shift_a": "q_a", "shift_b": "q_b"}
"""Columns of these that are loaded where another, an adjusted p, is `SHIFT_Q` or less, and absent elsewhere."""

LINK_TABLES: dict[str, tuple[LinkTable, ...]] = {
    "PARENT_OF": (
        LinkTable(
            "parents", _feature("parent"), _feature("child"), beside=("replicated_parents",), where="direct"
        ),
    ),
    "SAME_AS": (LinkTable("same_as", _feature("a"), _feature("b"), beside=("replicated_same_as",)),),
    "IN_CLUSTER": (LinkTable("membership", _feature(), _CLUSTER, beside=("replicated_membership",)),),
    "IN_PEER_CLUSTER": (LinkTable("peer_membership", _feature(), _PEER_CLUSTER),),
    "FIRES_IN": (LinkTable("feature_contexts", _feature(), _CONTEXT),),
    "SEEN_IN": (LinkTable("edge_contexts", Key("Edge", ("a", "b")), _CONTEXT),),
    "ON_MANIFOLD": (LinkTable("manifold_members", _feature(), _MANIFOLD),),
    "ABSORBS": (LinkTable("absorption", _feature("child"), _feature("parent")),),
    "HEDGES": (LinkTable("hedging", _feature("a"), _feature("b")),),
    "SPELLS": (LinkTable("letters", _feature(), _LETTER),),
    "STANDS_IN": (LinkTable("letter_words", _feature("absorbing"), _LETTER, uid=("letter", "token_id")),),
    "PEAKS_AT": (LinkTable("peaks", _feature(), _PEAK),),
    "COMBINES": tuple(
        LinkTable("logic", _feature("c"), _feature(of), uid=("kind", "a", "b", "c", of)) for of in ("a", "b")
    ),
}
"""By type: those that are rows of tables."""

LINKS = (*LINK_TABLES, "PART_OF", "WITHIN")
"""The types that are loaded after nodes and edges, each of which starts at one label."""
