"""The columns of magnitude: how a feature's activations are distributed, their peaks, and the model's uncertainty."""

from __future__ import annotations

from atlas.schema.fields import Field, optional

_PEAKS = "where the smoothed density has two peaks or more, by peak from the weakest on: "

MAGNITUDE_FIELDS = (
    Field("index", "integer", "index of the feature in its SAE", low=0),
    optional("magnitude", "string", "class of its positive activations: `set` (one peak, narrow), `variable` (one "
             "peak, wide), `multi-peak` (two or more), or `unclear` where the two tests of peaks disagree; empty "
             "below 200 of them"),
    Field("positive_count", "integer", "positive activations that were looked at: all, or the run's sample of them",
          "activations", low=0),
    Field("activation_threshold", "float", "threshold of the feature's JumpReLU, which is taken off its activations "
          "here; 0 where it has none", "activation"),
    optional("magnitude_mean", "float", "mean of its activations above the threshold", "activation", low=0),
    optional("magnitude_cv", "float", "standard deviation of these over their mean: up to .35 is narrow", low=0),
    optional("dip", "float", "Hartigan's dip: the distance of their distribution from the nearest one with a single "
             "peak; empty below 200", low=0, high=0.25),
    optional("dip_p", "float", "p-value of the dip, from the table for uniform activations, the hardest one-peaked "
             "case; below .01 there is more than one peak", low=0, high=1),
    optional("dip_q", "float", "Benjamini-Hochberg adjusted dip_p over the features that have one", low=0, high=1),
    optional("n_peaks", "integer", "peaks of the smoothed density", "peaks", low=1),
    optional("histogram", "list<integer>", "activations above the threshold by bins of one width from 0 on, the last "
             "with all beyond; empty where there is none"),
    optional("histogram_high", "float", "where the last bin ends but for what lies beyond", "activation", low=0),
    optional("peak_places", "list<float>", _PEAKS + "where it is highest, above the threshold", "activation"),
    optional("peak_shares", "list<float>", _PEAKS + "share of the activations that lie between its valleys"),
    optional("peak_causes", "list<string>", _PEAKS + "what sets its firings apart, as the column `cause` of `peaks`"),
    optional("peak_tokens", "list<string>", _PEAKS + "the vocabulary item most typical of it, which explains it where "
             "the cause is `token`"),
    optional("peak_neighbours", "list<integer>", _PEAKS + "the feature that fires inside it far more than outside, "
             "-1 where there is none; explains it where the cause is `neighbour`"),
    optional("entropy_correlation", "float", "rank correlation of its activations with the entropy of the model's "
             "next token, over its firings; above 0 it fires strongly where the model is unsure; empty without "
             "entropies", low=-1, high=1),
    optional("entropy_correlation_q", "float", "Benjamini-Hochberg adjusted p of it, both permuted within documents",
             low=0, high=1),
    optional("entropy_difference", "float", "mean entropy of the next token where it fires less that of the other "
             "tokens of the same documents", "nats"),
    optional("entropy_difference_q", "float", "Benjamini-Hochberg adjusted p of it, firings permuted within documents",
             low=0, high=1),
)  # fmt: skip
"""Columns of `magnitude`; all but `index` and `OF_PEAKS` are properties of `:Feature`."""
OF_PEAKS = ("peak_places", "peak_shares", "peak_tokens", "peak_neighbours")
"""Those that `:Peak` has, one node for each peak."""

_INSIDE, _OUTSIDE = "share of the peak's firings ", "the same share of the feature's other firings"

PEAK_FIELDS = (
    Field("index", "integer", "index of the feature in its SAE", low=0),
    Field("peak", "integer", "number of the peak, from the weakest on", low=0),
    Field("at", "float", "where it is highest, above the threshold", "activation", low=0),
    Field("low", "float", "valley before it, or 0", "activation", low=0),
    Field("high", "float", "valley after it, or the largest activation", "activation", low=0),
    Field("firings", "integer", "firings between the two", "tokens", low=1),
    Field("share", "float", "share of the feature's firings", low=0, high=1),
    Field("prominence", "float", "how far it stands above the higher of its two valleys, over its height", low=0,
          high=1),
    Field("cause", "string", "first of these that sets its firings apart from the feature's others: `token` (one "
          "vocabulary item), `neighbour` (another feature), `ring` (a partner on the same ring), `uncertainty` (the "
          "model is less sure of the next token), `tokens` (items taken together), else `intrinsic`; what goes with "
          "it, and no proof that it makes it"),
    optional("token", "string", "the item most typical of the peak, case and outer spaces merged"),
    optional("token_share", "float", _INSIDE + "on that item", low=0, high=1),
    optional("token_share_outside", "float", _OUTSIDE, low=0, high=1),
    optional("token_q", "float", "Benjamini-Hochberg adjusted p of the item (hypergeometric)", low=0, high=1),
    optional("tokens_explained", "float", "share of the variance of lying in the peak that the item predicts on "
             "documents it was not learned on; can be negative", high=1),
    optional("neighbour", "integer", "index of the neighbour most typical of the peak", low=0),
    optional("relation", "string", "what it is to the feature: `parent`, `child`, `same` or `co-occurs`"),
    optional("neighbour_share", "float", _INSIDE + "on which it fires", low=0, high=1),
    optional("neighbour_share_outside", "float", _OUTSIDE, low=0, high=1),
    optional("neighbour_lift", "float", "the first of these shares over the second, half a firing added", low=0),
    optional("neighbour_q", "float", "Benjamini-Hochberg adjusted p of the neighbour (hypergeometric)", low=0, high=1),
    optional("manifold", "integer", "number of the ring that feature and partners are on", low=0),
    optional("partner_share", "float", _INSIDE + "on which a partner on the ring fires", low=0, high=1),
    optional("partner_share_outside", "float", _OUTSIDE, low=0, high=1),
    optional("partner_q", "float", "Benjamini-Hochberg adjusted p of the partners (hypergeometric)", low=0, high=1),
    optional("entropy_difference", "float", "mean entropy of the next token inside the peak less that outside",
             "nats"),
    optional("entropy_auc", "float", "probability that a firing of the peak has a higher entropy than another of the "
             "feature's: .5 as high", low=0, high=1),
    optional("entropy_q", "float", "Benjamini-Hochberg adjusted p of that (rank sum)", low=0, high=1),
)  # fmt: skip
