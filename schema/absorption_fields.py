"""The columns of absorption and hedging: which feature fires in another's place, and how often chance would say so."""

from __future__ import annotations

from atlas.schema.fields import Field

_INDEX = Field("index", "integer", "index of the letter's feature", low=0)
_CONTRIBUTION = (
    "mean activation of the child times the decoder cosine, over the parent's median "
    "activation: the part of the parent's usual strength along its own direction that the child brings"
)

ABSORPTION_FIELDS = (
    Field("child", "integer", "index of the feature that fires in the parent's place", low=0),
    Field("parent", "integer", "index of the commoner feature, silent where the child fires", low=0),
    Field("kind", "string", "`full`: the parent is silent on the child's tokens; `partial`: it fires there, but weakly "
          "(.3 or more under the rule `any`)"),
    Field("status", "string", "`candidate`: by directions and firings alone; after the intervention on the model "
          "`finding` where it holds, `dropped` where it does not"),
    Field("signature", "boolean", "whether it has the mark of a textbook case, too: decoder cosine .3 or more, and .5 "
          "or more above the encoder cosine"),
    Field("same_item", "boolean", "whether both fire strongest on one vocabulary item, case and outer spaces merged: "
          "one word split by context, rather than a word that lost its general feature"),
    Field("decoder_cosine", "float", "cosine of the two decoder directions", low=-1, high=1),
    Field("encoder_cosine", "float", "cosine of the two encoder directions; empty without an encoder", low=-1, high=1,
          required=False),
    Field("asymmetry", "float", "decoder_cosine - encoder_cosine; 0 in a tied SAE by construction, and says nothing "
          "there", low=-2, high=2, required=False),
    Field("contribution", "float", _CONTRIBUTION, low=0),
    Field("readout_share", "float", "share of the child's tokens without the parent on which the rebuilt activation "
          "reaches the lower quartile, along the parent's direction, of the parent's own tokens", low=0, high=1),
    Field("readout_control", "float", "the same share on random tokens of the corpus", low=0, high=1),
    Field("child_count_any", "integer", "tokens on which the child fires", "tokens", low=0),
    Field("parent_count_any", "integer", "tokens on which the parent fires", "tokens", low=0),
    Field("joint_count_any", "integer", "tokens on which both fire", "tokens", low=0),
    Field("child_count_rel", "integer", "tokens on which the child fires under the rule `rel`", "tokens", low=0),
    Field("parent_count_rel", "integer", "tokens on which the parent fires under the rule `rel`", "tokens", low=0),
    Field("joint_count_rel", "integer", "tokens on which both fire under the rule `rel`", "tokens", low=0),
    Field("p_parent_given_child_any", "float", "share of the child's firings on which the parent fires", low=0,
          high=1),
    Field("p_child_given_parent_any", "float", "share of the parent's firings on which the child fires", low=0,
          high=1),
    Field("p_parent_given_child_rel", "float", "the same as p_parent_given_child_any under the rule `rel`", low=0,
          high=1),
    Field("p_child_given_parent_rel", "float", "the same as p_child_given_parent_any under the rule `rel`", low=0,
          high=1),
    Field("expected", "float", "joint firings expected if independent within documents, corrected for tokens on which "
          "many features fire; where this is small, silence says little", "tokens", low=0),
    Field("lift_d", "float", "joint_count_any / expected; empty where nothing is expected", low=0, required=False),
    Field("splitting_index", "float", "mean activation of the child where both fire over that where it fires alone; "
          "empty where they never do", low=0, required=False),
    Field("causal_tokens", "integer", "tokens on which the model was intervened; empty without the intervention",
          "tokens", low=0, required=False),
    Field("revived_share", "float", "share of them on which the parent fires once what the child adds beside the "
          "parent's direction is taken away", low=0, high=1, required=False),
    Field("revived_control", "float", "the same with another feature that fires there in the child's place", low=0,
          high=1, required=False),
    Field("effect_cosine", "float", "cosine of what taking the child away does to the next token's logits with what "
          "taking the parent away does on the parent's own tokens", low=-1, high=1, required=False),
    Field("effect_control", "float", "the same with the effect of a random parent of like rarity", low=-1, high=1,
          required=False),
)  # fmt: skip

