"""Every column and property of an atlas: one name, type, unit and meaning each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
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
        Who writes it in the graph: the loader, the loader's last step (vectors), or a classifying Cypher query.
    """

    name: str
    type: FieldType
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = True
    set_by: Literal["load", "vectors", "classify"] = "load"


optional = partial(Field, required=False)
_classified = partial(optional, set_by="classify")


def named(fields: tuple[Field, ...], *names: str) -> tuple[Field, ...]:
    """Return the fields of these names, in the order asked for."""
    known = {field.name: field for field in fields}
    return tuple(known[name] for name in names)


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
    optional("neuronpedia_url", "string", "the feature's page on Neuronpedia, where its SAE has one"),
)

DECODER_DIRECTION = Field(
    "decoder_direction", "list<float>", "the feature's row of the decoder, as 32-bit floats, for the vector index: how "
    "near two features' directions are; absent where an atlas has no decoder, or too large a one", required=False,
    set_by="vectors",
)  # fmt: skip

EXCLUSIVITY_FIELDS = (
    Field("testable_pairs", "integer", "pairs of leaves whose expected joint firings under the hub are 10 or more",
          "pairs", low=0),
    Field("depleted_pairs", "integer", "of these, significantly exclusive given the hub (lower tail, q = .05)",
          "pairs", low=0),
    Field("enriched_pairs", "integer", "of these, significantly joint given the hub (upper tail, q = .05)",
          "pairs", low=0),
    Field("covered_leaves", "integer", "leaves that are in at least one testable pair", "features", low=0),
    optional("leaf_association", "float", "median over leaf pairs of log2((n_hij + .5) / (n_hi n_hj / n_h + .5)): "
             "below 0 exclusive under the hub, above 0 joint", "bits"),
    optional("hub_role", "string", "`parent`: P(hub given leaf) is .8 or more for most leaves; `modifier`: for most "
             "leaves both conditionals are below .3 and the lift is 10 or more; empty where neither, or not examined"),
)

EGO_FIELDS = (
    Field("index", "integer", "index of the hub in its SAE", low=0),
    Field("ego_size", "integer", "rarer neighbours on the backbone (the leaves)", "features", low=0),
    Field("leaf_density", "float", "edges among the leaves over all pairs of leaves", low=0, high=1),
    *(Field(f"ego_{f.name}", f.type, f.meaning, f.unit, f.low, f.high, f.required) for f in EXCLUSIVITY_FIELDS),
    optional("ego_basis", "string", "whether the class holds within vocabulary items, too: `contextual`, or `lexical` "
             "where it does not (leaves that are words exclude each other for free); empty for other classes than "
             "hub-spoke and joint"),
    optional("ego_coverage", "float", "sum over the leaves of n_hi, over n_h; above 1 where leaves overlap", low=0),
    optional("ego_hub_given_leaf", "float", "median over the leaves of P(hub given leaf)", low=0, high=1),
    optional("ego_family", "string", "`item` where hub and most leaves have the same top item, up to case and space "
             "(many features for one item), `white space` or `punctuation` where all their top items are; else empty"),
    optional("ego_stable_cuts", "integer", "at how many of the two neighbouring edge cuts of the grid the ego "
             "subgraph is there again (Jaccard of the leaves .5 or more) with its class; empty without a grid", "cuts",
             low=0, high=2),
)

