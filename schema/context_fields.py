"""The columns of contexts: places in the text where features fire, and where the two of an edge fire together."""

from __future__ import annotations

from atlas.schema.fields import DOCUMENT_FIELDS, EDGE_FIELDS, NAME, Field, named

CONTEXT = Field("context", "integer", "number of the context in the order of the corpus", low=0)
_ACTIVATION = Field("activation", "float", "activation of the feature on the token", "activation")
_SAMPLE = Field(
    "sample", "string", "`strongest`: one of its strongest firings, those of other documents first; `uniform`: drawn "
    "among all of its firings; `both`"
)  # fmt: skip

PIECE_FIELDS = (
    Field("token_id", "integer", "index in the model's vocabulary", low=0),
    Field("bytes", "string", "the item's bytes in hexadecimal: no text alone, part of a character beside others"),
)

CONTEXT_FIELDS = (
    CONTEXT,
    Field("row", "integer", "place of the token among the kept tokens of the corpus", low=0),
    *named(DOCUMENT_FIELDS, "document"),
    Field("document_name", "string", "name that the corpus gives the document"),
    Field("position", "integer", "place of the token in its document; dropped special tokens leave gaps", low=0),
    NAME,
    Field("text", "string", "the window of kept tokens around the token, joined; it does not leave the document"),
    Field("tokens", "list<string>", "the share of each token in the text; of several tokens that make one character "
          "the token of the context has it, else the first"),
    Field("place", "integer", "place of the token in `tokens`", low=0),
)  # fmt: skip

FEATURE_CONTEXT_FIELDS = (
    Field("index", "integer", "index of the feature", low=0),
    CONTEXT,
    _ACTIVATION,
    _SAMPLE,
    Field("activations", "list<float>", "activation of the feature on each token of the window, 0 where it does not "
          "fire", "activation"),
)  # fmt: skip

EDGE_CONTEXT_FIELDS = (
    *named(EDGE_FIELDS, "a", "b"),
    CONTEXT,
    Field("activation_a", "float", "activation of the feature with the lower index on the token", "activation"),
    Field("activation_b", "float", "activation of the other", "activation"),
    Field("share", "float", "the smaller of the two activations, each over the largest of its feature", low=0, high=1),
)
