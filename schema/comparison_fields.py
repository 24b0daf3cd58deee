"""The columns of a comparison: one run beside another, such as a control or a second seed."""

from __future__ import annotations

from atlas.schema.fields import Field

COSINE = Field("cosine", "float", "cosine of the two decoder directions; empty where the runs' models or widths differ",
               low=-1, high=1, required=False)  # fmt: skip
PHI = Field("phi", "float", "correlation of the two features' firings on the same tokens; empty where the runs read "
            "different tokens", low=-1, high=1, required=False)  # fmt: skip
MATCH_FIELDS = (
    Field("index", "integer", "index of the feature in this run", low=0),
    Field("other", "integer", "index of the feature in the other run that it is matched with", low=0),
    Field("by", "string", "of what each is the nearest of the other, one to one: `decoder` (direction), `firings` "
          "(tokens) or `both`"),
    COSINE,
    Field("cosine_q", "float", "false-discovery rate of matches by decoder at this cosine or more: the same count for "
          "random directions of the same mean and covariance, over the real one; empty where not matched so", low=0,
          high=1, required=False),
    PHI,
    Field("phi_q", "float", "the same of matches by firings: the count for the other run's firings permuted within "
          "documents, over the real one; empty where not matched so", low=0, high=1, required=False),
)  # fmt: skip
MATCH_PROPERTIES = tuple(field for field in MATCH_FIELDS if field.name not in ("index", "other"))
"""Properties of `(:Feature)-[:MATCHES]->(:Feature)`."""

COMPARISON_FIELDS = (
    Field("structure", "string", "what is counted: `communities`, `egos`, `parents`, `edges`, `families`, `rings`, "
          "`absorption`, `magnitude`, `verdicts`, `sorts`"),
    Field("of", "string", "class, kind, level or basis"),
    Field("count", "integer", "how many this run has", "structures", low=0),
    Field("other_count", "integer", "how many the other run has", "structures", low=0),
    Field("rate", "float", "count per 1,000 alive features", low=0),
    Field("other_rate", "float", "the same in the other run", low=0),
    Field("ratio", "float", "rate over other_rate, half a structure added to each count", low=0),
    Field("low", "float", "2.5 % point of the ratio over 2,000 Bayesian bootstraps of the unit", low=0),
    Field("high", "float", "97.5 % point", low=0),
    Field("unit", "string", "what the bootstrap draws: `feature` or `community`"),
    Field("matched", "integer", "of this run's, those whose features are all matched (of a set: half, and two or more)",
          "structures", low=0, required=False),
    Field("survives", "integer", "of the matched, those that the other run has between the matched features, too; "
          "for none matched 0", "structures", low=0, required=False),
    Field("survives_by_chance", "float", "the same with the matches permuted among the matched features, mean of 20",
          "structures", low=0, required=False),
)  # fmt: skip

COMMUNITY_MATCH_FIELDS = (
    Field("level", "string", "`coarse`, `middle` or `fine`"),
    Field("cluster", "integer", "number of the community in this run", low=0),
    Field("matched", "integer", "members that are matched", "features", low=0),
    Field("other", "integer", "number of the other run's community of the level that is most like it", low=0,
          required=False),
    Field("overlap", "float", "Jaccard index of the two among matched features; empty below two matched members", low=0,
          high=1, required=False),
    Field("overlap_p", "float", "share of 200 permutations of the matches with as much overlap, the real one counted "
          "in", low=0, high=1, required=False),
    Field("other_shape", "string", "class of that community; empty where there is none", required=False),
)  # fmt: skip

COMPARED_FIELDS = (
    Field("other", "string", "name of the other run: its atlas's name where that is loaded"),
    Field("control", "string", "what the other run is: `seed`, `shuffled`, `random-weights`, `random-embedding-kept`, "
          "`frozen-decoder`, or empty where its manifests do not say", required=False),
    Field("n_alive", "integer", "alive features of this run", "features", low=0),
    Field("other_alive", "integer", "alive features of the other", "features", low=0),
    Field("matched_by_decoder", "integer", "features matched by decoder at a false-discovery rate of 5 %", "features",
          low=0, required=False),
    Field("matched_by_firings", "integer", "features matched by firings at a false-discovery rate of 5 %", "features",
          low=0, required=False),
    Field("matched_by_both", "integer", "features whose two matches are the same feature", "features", low=0,
          required=False),
    Field("median_cosine", "float", "median over alive features of the nearest cosine; matched or not", low=-1, high=1,
          required=False),
    Field("median_cosine_null", "float", "the same of random directions of the same mean and covariance", low=-1,
          high=1, required=False),
    Field("median_phi", "float", "median over alive features of the highest phi; matched or not", low=-1, high=1,
          required=False),
    Field("median_phi_null", "float", "the same with the other run's firings permuted within documents", low=-1,
          high=1, required=False),
)  # fmt: skip
"""Properties of `(:Atlas)-[:COMPARED_WITH]->(:Atlas)`: all of them in the results of `70-comparison-NAME`."""
