"""The columns of behaviour: composition or ambiguity, its agreement with shape, logic, interference and means."""

from __future__ import annotations

from atlas.schema.fields import CLUSTER_FIELDS, Field, named, optional

VERDICT_FIELDS = (
    Field("verdict", "string", "what the members' behaviour on the second half of the documents says: `composition` "
          "(parts that fire together on different tokens and add up), `ambiguity` (rival readings of one token, which "
          "trade off), `neither`, or `undetermined`"),
    Field("reason", "string", "what decided it, in a few fixed words"),
    Field("judged_members", "integer", "members with 20 firings or more in that half, which alone are looked at",
          "features", low=0),
    Field("joint_tokens", "integer", "tokens of that half on which two or more of them fire", "tokens", low=0),
    optional("joint_lift", "float", "joint firings of all their pairs over what their documents explain; below 2 they "
             "do not fire together", low=0),
    optional("item_share", "float", "share of the joint tokens that are their commonest item, case and space merged: "
             "1 one token only", low=0, high=1),
    optional("item_overlap", "float", "mean over pairs of how far the two fire on the same items: sum over items of "
             "the smaller of the two shares; 1 the same, 0 none in common", low=0, high=1),
    optional("strength_pairs", "integer", "pairs of members with enough joint firings for the next two", "pairs",
             low=0),
    optional("strength_correlation", "float", "median over these pairs of the rank correlation of the two activations "
             "where both fire, within items; below 0 they trade off", low=-1, high=1),
    optional("trade_off_share", "float", "share of these pairs whose correlation is significantly below 0 "
             "(q = .05)", low=0, high=1),
    optional("add_up_share", "float", "share of them whose correlation is significantly above 0 (q = .05)", low=0,
             high=1),
    optional("position_trend", "float", "correlation, within items, of how many members fire with the logarithm of "
             "the place in the context; below 0 they fire together less the more context there is", low=-1, high=1),
    optional("position_z", "float", "that trend over its standard deviation under chance", "standard deviations"),
    optional("item_r2", "float", "share of the variance of the activations rebuilt from the members, on their first "
             "two components, that a token's item predicts on documents it was not learned on; can be negative",
             high=1),
    optional("item_r2_null", "float", "the same with items permuted over the tokens", high=1),
    optional("hub_leaf_cosine", "float", "median cosine of the decoder directions of hub and leaf", low=-1, high=1),
    optional("leaf_leaf_cosine", "float", "median cosine of the decoder directions of two leaves; empty without two",
             low=-1, high=1),
    optional("mantel_r", "float", "correlation over pairs of members of phi with the cosine of their decoder "
             "directions; stored, and not used for the verdict; empty below four members", low=-1, high=1),
    optional("mantel_p", "float", "share of permutations of the members that reach it, the real one counted in",
             low=0, high=1),
    optional("half_shape", "string", "class of the same members on the first half of the documents, which the "
             "verdict has not seen; empty where it could not be found"),
)  # fmt: skip

CLUSTER_VERDICT_FIELDS = VERDICT_FIELDS
"""Of communities; properties of `:Cluster` of the same names."""
EGO_VERDICT_FIELDS = tuple(
    Field(f"ego_{f.name}", f.type, f.meaning, f.unit, f.low, f.high, f.required) for f in VERDICT_FIELDS
)
"""Of ego subgraphs; properties of the hub, a `:Feature`."""

VERDICT_TABLE_FIELDS = (*named(CLUSTER_FIELDS, "level", "cluster"), *CLUSTER_VERDICT_FIELDS)
EGO_VERDICT_TABLE_FIELDS = (
    Field("index", "integer", "index of the hub in its SAE", low=0),
    *EGO_VERDICT_FIELDS,
)

_SUBGRAPH = Field("subgraph", "string", "`coarse`, `middle`, `fine` (communities) or `ego`")
_COMPARED = Field("compared", "string", "which shape: `half`, found on the first half of the documents, or `run`, on "
                  "all of them, the verdict's among them")  # fmt: skip
AGREEMENT_FIELDS = (
    _SUBGRAPH,
    _COMPARED,
    Field("subgraphs", "integer", "subgraphs with both a shape and a verdict other than `undetermined`", "subgraphs",
          low=0),
    optional("cramers_v", "float", "Cramer's V of shape and verdict: 0 shape says nothing of the verdict, 1 it says "
             "all", low=0, high=1),
    optional("cramers_v_null", "float", "its mean with the shapes permuted over the subgraphs", low=0, high=1),
    optional("p", "float", "share of these permutations that reach it, the real one counted in", low=0, high=1),
    optional("information", "float", "mutual information of shape and verdict", "bits", low=0),
    optional("information_null", "float", "its mean with the shapes permuted", "bits", low=0),
    optional("explained", "float", "share of the verdict's entropy that shape explains beyond chance: (information - "
             "information_null) over the entropy; can be negative", high=1),
    optional("cramers_v_same_size", "float", "mean of Cramer's V with shapes permuted among subgraphs of about the "
             "same size alone", low=0, high=1),
    optional("p_same_size", "float", "share of these permutations that reach the real one, itself counted in", low=0,
             high=1),
)  # fmt: skip
AGREEMENT_CELL_FIELDS = (
    _SUBGRAPH,
    _COMPARED,
    Field("shape", "string", "the class"),
    Field("verdict", "string", "`composition`, `ambiguity`, `neither` or `undetermined`"),
    Field("count", "integer", "subgraphs of that class with that verdict", "subgraphs", low=0),
    optional("by_chance", "float", "mean of that count with the shapes permuted over the subgraphs; empty for "
             "`undetermined`, which is not permuted", "subgraphs", low=0),
)  # fmt: skip

