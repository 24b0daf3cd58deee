"""The columns of replication: in how many of two halves of the documents each claim holds again."""

from __future__ import annotations

from atlas.schema.fields import CLUSTER_FIELDS, EDGE_FIELDS, PARENT_FIELDS, Field, named


def _halves(name: str, what: str) -> Field:
    meaning = f"of two halves of the documents, in how many {what}; empty where one has too few firings to tell"
    return Field(name, "integer", meaning, "halves", 0, 2, required=False)


EDGE_HALVES = _halves("halves", "the edge is significant again, by the same test and gates")
PARENT_HALVES = _halves("halves", "the pair holds up again, direct or not")
MEMBER_HALVES = _halves("halves", "the feature is in the community that is most like this one (Jaccard)")
CLUSTER_HALVES = (
    _halves("halves", "a community of the level is there again (best Jaccard .5 or more)"),
    Field("half_overlap", "float", "the smaller of the two best Jaccard indices", low=0, high=1, required=False),
    _halves("shape_halves", "the same members have the same class again (a star: and the same hub)"),
)
EGO_HALVES = (_halves("ego_halves", "the hub with the same leaves has the same class again"),)
ATLAS_HALVES = (
    Field("half_documents", "list<integer>", "documents of each half", "documents", low=0, required=False),
    Field("n_near_duplicates", "integer", "documents with a near duplicate, which are in one half", "documents", low=0,
          required=False),
    Field("half_ami", "list<float>", "adjusted mutual information of the two halves' communities, by level", low=-1,
          high=1, required=False),
)  # fmt: skip

HALF_DOCUMENT_FIELDS = (
    Field("document", "integer", "index of the document in the order of the corpus", low=0),
    Field("half", "integer", "the half that it is in", low=0, high=1),
    Field("duplicate_group", "integer", "documents with the same number are near duplicates, and in the same half",
          low=0),
)  # fmt: skip
REPLICATED_EDGE_FIELDS = (*named(EDGE_FIELDS, "a", "b", "kind"), EDGE_HALVES)
REPLICATED_PARENT_FIELDS = (*named(PARENT_FIELDS, "parent", "child"), PARENT_HALVES)
REPLICATED_SAME_AS_FIELDS = (*named(EDGE_FIELDS, "a", "b"), PARENT_HALVES)
REPLICATED_MEMBERSHIP_FIELDS = (
    Field("index", "integer", "index of the feature", low=0),
    *named(CLUSTER_FIELDS, "level"),
    MEMBER_HALVES,
)
REPLICATED_CLUSTER_FIELDS = (
    *named(CLUSTER_FIELDS, "level", "cluster"),
    *CLUSTER_HALVES,
    Field("half_shapes", "list<string>", "the class of the same members in each half", required=False),
)
REPLICATED_EGO_FIELDS = (
    Field("index", "integer", "index of the hub in its SAE", low=0),
    *EGO_HALVES,
    Field("ego_half_shapes", "list<string>", "the class of the same hub and leaves in each half", required=False),
)
REPLICATION_FIELDS = (
    Field("claim", "string", "what is claimed: edges, parents, members, communities, classes"),
    Field("of", "string", "kind, level or class"),
    Field("claims", "integer", "claims of the run", "claims", low=0),
    Field("tested", "integer", "of these, those that both halves have enough firings for", "claims", low=0),
    Field("both", "integer", "of the tested, those that hold again in both halves", "claims", low=0),
    Field("one", "integer", "in one", "claims", low=0),
    Field("neither", "integer", "in neither", "claims", low=0),
    Field("by_chance", "float", "of classes: share of all subgraphs looked at that both halves give this class; what "
          "agreement would be if halves knew nothing of the subgraph", low=0, high=1, required=False),
)  # fmt: skip