EDGE_FIELDS = (
    Field("a", "integer", "index of the feature with the lower index", low=0),
    Field("b", "integer", "index of the feature with the higher index", low=1),
    Field("kind", "string", "`CO_OCCURS`: fire on the same token more than their documents explain; `CO_TOPIC`: in the "
          "same documents, and on the same token as often as chance has it within them (same subject); `EXCLUDES`: on "
          "the same token less than their documents explain"),
    Field("basis", "string", "what the tokens alone explain: `lexical` (lift_t < 1.2), `contextual` (lift_t >= 1.5 and "
          "significant within tokens), `mixed`, or `untested` (over half of the joint firings on rare items); of "
          "EXCLUDES `lexical` (lift_t > 1/1.2, or none expected), `contextual` (lift_t <= 1/1.5 and significant)"),
    Field("joint_count", "integer", "tokens on which both fire", "tokens", low=0),
    Field("expected", "float", "joint firings expected if independent within documents, corrected for tokens on which "
          "many features fire", "tokens", low=0),
    Field("expected_uncorrected", "float", "the same without that correction", "tokens", low=0),
    Field("variance", "float", "variance of the joint count under the null, uneven tokens and runs "
          "included", "tokens^2", low=0),
    Field("lift", "float", "joint_count over its expectation if independent over all tokens; says same subject, not "
          "same token", low=0),
    Field("lift_d", "float", "joint_count / expected (within documents)", low=0),
    optional("lift_t", "float", "joint firings over expected within vocabulary items; near 1, the tokens alone "
             "explain the pair; empty where nothing is expected", low=0),
    Field("phi", "float", "correlation of the two firings", low=-1, high=1),
    Field("phi_d", "float", "correlation of the two firings within strata: what is left of phi without the features' "
          "rates in each", low=-1, high=1),
    Field("phi_ratio", "float", "phi over the largest phi that the two firing counts allow", low=-1, high=1),
    Field("g2", "float", "log-likelihood ratio of the 2x2 table, negative where they fire together less than expected"),
    Field("p", "float", "of the kind's test: upper tail of the null within documents (CO_OCCURS), upper tail of the "
          "null of independent documents (CO_TOPIC), lower tail within documents (EXCLUDES)", low=0, high=1),
    Field("q", "float", "p adjusted for the false-discovery rate over the kind's family: all pairs of alive features, "
          "or those expected on 5 tokens or more (EXCLUDES)", low=0, high=1),
    Field("jaccard", "float", "tokens with both over tokens with either", low=0, high=1),
    Field("dice", "float", "2 joint_count over the sum of the firing counts", low=0, high=1),
    Field("overlap", "float", "joint_count over the smaller firing count", low=0, high=1),
    Field("cosine", "float", "joint_count over the geometric mean of the firing counts", low=0, high=1),
    Field("pmi", "float", "log2 of lift", "bits"),
    Field("npmi", "float", "pmi over -log2 of the joint frequency", low=-1, high=1),
    Field("p_a_given_b", "float", "share of b's firings on which a fires", low=0, high=1),
    Field("p_b_given_a", "float", "share of a's firings on which b fires", low=0, high=1),
    Field("decoder_cosine", "float", "cosine of the two decoder directions", low=-1, high=1),
    optional("explained_by", "integer", "index of a common neighbour on the backbone that explains a CO_OCCURS edge: "
             "given it the two are as good as independent, as the ends of a chain are (an indirect edge); empty where "
             "none does, and off the backbone", low=0),
    optional("kept_by", "string", "the rule that put the edge on the backbone of its kind: `phi`, `disparity`, "
             "`top_k`, or `phi_d` (EXCLUDES); empty where it is not on it, which only CO_OCCURS has rows of"),
)
EDGE_NODE_FIELDS = tuple(
    field for field in EDGE_FIELDS
    if field.name not in ("expected_uncorrected", "variance", "phi_ratio", "dice", "overlap", "cosine", "pmi")
)
"""Those that the graph holds: what follows from others in one line of Cypher, and the inside of the test, stay in
the table, since each property of 500,000 edges costs seconds to load."""

LEVELS = ("coarse", "middle", "fine")
"""Levels of communities, each nested in the one before."""

CLUSTER_FIELDS = (
    Field("cluster", "integer", "number of the community within its level, largest first", low=0),
    Field("level", "string", "`coarse`, `middle` or `fine`; finer levels nest strictly in coarser ones"),
    Field("resolution", "float", "gamma of the constant Potts model that the level was cut at", "phi per pair", low=0),
    Field("size", "integer", "member features", "features", low=1),
    optional("parent", "integer", "number of the community on the next coarser level that holds this one", low=0),
    optional("stability", "float", "mean stability of the members over 20 seeds of Leiden: how far the method decides "
             "the community, not whether other text would give it", low=0, high=1),
    optional("persistence", "float", "mean over a bootstrap of documents of the largest Jaccard index with any "
             "community found again; empty where the corpus is one document", low=0, high=1),
)