LOGIC_FIELDS = (
    Field("a", "integer", "index of the input with the lower index", low=0),
    Field("b", "integer", "index of the other input", low=1),
    Field("c", "integer", "index of the feature that combines the two", low=0),
    Field("kind", "string", "`AND`: c fires where both do, and hardly where one alone does; `XOR`: where one alone "
          "does, and hardly where both do; `OR`: a and b exclude each other and c fires with either, which passes the "
          "information test of XOR and is none"),
    Field("joint_count", "integer", "tokens on which a and b fire", "tokens", low=0),
    Field("p_c_given_both", "float", "share of these on which c fires; 0 where there are none", low=0, high=1),
    Field("p_c_given_a_alone", "float", "share of the tokens with a and without b on which c fires", low=0, high=1),
    Field("p_c_given_b_alone", "float", "share of the tokens with b and without a on which c fires", low=0, high=1),
    Field("p_c_given_neither", "float", "share of the other tokens on which c fires", low=0, high=1),
    Field("information", "float", "mutual information of c with the function (a xor b, a and b, a or b)", "bits",
          low=0),
    Field("information_apart", "float", "sum of the mutual informations of c with a and with b", "bits", low=0),
    Field("basis", "string", "`contextual` where the test holds within vocabulary items, too, `lexical` where it does "
          "not: the inputs and c share a word; `untested` of OR. Lexical ones are counted in `logic_summary` alone"),
    Field("p", "float", "of the kind's test: both alone against both (AND, XOR) within documents, the larger of two",
          low=0, high=1),
    Field("q", "float", "Benjamini-Hochberg adjusted p over the triples looked at", low=0, high=1),
)  # fmt: skip
LOGIC_SUMMARY_FIELDS = (
    Field("kind", "string", "`AND`, `XOR` or `OR`"),
    Field("looked_at", "integer", "triples that were looked at", "triples", low=0),
    Field("claims", "integer", "of these, those that the rule claims", "triples", low=0),
    Field("lexical", "integer", "of the claims, those that do not hold within vocabulary items: they are counted, and "
          "not in the table `logic`", "triples", low=0),
    Field("synergies", "integer", "of the claims, those of which the function says more than the two inputs one by one "
          "(information above information_apart)", "triples", low=0),
    Field("control_claims", "integer", "claims by the same search after each c's firings are permuted within "
          "documents", "triples", low=0),
)  # fmt: skip
_SHIFT_A = ("mean activation of a on tokens where b fires, too, less that where it does not, within items, in "
            "standard deviations of a's activations; empty where ")  # fmt: skip
INTERFERENCE_FIELDS = (
    Field("a", "integer", "index of the feature with the lower index", low=0),
    Field("b", "integer", "index of the feature with the higher index", low=1),
    optional("shift_a", "float", _SHIFT_A + "no item has both", "standard deviations"),
    optional("shift_b", "float", "the same of b where a fires, too", "standard deviations"),
    optional("q_a", "float", "Benjamini-Hochberg adjusted p of shift_a under permutation within items", low=0, high=1),
    optional("q_b", "float", "the same of shift_b", low=0, high=1),
)  # fmt: skip
SHIFT_Q = 0.05
"""Largest adjusted p of a shift that counts as one."""
EDGE_SHIFTS = (
    optional("shift_a", "float", f"{_SHIFT_A}it is 0 as far as is known: its adjusted p above {SHIFT_Q}, or no item "
             "with both", "standard deviations"),
    optional("shift_b", "float", "the same of b where a fires, too", "standard deviations"),
)  # fmt: skip
"""Properties of the `:Edge` of a `CO_OCCURS`."""

MEANS_FIELDS = (
    *named(CLUSTER_FIELDS, "level", "cluster"),
    Field("mean_norm", "float", "length of the mean of the members' decoder directions, each of length 1: 1 all the "
          "same, 0 they cancel", low=0, high=1),
    Field("mean_norm_null", "float", "mean of the same over random sets of as many alive features", low=0, high=1),
    Field("mean_norm_p", "float", "share of these sets that reach it, the real one counted in", low=0, high=1),
    Field("direction_share", "float", "share of the members' directions that lies along the mean: mean squared cosine",
          low=0, high=1),
    Field("direction_share_null", "float", "mean of the same over random sets", low=0, high=1),
    optional("activation_share", "float", "share of the variance of the activations rebuilt from the members that "
             "lies along the mean, over tokens on which one of them fires", low=0, high=1),
    optional("activation_share_null", "float", "mean of the same over random sets", low=0, high=1),
    Field("mean_items", "list<string>", "items on which everything that fires adds up to the most along the mean "
          "direction, the largest first; of items seen 5 times or more"),
    Field("mean_features", "list<integer>", "features outside the community whose decoder directions are nearest to "
          "the mean, the nearest first"),
    Field("mean_cosine", "float", "cosine of the first of these with the mean", low=-1, high=1),
)  # fmt: skip