HEDGING_FIELDS = (
    Field("a", "integer", "index of the feature with the lower index", low=0),
    Field("b", "integer", "index of the feature with the higher index", low=1),
    Field("decoder_cosine", "float", "cosine of the two decoder directions", low=-1, high=1),
    Field("encoder_cosine", "float", "cosine of the two encoder directions", low=-1, high=1),
    Field("joint_count", "integer", "tokens on which both fire", "tokens", low=0),
    Field("expected", "float", "joint firings expected if independent within documents", "tokens", low=0),
    Field("lift_d", "float", "joint_count / expected; empty where nothing is expected", low=0, required=False),
    Field("p_a_given_b", "float", "share of b's firings on which a fires", low=0, high=1),
    Field("p_b_given_a", "float", "share of a's firings on which b fires", low=0, high=1),
)  # fmt: skip

ABSORPTION_CONTROL_FIELDS = (
    Field("claim", "string", "`absorption`, `signature` or `hedging`"),
    Field("place", "integer", "number of the gate in its claim: a pair passes it and those before it", low=0),
    Field("gate", "string", "what the pairs must pass"),
    Field("pairs", "integer", "pairs of alive features that pass", "pairs", low=0),
    Field("random_directions", "integer", "pairs that pass when the directions are random ones of the same mean and "
          "covariance, and the firings the real ones", "pairs", low=0),
    Field("matched_share", "float", "share of random pairs with the firing counts of the claimed ones that pass this "
          "gate alone; empty where nothing is claimed, or there is no such figure", low=0, high=1, required=False),
)  # fmt: skip

LETTER_FIELDS = (
    Field("letter", "string", "the first letter of words, a to z"),
    _INDEX,
    Field("split", "list<integer>", "further features of the letter, which share its words with that one"),
    Field("recall", "float", "mean over the letter's vocabulary items of the share of tokens on which the feature "
          "fires", low=0, high=1),
    Field("precision", "float", "of these shares summed over all words, the part that is the letter's", low=0, high=1),
    Field("n_items", "integer", "vocabulary items that begin with the letter, 5 tokens or more each", "items", low=0),
    Field("n_missing", "integer", "of these, items on whose tokens these features are nearly always silent", "items",
          low=0, required=False),
    Field("n_absorbed", "integer", "missing items whose letter another feature has taken; empty, as the number "
          "missing, where no feature is good enough to be the letter's (F1 over items .4)", "items", low=0,
          required=False),
    Field("control_letters", "float", "what chance says of a missing item: the share absorbed by the same rule when "
          "the feature of another letter, silent on the same tokens, stands in the letter's place", low=0, high=1,
          required=False),
    Field("control_features", "float", "the same with random features of like rarity", low=0, high=1, required=False),
)  # fmt: skip

LETTER_WORD_FIELDS = (
    *LETTER_FIELDS[:1],
    Field("token_id", "integer", "the missing vocabulary item", low=0),
    Field("text", "string", "the item decoded alone"),
    Field("n_tokens", "integer", "tokens of the item", "tokens", low=1),
    _INDEX,
    Field("letter_share", "float", "share of the item's tokens on which the letter's features fire, the "
          "most of any", low=0, high=1),
    Field("absorbing", "integer", "index of the feature that brings most along the direction of the letter's feature "
          "where that is silent", low=0),
    Field("absorbing_share", "float", "share of these tokens on which it fires", low=0, high=1),
    Field("decoder_cosine", "float", "cosine of the two decoder directions", low=-1, high=1),
    Field("contribution", "float", "what it brings along the direction, mean over these tokens, over the median "
          "activation of the letter's feature"),
    Field("p", "float", "share of random features of like rarity and of other letters' features along whose "
          "directions some feature brings as much on these tokens, the letter's own counted in", low=0, high=1),
    Field("q", "float", "Benjamini-Hochberg adjusted p over all missing items", low=0, high=1),
    Field("absorbed", "boolean", "contribution .5 or more, and p .05 or less"),
)  # fmt: skip