MEMBERSHIP_FIELDS = (
    Field("index", "integer", "index of the feature", low=0),
    Field("level", "string", "`coarse`, `middle` or `fine`"),
    Field("cluster", "integer", "number of the community within its level", low=0),
    optional("stability", "float", "mean over 20 seeds of Leiden: of the features that are with it here or there, the "
             "share that is with it in both", low=0, high=1),
    optional("second_cluster", "integer", "number of the other community of its level to which its edges weigh most; "
             "empty where none goes to another community", low=0),
    optional("second_share", "float", "share of the phi of its edges that goes there; high where a feature has two "
             "senses, and where the other community is large", low=0, high=1),
)

PROFILE_FIELDS = (
    Field("resolution", "float", "gamma of the constant Potts model", "phi per pair", low=0),
    Field("n_communities", "integer", "communities of two or more features", "communities", low=0),
    Field("largest", "integer", "features of the largest community", "features", low=0),
    Field("quality", "float", "what Leiden maximises, over the weight of all edges; compares partitions at one "
          "resolution", high=1),
    Field("ami", "float", "mean adjusted mutual information over all pairs of 5 seeds: 1 the same communities, 0 "
          "chance", low=-1, high=1),
    optional("ami_below", "float", "the same with the communities at the next smaller resolution", low=-1, high=1),
    optional("plateau", "integer", "number of the plateau: neighbouring resolutions at which seeds agree with each "
             "other and with the next, AMI .9 or more, and no community holds over half of the features", low=0),
    optional("level", "string", "`coarse`, `middle` or `fine` where the level was cut here"),
)

_LIFT_T = optional("lift_t", "float", "joint firings over expected within vocabulary items under the rule `any`; near "
                    "1, the tokens alone explain the pair; empty where nothing is expected", low=0)
_ODDS_RATIO = Field("odds_ratio", "float", "Mantel-Haenszel odds ratio of the two firings within documents, half a "
                    "firing added: how much likelier one fires where the other does", low=0)

PARENT_FIELDS = (
    Field("parent", "integer", "index of the feature that fires wherever the child does, and elsewhere", low=0),
    Field("child", "integer", "index of the rarer feature", low=0),
    Field("direct", "boolean", "whether no way through other pairs leads from the parent to the child (transitive "
          "reduction)"),
    Field("joint_count", "integer", "tokens on which both fire, under the rule of the hierarchy", "tokens", low=0),
    Field("p_parent_given_child", "float", "share of the child's firings on which the parent fires", low=0, high=1),
    Field("lower_bound", "float", "Wilson's 95 % lower bound of that share", low=0, high=1),
    _ODDS_RATIO,
    Field("p", "float", "exact binomial test that the share is .5 or less", low=0, high=1),
    Field("q", "float", "Benjamini-Hochberg adjusted p over the candidates", low=0, high=1),
    _LIFT_T,
    *named(EDGE_FIELDS, "basis"),
)

SAME_AS_FIELDS = (
    *named(EDGE_FIELDS, "a", "b"),
    Field("joint_count", "integer", "tokens on which both fire, under the rule of the hierarchy", "tokens", low=0),
    *named(EDGE_FIELDS, "p_a_given_b", "p_b_given_a"),
    Field("lower_bound", "float", "Wilson's 95 % lower bound of the smaller of the two shares", low=0, high=1),
    _ODDS_RATIO,
    Field("p", "float", "exact binomial test that the smaller share is .5 or less", low=0, high=1),
    Field("q", "float", "Benjamini-Hochberg adjusted p over the candidates", low=0, high=1),
    _LIFT_T,
    *named(EDGE_FIELDS, "basis"),
)

