"""The columns of manifolds: sets of features whose rebuilt activations lie on a ring, a line or another figure."""

from __future__ import annotations

from atlas.schema.fields import NAME, Field

MANIFOLD = Field("manifold", "integer", "number of the manifold within its atlas, claims first", low=0)
GEOMETRY = Field(
    "geometry", "string", "`ring`, `arc`, `line`, `helix`, `simplex`, or `undetermined`, which is no claim"
)

MANIFOLD_FIELDS = (
    MANIFOLD,
    NAME,
    GEOMETRY,
    Field("points", "string", "what the points are: `items`, centroids of vocabulary items, or `members`, centroids of "
          "the tokens on which each member is the strongest"),
    Field("n_points", "integer", "points", "points", low=6),
    Field("size", "integer", "features whose activations the points are rebuilt from", "features", low=1),
    Field("source", "string", "where the candidate came from: a community of the level `coarse`, `middle` or `fine`, "
          "an `ego` subgraph, or a cluster of `decoder` directions"),
    Field("source_number", "integer", "number of the community, index of the hub, or number of the decoder cluster",
          low=0),
    Field("found_in", "integer", "sets of features that give these points, or ones of which half or more are these; "
          "the source is the one that fires on them most exclusively", "sets", low=1),
    Field("plane", "list<integer>", "the two principal components of the plane, from 1"),
    Field("component_variance", "list<float>", "share of the points' variance along each of the first components, on "
          "the half of the documents that they were fitted on"),
    Field("held_out_variance", "list<float>", "the same along these directions on the other half"),
    Field("plane_variance", "float", "share of the variance on the plane, on the other half", low=0, high=1),
    Field("simplex_variance", "float", "what a simplex of as many points has on any plane: 2/(k-1)", low=0, high=1),
    Field("shuffled_variance", "float", "plane_variance of the same candidate on shuffled firings; empty where too "
          "few points are left", low=0, high=1, required=False),
    Field("radius_cv", "float", "coefficient of variation of the points' distances from their mean on the plane, on "
          "the other half; 0 on a circle", low=0),
    Field("largest_gap", "float", "largest angle between two neighbouring points, over that of evenly spread ones: "
          "1 is even", low=1),
    Field("closure", "float", "likeness of the pair across the largest gap, over the median of the other neighbours: "
          "near 1 on a closed ring, near 0 on a line that is bent; empty where neighbours are not alike",
          required=False),
    Field("agreement", "float", "cosine of the points' places on the plane in the two halves of the documents", low=-1,
          high=1, required=False),
    Field("p", "float", "share of Gaussian point sets of the same size and spectrum that are as round, with the same "
          "search over planes, where rule and closure are met, else 1; of a line against simplices; of `undetermined` "
          "that of a ring, empty where no plane is one of two components alike; of `simplex` likewise", low=0, high=1,
          required=False),
    Field("q", "float", "Benjamini-Hochberg adjusted p over the distinct sets of points tested for the geometry",
          low=0, high=1, required=False),
    Field("permuted", "float", "share of 200 permutations of the points' names over their tokens that meet the "
          "geometry's rule, p aside; empty where none is claimed, and for members", low=0, high=1, required=False),
    Field("order", "list<string>", "the points in the order found: around a ring, or along a line; found, not "
          "tested"),
    Field("cyclic_list", "string", "the known cyclic list that the items match, such as `months`; empty where none",
          required=False),
    Field("order_p", "float", "share of the orders of these items that are as close to the list's, the best plane of "
          "each counted; empty without a list", low=0, high=1, required=False),
    Field("order_q", "float", "Benjamini-Hochberg adjusted order_p over the distinct sets of items with a list", low=0,
          high=1, required=False),
    Field("decoder_variance", "float", "share of variance of the members' decoder directions on their first two "
          "components", low=0, high=1, required=False),
    Field("decoder_ring", "boolean", "whether the decoder directions alone pass for a ring by the same rules; empty "
          "below six members", required=False),
)  # fmt: skip

MANIFOLD_MEMBER_FIELDS = (
    MANIFOLD,
    Field("index", "integer", "index of the feature", low=0),
    Field("share", "float", "share of the set's activation, on the tokens of its points, that is the feature's", low=0,
          high=1),
    Field("top_item", "string", "the point at which the feature is strongest"),
    Field("x", "float", "its decoder direction on the manifold's plane, first component"),
    Field("y", "float", "second component"),
)  # fmt: skip

MANIFOLD_ITEM_FIELDS = (
    MANIFOLD,
    Field("item", "string", "the point: a vocabulary item, case and outer spaces merged, or the name of a member"),
    Field("place", "integer", "its place in the order found", low=0),
    Field("n_tokens", "integer", "tokens that the centroid is the mean of", "tokens", low=1),
    Field("specificity", "float", "how much more the set is active on it than on a token of the corpus, as a share: "
          "0 as much, 1 on nothing else", low=0, high=1, required=False),
    Field("list_place", "integer", "its place in the known cyclic list", low=0, required=False),
    Field("x", "float", "on the plane, first component, on the half that the plane was not fitted on"),
    Field("y", "float", "second component"),
    Field("fitted_x", "float", "the same on the half that it was fitted on"),
    Field("fitted_y", "float", "second component"),
)  # fmt: skip
