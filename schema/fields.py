"""Every column and property of an atlas: one name, type, unit and meaning each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["string", "integer", "float", "boolean", "list<string>", "list<float>", "list<integer>"]


@dataclass(frozen=True)
class Field:
    """A column of a table and the property of the same name in the graph.

    Parameters
    ----------
    name
        Its one name, from Parquet column to Neo4j property to option of a command.
    type
        Its type, in the words that Parquet and Cypher share.
    meaning
        What it says, and where it matters what it does not say.
    unit
        Its unit; empty for names and pure numbers.
    low, high
        The closed interval that its values must lie in; None is open.
    required
        Whether every row has a value.
    set_by
        Who writes it in the graph: the loader, or a classifying Cypher query.
    """

    name: str
    type: FieldType
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = True
    set_by: Literal["load", "classify"] = "load"


def _optional(
    name: str, type_: FieldType, meaning: str, unit: str = "", low: float | None = None, high: float | None = None
) -> Field:
    return Field(name, type_, meaning, unit, low, high, required=False)


def _classified(
    name: str, type_: FieldType, meaning: str, unit: str = "", low: float | None = None, high: float | None = None
) -> Field:
    return Field(name, type_, meaning, unit, low, high, required=False, set_by="classify")


UID = Field("uid", "string", "identity in the database, unique per label: `<atlas>:...`")
ATLAS = Field("atlas", "string", "name of the atlas that this belongs to, as given by `--name`")
NAME = Field("name", "string", "short caption for people and for Neo4j Browser")
LOAD_ID = Field("load_id", "string", "first 16 digits of the digest of the load that wrote it last; what an earlier "
                "load wrote and this one did not is stale and removed")

DOCUMENT_FIELDS = (
    Field("document", "integer", "index of the document in the order of the corpus", low=0),
    Field("name", "string", "name that the corpus gives the document"),
    Field("source", "string", "file or data set that the document came from"),
    Field("n_tokens", "integer", "tokens kept of the document", "tokens", low=0),
)

VOCABULARY_FIELDS = (
    Field("token_id", "integer", "index in the model's vocabulary", low=0),
    Field("text", "string", "the item decoded alone; bytes that are no UTF-8 are shown as U+FFFD"),
    Field("n_tokens", "integer", "kept tokens of the corpus that are this item", "tokens", low=1),
)

FEATURE_FIELDS = (
    Field("index", "integer", "index of the feature in its SAE", low=0),
    NAME,
    Field("firing_count", "integer", "kept tokens on which the feature fires", "tokens", low=0),
    Field("density", "float", "firing_count over the number of kept tokens", low=0, high=1),
    Field("class", "string", "`dead` (fires on fewer than min_firings tokens), `dense` (density > .1) or `alive`; "
          "only alive features have edges"),
    Field("mean", "float", "mean activation over the tokens on which it fires; 0 where it never does", "activation"),
    Field("max", "float", "largest activation; 0 where it never fires", "activation"),
    Field("top_tokens", "list<string>", "the vocabulary items under its strongest firings, strongest share first"),
    _optional("neuronpedia_url", "string", "the feature's page on Neuronpedia, where its SAE has one"),
)

EXCLUSIVITY_FIELDS = (
    Field("testable_pairs", "integer", "pairs of leaves whose expected joint firings under the hub are 10 or more",
          "pairs", low=0),
    Field("depleted_pairs", "integer", "of these, significantly exclusive given the hub (lower tail, q = .05)",
          "pairs", low=0),
    Field("enriched_pairs", "integer", "of these, significantly joint given the hub (upper tail, q = .05)",
          "pairs", low=0),
    Field("covered_leaves", "integer", "leaves that are in at least one testable pair", "features", low=0),
    _optional("leaf_association", "float", "median over leaf pairs of log2((n_hij + .5) / (n_hi n_hj / n_h + .5)): "
              "below 0 exclusive under the hub, above 0 joint", "bits"),
)

EGO_FIELDS = (
    Field("index", "integer", "index of the hub in its SAE", low=0),
    Field("ego_size", "integer", "rarer neighbours on the backbone (the leaves)", "features", low=0),
    Field("leaf_density", "float", "edges among the leaves over all pairs of leaves", low=0, high=1),
    *(Field(f"ego_{f.name}", f.type, f.meaning, f.unit, f.low, f.high, f.required) for f in EXCLUSIVITY_FIELDS),
    _optional("ego_basis", "string", "whether the class holds within vocabulary items, too: `contextual`, or `lexical` "
              "where it does not (leaves that are words exclude each other for free); empty for other classes than "
              "hub-spoke and joint"),
    _optional("ego_coverage", "float", "sum over the leaves of n_hi, over n_h; above 1 where leaves overlap", low=0),
    _optional("ego_hub_given_leaf", "float", "median over the leaves of P(hub given leaf)", low=0, high=1),
)

EDGE_FIELDS = (
    Field("a", "integer", "index of the feature with the lower index", low=0),
    Field("b", "integer", "index of the feature with the higher index", low=1),
    Field("kind", "string", "`CO_OCCURS`: fire on the same token more than their documents explain"),
    Field("basis", "string", "what the tokens alone explain: `lexical` (lift_t < 1.2), `contextual` (lift_t >= 1.5 and "
          "significant within tokens), `mixed`, or `untested` (over half of the joint firings on rare items)"),
    Field("joint_count", "integer", "tokens on which both fire", "tokens", low=0),
    Field("expected", "float", "joint firings expected if independent within documents, corrected for tokens on which "
          "many features fire", "tokens", low=0),
    Field("expected_uncorrected", "float", "the same without that correction", "tokens", low=0),
    Field("variance", "float", "variance of the joint count under the null, uneven tokens and runs "
          "included", "tokens^2", low=0),
    Field("lift", "float", "joint_count over its expectation if independent over all tokens; says same subject, not "
          "same token", low=0),
    Field("lift_d", "float", "joint_count / expected (within documents)", low=0),
    _optional("lift_t", "float", "joint firings over expected within vocabulary items; near 1, the tokens alone "
              "explain the pair; empty where nothing is expected", low=0),
    Field("phi", "float", "correlation of the two firings", low=-1, high=1),
    Field("phi_ratio", "float", "phi over the largest phi that the two firing counts allow", low=-1, high=1),
    Field("g2", "float", "log-likelihood ratio of the 2x2 table, negative where they fire together less than expected"),
    Field("p", "float", "upper tail of the null within documents", low=0, high=1),
    Field("q", "float", "Benjamini-Hochberg adjusted p over all pairs of alive features", low=0, high=1),
    Field("jaccard", "float", "tokens with both over tokens with either", low=0, high=1),
    Field("dice", "float", "2 joint_count over the sum of the firing counts", low=0, high=1),
    Field("overlap", "float", "joint_count over the smaller firing count", low=0, high=1),
    Field("cosine", "float", "joint_count over the geometric mean of the firing counts", low=0, high=1),
    Field("pmi", "float", "log2 of lift", "bits"),
    Field("npmi", "float", "pmi over -log2 of the joint frequency", low=-1, high=1),
    Field("p_a_given_b", "float", "share of b's firings on which a fires", low=0, high=1),
    Field("p_b_given_a", "float", "share of a's firings on which b fires", low=0, high=1),
    Field("decoder_cosine", "float", "cosine of the two decoder directions", low=-1, high=1),
    _optional("kept_by", "string", "the rule that put the edge on the backbone (`phi`); empty where it is not on it"),
)

LEVELS = ("coarse", "middle", "fine")
"""Levels of communities, each nested in the one before."""

CLUSTER_FIELDS = (
    Field("cluster", "integer", "number of the community within its level, largest first", low=0),
    Field("level", "string", "`coarse`, `middle` or `fine`; finer levels nest strictly in coarser ones"),
    Field("resolution", "float", "gamma of the constant Potts model that the level was cut at", "phi per pair", low=0),
    Field("size", "integer", "member features", "features", low=1),
    _optional("parent", "integer", "number of the community on the next coarser level that holds this one", low=0),
)

MEMBERSHIP_FIELDS = (
    Field("index", "integer", "index of the feature", low=0),
    Field("level", "string", "`coarse`, `middle` or `fine`"),
    Field("cluster", "integer", "number of the community within its level", low=0),
)

SHAPE_FIELDS = (
    _classified("n_edges", "integer", "backbone edges between members", "edges", low=0),
    _classified("density", "float", "n_edges over all pairs of members", low=0, high=1),
    _classified("centralization", "float", "Freeman's degree centralization: star 1, clique and ring 0; 0 below three "
                "members", low=0, high=1),
    _classified("triangles", "integer", "closed triads of members", "triads", low=0),
    _classified("hub", "integer", "index of the member with the highest degree (ties: strongest, then lowest index)",
                low=0),
    _classified("shape", "string", "`pair`, `triangle`, `fully connected`, `hub-spoke`, `star-like` or `undetermined`"),
)

CLUSTER_EVIDENCE_FIELDS = (
    NAME,
    Field("clustering", "float", "mean local clustering of the members, 0 for degree below two", low=0, high=1),
    Field("diameter", "integer", "longest shortest path inside the community", "edges", low=0),
    Field("strength", "float", "mean phi of the internal edges; 0 where there is none", low=-1, high=1),
    *EXCLUSIVITY_FIELDS,
    Field("top_tokens", "list<string>", "the vocabulary items under its members' strongest firings"),
)

EGO_CLASS_FIELDS = (
    _classified("ego_shape", "string", "`hub-spoke`: leaves exclusive under the feature; `joint`: leaves that fire "
                "together under it; `mixed`; empty below four leaves"),
)

CENSUS_FIELDS = (
    Field("graph", "string", "`real`, or `rewired`: the backbone rewired at random, every degree kept"),
    Field("subgraph", "string", "`coarse`, `middle`, `fine` or `ego`"),
    Field("shape", "string", "the class"),
    Field("count", "integer", "subgraphs of that class", "subgraphs", low=0),
)

ATLAS_FIELDS = (
    NAME,
    Field("schema_version", "integer", "version of this graph schema", low=1),
    Field("digest", "string", "sha256 over the manifests that the atlas was loaded from"),
    Field("complete", "boolean", "whether the load reached its end"),
    Field("model", "string", "the language model"),
    _optional("release", "string", "the SAE's release, where it has one"),
    Field("sae_id", "string", "the SAE within its release, or the folder that it was loaded from"),
    Field("hook_name", "string", "where in the model the SAE reads"),
    Field("d_sae", "integer", "features of the SAE", "features", low=1),
    Field("corpus", "string", "the text that was run"),
    Field("n_tokens", "integer", "tokens kept", "tokens", low=0),
    Field("n_documents", "integer", "documents read", "documents", low=0),
    Field("n_alive", "integer", "alive features", "features", low=0),
    Field("n_pairs_seen", "integer", "pairs of alive features that fire together at least once", "pairs", low=0),
    Field("n_pairs_tested", "integer", "all pairs of alive features, those never seen included", "pairs", low=0),
    Field("n_significant", "integer", "pairs that pass the test and the effect gates", "pairs", low=0),
    Field("n_edges", "integer", "edges on the backbone", "edges", low=0),
    _optional("control", "string", "the built-in null that the run was repeated on: `permute` or `none`"),
    _optional("control_significant", "integer", "pairs that pass on the permuted copy under its own test", "pairs",
              low=0),
    _optional("empirical_fdr", "float", "permuted pairs that pass the real run's cut and gates, over the real ones",
              low=0),
    Field("firing_rule", "string", "when a feature counts as firing: `any`"),
    Field("phi_cut", "float", "smallest phi on the backbone", low=-1, high=1),
    Field("parameters", "string", "every parameter of every stage, as JSON"),
    Field("versions", "string", "the versions of the tools that made it, as JSON"),
    Field("created", "string", "when the firings were finished, UTC, ISO 8601"),
)


def named(fields: tuple[Field, ...], *names: str) -> tuple[Field, ...]:
    """Return the fields of these names, in the order asked for."""
    known = {field.name: field for field in fields}
    return tuple(known[name] for name in names)