PARENT_SUMMARY_FIELDS = (
    Field("index", "integer", "index of a feature that is a parent or a child", low=0),
    Field("depth", "integer", "pairs on the longest way down from a root; 0 for a root", "pairs", low=0),
    Field("n_parents", "integer", "direct parents", "features", low=0),
    Field("n_children", "integer", "direct children", "features", low=0),
    optional("children_coverage", "float", "share of the parent's firings on which a direct child fires; empty "
             "without children", low=0, high=1),
    optional("children_exclusivity", "float", "share of these on which one alone does, children that are the same "
             "counted as one", low=0, high=1),
    optional("children_kind", "string", "`partition` (coverage and exclusivity .8 or more), `facets` (coverage .8 or "
             "more, exclusivity below) or `loose` (neither, or one child)"),
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
IDEAL = _classified("ideal", "string", "of an undetermined community: `chain` or `ring` where it is exactly that, or "
                    "what `template` says: `chain`, `ring`, `bipartite` or `core-periphery`; else empty")

CLUSTER_EVIDENCE_FIELDS = (
    NAME,
    Field("clustering", "float", "mean local clustering of the members, 0 for degree below two", low=0, high=1),
    Field("diameter", "integer", "longest shortest path inside the community", "edges", low=0),
    Field("strength", "float", "mean phi of the internal edges; 0 where there is none", low=-1, high=1),
    optional("weighted_density", "float", "mean phi over all pairs of members, 0 without an edge", low=0, high=1),
    optional("weighted_centralization", "float", "Freeman's sum over the members' sums of phi, over that of a star "
             "whose edges all have the largest phi", low=0, high=1),
    optional("weighted_clustering", "float", "mean local clustering in which a triad counts by the phi of its two "
             "edges at the member", low=0, high=1),
    optional("leaf_ratio", "float", "mean phi between two leaves over the mean between hub and leaf, 0 without an "
             "edge: 0 for a star, 1 for a clique of equal weights; empty below three members", low=0),
    *EXCLUSIVITY_FIELDS,
    optional("template", "string", "`star`, `chain`, `ring`, `bipartite` or `core-periphery` where that ideal graph "
             "describes the community shortest by two bits or more, else `undetermined`; empty below four members"),
    optional("margin_bits", "float", "bits by which the shortest template beats the next one and the random graph "
             "with as many edges; 0 where that is the shortest, as for a clique", "bits", low=0),
    optional("p", "float", "share of random connected graphs with as many members and edges that are as centralized, "
             "or more; exact up to 7 members, empty below 4", low=0, high=1),
    optional("q", "float", "Benjamini-Hochberg adjusted p over the distinct communities that have one", low=0,
             high=1),
    optional("chance", "float", "share of all connected graphs with as many members, up to 7, that have the class; "
             "hub-spoke and star-like count as one", low=0, high=1),
    optional("stable_cuts", "integer", "edge cuts, of five from .8 to 1.2 times the backbone's, at which the same "
             "members have the same class (a star: and the same hub)", "cuts", low=0, high=5),
    optional("stable_cells", "integer", "neighbouring cells of the grid, of up to eight, in which the community is "
             "there again (best Jaccard .5 or more) with its class; empty without a grid", "cells", low=0, high=8),
    optional("peer_hub_spoke", "float", "hub-spoke score of Clarke, Bhatnagar and Bloom (2024), for comparison", low=0,
             high=1),
    optional("peer_strongly_connected", "float", "their score for strongly connected", low=0, high=1),
    optional("peer_linear", "float", "their score for linear", low=0, high=1),
    Field("top_tokens", "list<string>", "the vocabulary items under its members' strongest firings"),
)

PEER_CLUSTER_FIELDS = (
    Field("peer_cluster", "integer", "number of the connected component, largest first", low=0),
    Field("size", "integer", "member features", "features", low=2),
    Field("n_edges", "integer", "pairs of members whose Jaccard index reaches the cut", "edges", low=1),
    Field("density", "float", "n_edges over all pairs of members", low=0, high=1),
    Field("degree_ratio", "float", "largest over mean degree", low=0),
    Field("clustering", "float", "mean local clustering of the members, 0 for degree below two", low=0, high=1),
    Field("diameter", "integer", "longest shortest path", "edges", low=0),
    Field("hub", "integer", "index of the member with the highest degree", low=0),
    Field("peer_hub_spoke", "float", "hub-spoke score of Clarke, Bhatnagar and Bloom (2024)", low=0, high=1),
    Field("peer_strongly_connected", "float", "their score for strongly connected", low=0, high=1),
    Field("peer_linear", "float", "their score for linear", low=0, high=1),
    optional("highest_score", "string", "which of the three is highest, the first where two are equal: "
             "`peer_hub_spoke`, `peer_strongly_connected` or `peer_linear`; empty below four members, where star, "
             "clique and chain are not three graphs"),
    Field("shape", "string", "class of the same graph here, by topology alone"),
)

PEER_MEMBERSHIP_FIELDS = (
    Field("index", "integer", "index of the feature", low=0),
    Field("peer_cluster", "integer", "number of its connected component", low=0),
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

CENSUS_GRID_FIELDS = (
    Field("graph", "string", "`real`, `rewired` (every degree kept) or `clustered` (degrees and triangles kept)"),
    Field("phi_cut", "float", "smallest phi of the cell's edges", low=-1, high=1),
    Field("resolution", "float", "gamma of the cell's communities, not nested in others", "phi per pair", low=0),
    *named(CENSUS_FIELDS, "shape"),
    Field("count", "integer", "communities of that class", "communities", low=0),
)

ATLAS_FIELDS = (
    NAME,
    Field("schema_version", "integer", "version of this graph schema", low=1),
    Field("digest", "string", "sha256 over the manifests that the atlas was loaded from"),
    Field("complete", "boolean", "whether the load reached its end"),
    Field("model", "string", "the language model"),
    optional("release", "string", "the SAE's release, where it has one"),
    Field("sae_id", "string", "the SAE within its release, or the folder that it was loaded from"),
    Field("hook_name", "string", "where in the model the SAE reads"),
    Field("d_sae", "integer", "features of the SAE", "features", low=1),
    Field("corpus", "string", "the text that was run"),
    Field("n_tokens", "integer", "tokens kept", "tokens", low=0),
    Field("n_documents", "integer", "documents read", "documents", low=0),
    Field("n_alive", "integer", "alive features", "features", low=0),
    Field("n_pairs_seen", "integer", "pairs of alive features that fire together at least once", "pairs", low=0),
    Field("n_pairs_tested", "integer", "all pairs of alive features, those never seen included", "pairs", low=0),
    Field("n_significant", "integer", "CO_OCCURS pairs that pass the test and the effect gates", "pairs", low=0),
    Field("n_edges", "integer", "CO_OCCURS edges on the backbone", "edges", low=0),
    optional("control", "string", "the built-in null that the run was repeated on: `permute`, `shift` or `none`"),
    optional("control_significant", "integer", "CO_OCCURS pairs that pass on that copy under its own test", "pairs",
             low=0),
    optional("resolutions", "list<float>", "gamma of the coarse, the middle and the fine level", "phi per pair",
             low=0),
    optional("level_stability", "list<float>", "mean adjusted mutual information over all pairs of 20 seeds of "
             "Leiden, by level", low=-1, high=1),
    optional("decoder_compared", "integer", "features whose decoder directions were compared with the communities",
             "features", low=0),
    optional("decoder_ami", "list<float>", "adjusted mutual information of each level with the tree of decoder "
             "directions; empty for fewer than three features", low=-1, high=1),
    optional("decoder_ami_null", "list<float>", "the highest of 20 trees of random directions of the same mean and "
             "covariance, by level", low=-1, high=1),
    optional("decoder_p", "list<float>", "share of these trees that reach `decoder_ami`, the real one counted in, by "
             "level; 1/21 at least", low=0, high=1),
    optional("peer_cut", "float", "smallest Jaccard index of the edges of `:PeerCluster`; empty where the run has no "
             "`45-peer`", low=0, high=1),
    optional("peer_largest", "integer", "features of the largest `:PeerCluster`", "features", low=1),
    optional("peer_in_range", "boolean", "whether these are 150 to 200, at which Clarke, Bhatnagar and Bloom (2024) "
             "stop; if not, no cut of theirs gave as many, and `peer_cut` is the closest"),
    optional("empirical_fdr", "float", "CO_OCCURS pairs of that copy that pass the real run's cut and gates, over "
             "the real ones", low=0),
    Field("firing_rule", "string", "when a feature counts as firing: `any`"),
    Field("phi_cut", "float", "smallest phi on the backbone", low=-1, high=1),
    Field("parameters", "string", "every parameter of every stage, as JSON"),
    Field("versions", "string", "the versions of the tools that made it, as JSON"),
    Field("created", "string", "when the firings were finished, UTC, ISO 8601"),
)
