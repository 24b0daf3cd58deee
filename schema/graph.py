"""The graph's nodes and relationships: labels, types, properties, keys, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    threshold_fields,
)
from atlas.schema.fields import ATLAS, LOAD_ID, NAME, UID, Field

SCHEMA_VERSION = 5
"""Version of the graph's schema, kept on every `:Atlas`; a database of another version is refused."""


@dataclass(frozen=True)
class ClassLabel:
    """A further label that a class or role gives a node: Browser styles nodes by label alone.

    Parameters
    ----------
    label
        The label.
    meaning
        What it says of the node.
    property, value
        The node has the label where this property has this value; both empty where a role in a
        relationship decides.
    """

    label: str
    meaning: str
    property: str = ""
    value: str = ""


@dataclass(frozen=True)
class Node:
    """A kind of node.

    Parameters
    ----------
    label
        Its label.
    meaning
        What one node is.
    properties
        Its properties; `uid` is its key.
    classes
        Further labels that a class or role gives it.
    indexes
        Properties, or tuples of properties, that queries look it up by.
    fulltext
        Properties that are searched as text.
    vector
        The property that is searched by nearness, of a cosine; empty where there is none.
    """

    label: str
    meaning: str
    properties: tuple[Field, ...]
    classes: tuple[ClassLabel, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    fulltext: tuple[str, ...] = ()
    vector: str = ""


@dataclass(frozen=True)
class Relationship:
    """A kind of relationship, from nodes of one of the labels `start` to nodes of `end`.

    Parameters
    ----------
    keyed
        Whether it carries a `uid` of its own, unique per type.
    """

    type: str
    start: tuple[str, ...]
    end: str
    meaning: str
    properties: tuple[Field, ...] = ()
    keyed: bool = False


POINTS = {
    "item": Field("items", "list<string>", "its points: vocabulary items, or names of members", required=False),
    "x": Field("item_x", "list<float>", "of each point, its place on the plane, first component", required=False),
    "y": Field("item_y", "list<float>", "of each point, its place on the plane, second component", required=False),
    "n_tokens": Field("item_tokens", "list<integer>", "of each point, the tokens that it is the mean of", "tokens", 1,
                      required=False),
}  # fmt: skip
"""Lists of a `:Manifold` by the column of `manifold_items` that they are made from, in the order of that table."""


def _without(known: tuple[Field, ...], *names: str, optional: bool = False) -> tuple[Field, ...]:
    """Return the fields of other names; `optional` where a run may lack their table, or a row of it."""
    kept = (field for field in known if field.name not in names)
    return tuple(replace(field, required=field.required and not optional) for field in kept)


NODES: dict[str, Node] = {
    node.label: node
    for node in (
        Node(
            "Atlas",
            "what one SAE's features do together on one corpus, and how it was made",
            (
                UID,
                ATLAS,
                *fields.ATLAS_FIELDS,
                Field("artifacts", "string", "the digests of the artifacts that it was loaded from, by name, as JSON"),
                *replication_fields.ATLAS_HALVES,
                *threshold_fields.THRESHOLD_FIELDS,
            ),
        ),
        Node(
            "Feature",
            "one feature of the SAE",
            (
                UID,
                ATLAS,
                LOAD_ID,
                *fields.FEATURE_FIELDS,
                *_without(fields.EGO_FIELDS, "index", "ego_size", "leaf_density", optional=True),
                *(replace(f, required=False, set_by="classify")
                  for f in fields.named(fields.EGO_FIELDS, "ego_size", "leaf_density")),
                *_without(fields.PARENT_SUMMARY_FIELDS, "index", optional=True),
                *fields.EGO_CLASS_FIELDS,
                *replication_fields.EGO_HALVES,
                *_without(magnitude_fields.MAGNITUDE_FIELDS, "index", *magnitude_fields.OF_PEAKS, optional=True),
                *_without(behaviour_fields.EGO_VERDICT_FIELDS, optional=True),
                *_without(census_fields.SORT_FIELDS, optional=True),
                fields.DECODER_DIRECTION,
            ),
            (
                ClassLabel("Dead", "fires too rarely to be tested", "class", "dead"),
                ClassLabel("Dense", "fires on more than a tenth of the tokens", "class", "dense"),
                ClassLabel("Hub", "hub of a hub-spoke or star-like community"),
                ClassLabel("EgoHubSpoke", "its leaves are exclusive under it", "ego_shape", "hub-spoke"),
                ClassLabel("EgoJoint", "its leaves fire together under it", "ego_shape", "joint"),
                ClassLabel("EgoMixed", "neither, or too little to tell", "ego_shape", "mixed"),
            ),
            indexes=(("atlas", "index"), ("atlas", "ego_shape")),
            fulltext=("name", "top_tokens"),
            vector="decoder_direction",
        ),
        Node(
            "Edge",
            "an edge of the backbone as a node, so that it can carry evidence",
            (
                UID,
                ATLAS,
                LOAD_ID,
                NAME,
                *fields.EDGE_NODE_FIELDS,
                replication_fields.EDGE_HALVES,
                *behaviour_fields.EDGE_SHIFTS,
            ),
            indexes=(("atlas", "phi"),),
        ),
        Node(
            "Cluster",
            "a community of features on one level",
            (
                UID,
                ATLAS,
                LOAD_ID,
                *_without(fields.CLUSTER_FIELDS, "parent"),
                *fields.CLUSTER_EVIDENCE_FIELDS,
                *fields.SHAPE_FIELDS,
                fields.IDEAL,
                *replication_fields.CLUSTER_HALVES,
                *_without(behaviour_fields.CLUSTER_VERDICT_FIELDS, optional=True),
                *_without(behaviour_fields.MEANS_FIELDS, "level", "cluster", optional=True),
            ),
            (
                ClassLabel("Pair", "two members", "shape", "pair"),
                ClassLabel("Triangle", "three members, all connected", "shape", "triangle"),
                ClassLabel("FullyConnected", "density .8 or more", "shape", "fully connected"),
                ClassLabel("HubSpoke", "a star whose leaves are exclusive given the hub", "shape", "hub-spoke"),
                ClassLabel("StarLike", "a star by topology alone, which chance makes as often", "shape", "star-like"),
                ClassLabel("Undetermined", "none of these", "shape", "undetermined"),
                ClassLabel("Chain", "undetermined, and a chain", "ideal", "chain"),
                ClassLabel("Ring", "undetermined, and a ring", "ideal", "ring"),
                ClassLabel("Bipartite", "undetermined, and of two parts with edges between them", "ideal", "bipartite"),
                ClassLabel("CorePeriphery", "undetermined, and a core with nodes around it", "ideal", "core-periphery"),
            ),
            indexes=(("atlas", "level"), ("atlas", "shape")),
            fulltext=("name", "top_tokens"),
        ),
        Node(
            "PeerCluster",
            "a cluster of features by the method of Clarke, Bhatnagar and Bloom (2024), to compare; its name is its "
            "hub's",
            (UID, ATLAS, LOAD_ID, NAME, *fields.PEER_CLUSTER_FIELDS),
            indexes=(("atlas", "peer_cluster"),),
        ),
        Node(
            "Context",
            "a token of the corpus with the text around it: where features fire, and edges are seen",
            (UID, ATLAS, LOAD_ID, *context_fields.CONTEXT_FIELDS),
            indexes=(("atlas", "document"),),
            fulltext=("text",),
        ),
        Node(
            "Manifold",
            "a set of features whose activations rebuild points that lie on a ring, a line or another figure; the "
            "lists of its points are in the order found",
            (UID, ATLAS, LOAD_ID, *manifold_fields.MANIFOLD_FIELDS, *POINTS.values()),
            indexes=(("atlas", "geometry"),),
        ),
        Node(
            "Peak",
            "a peak of a feature's activations, with what sets its firings apart from the feature's others and the "
            "evidence for it, whatever the cause; its name is the cause",
            (UID, ATLAS, LOAD_ID, NAME, *magnitude_fields.PEAK_FIELDS),
            indexes=(("atlas", "cause"),),
        ),
        Node(
            "Letter",
            "a first letter of words, with the feature that reads it best: claimed where `n_missing` is there",
            (UID, ATLAS, LOAD_ID, NAME, *absorption_fields.LETTER_FIELDS),
            indexes=(("atlas", "letter"),),
        ),
    )
}

_CONDITIONALS = ("p_a_given_b", "p_b_given_a")
_EDGES = (
    (
        "CO_OCCURS",
        "fire on the same token more than their documents explain",
        ("joint_count", "phi", "lift_d", "lift_t", "basis", *_CONDITIONALS),
    ),
    (
        "CO_TOPIC",
        "fire in the same documents, and on the same token no more than these explain",
        ("joint_count", "phi", "lift", "lift_d", "basis"),
    ),
    (
        "EXCLUDES",
        "fire on the same token less than their documents explain",
        ("joint_count", "expected", "phi_d", "lift_d", "lift_t", "basis", "q"),
    ),
)
EDGE_KINDS = tuple(kind for kind, _, _ in _EDGES)
"""Types of the relationships that are edges of the atlas: each is an `:Edge` node, too."""

RELATIONSHIPS: dict[str, Relationship] = {
    relationship.type: relationship
    for relationship in (
        *(
            Relationship(
                kind,
                ("Feature",),
                "Feature",
                f"{meaning}; stored once, from the lower to the higher index",
                (UID, ATLAS, LOAD_ID, *fields.named(fields.EDGE_FIELDS, *properties), replication_fields.EDGE_HALVES),
                keyed=True,
            )
            for kind, meaning, properties in _EDGES
        ),
        Relationship(
            "PARENT_OF",
            ("Feature",),
            "Feature",
            "fires wherever the other does, and elsewhere; direct pairs only, what follows from others is a path",
            (
                LOAD_ID,
                *_without(fields.PARENT_FIELDS, "parent", "child", "direct"),
                replication_fields.PARENT_HALVES,
            ),
        ),
        Relationship(
            "SAME_AS",
            ("Feature",),
            "Feature",
            "fire on nearly the same tokens; stored once, from the lower to the higher index",
            (LOAD_ID, *_without(fields.SAME_AS_FIELDS, "a", "b"), replication_fields.PARENT_HALVES),
        ),
        Relationship("ENDPOINT_OF", ("Feature",), "Edge", "is one of the edge's two features"),
        Relationship(
            "WITHIN", ("Edge",), "Cluster", "both features of the `CO_OCCURS` edge are members", (LOAD_ID,)
        ),
        Relationship(
            "IN_CLUSTER",
            ("Feature",),
            "Cluster",
            "is a member",
            (
                LOAD_ID,
                *fields.named(fields.MEMBERSHIP_FIELDS, "stability", "second_cluster", "second_share"),
                replication_fields.MEMBER_HALVES,
                Field("role", "string", "`hub` or `leaf` where the community is a star, else `member`", required=False,
                      set_by="classify"),
            ),
        ),
        Relationship(
            "PART_OF",
            ("Cluster",),
            "Cluster",
            "lies inside the community of the next coarser level",
            (
                LOAD_ID,
                Field("share", "float", "share of the coarser community's members that it holds", low=0, high=1),
            ),
        ),
        Relationship("IN_PEER_CLUSTER", ("Feature",), "PeerCluster", "is a member", (LOAD_ID,)),
        Relationship(
            "FIRES_IN",
            ("Feature",),
            "Context",
            "fires on the token of the context",
            (LOAD_ID, *_without(context_fields.FEATURE_CONTEXT_FIELDS, "index", "context")),
        ),
        Relationship(
            "SEEN_IN",
            ("Edge",),
            "Context",
            "both features of the `CO_OCCURS` edge fire on the token of the context",
            (LOAD_ID, *_without(context_fields.EDGE_CONTEXT_FIELDS, "a", "b", "context")),
        ),
        Relationship(
            "ON_MANIFOLD",
            ("Feature",),
            "Manifold",
            "its activations are among those that the points are rebuilt from",
            (LOAD_ID, *_without(manifold_fields.MANIFOLD_MEMBER_FIELDS, "manifold", "index")),
        ),
        Relationship(
            "ABSORBS",
            ("Feature",),
            "Feature",
            "fires in the place of the other, which is commoner and silent there",
            (LOAD_ID, *_without(absorption_fields.ABSORPTION_FIELDS, "child", "parent")),
        ),
        Relationship(
            "HEDGES",
            ("Feature",),
            "Feature",
            "encoders and decoders are both nearer than those of random directions, and they fire together: each may "
            "have mixed in a part of the other; stored once, from the lower to the higher index",
            (LOAD_ID, *_without(absorption_fields.HEDGING_FIELDS, "a", "b")),
        ),
        Relationship(
            "SPELLS", ("Feature",), "Letter", "fires on words that begin with it, the best of all features", (LOAD_ID,)
        ),
        Relationship(
            "STANDS_IN",
            ("Feature",),
            "Letter",
            "on a word on which the letter's features are silent, brings most along the direction of the letter's "
            "feature: one relationship for each such word; `absorbed` says whether it has taken the letter there",
            (UID, ATLAS, LOAD_ID, *_without(absorption_fields.LETTER_WORD_FIELDS, "letter", "index", "absorbing")),
            keyed=True,
        ),
        Relationship("PEAKS_AT", ("Feature",), "Peak", "its activations have the peak", (LOAD_ID,)),
        Relationship(
            "COMBINES",
            ("Feature",),
            "Feature",
            "fires like a logical function of two features, `a` and `b`: one relationship to each of them",
            (UID, ATLAS, LOAD_ID, *_without(behaviour_fields.LOGIC_FIELDS, "c")),
            keyed=True,
        ),
        Relationship(
            "COMPARED_WITH",
            ("Atlas",),
            "Atlas",
            "was held against the other, which is a control or another run, where both are in the database",
            (
                Field("digest", "string", "sha256 of the comparison's manifest"),
                *comparison_fields.COMPARED_FIELDS,
            ),
        ),
        Relationship(
            "MATCHES",
            ("Feature",),
            "Feature",
            "is the same feature as one of the atlas that its own was compared with, as far as the evidence goes",
            comparison_fields.MATCH_PROPERTIES,
        ),
        Relationship(
            "OF_ATLAS", ("Feature", "Cluster", "PeerCluster", "Manifold", "Letter"), "Atlas", "belongs to the atlas"
        ),
    )
}
