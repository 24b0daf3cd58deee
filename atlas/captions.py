"""Short names for features, made of the vocabulary items under their strongest firings."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from atlas.firings import Firings

STRONGEST = 100
N_TOKENS = 8
_VISIBLE = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}


def readable(text: str) -> str:
    """Return a vocabulary item as people should see it.

    Outer spaces go; an item of white space alone is shown by signs; control characters, format
    marks (bidirectional ones among them) and halves of UTF-8 sequences become U+FFFD.
    """
    stripped = text.strip()
    shown = stripped or "".join(_VISIBLE.get(sign, sign) for sign in text[:4])
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn") else sign for sign in shown)


def top_tokens(firings: Firings, texts: Sequence[str], *, strongest: int = STRONGEST) -> list[list[str]]:
    """Return for each feature the items under its strongest firings, the largest share first.

    Share is the sum of activations over the `strongest` firings, case and outer spaces merged. It
    says where the feature is strong, not all that it fires on.

    Parameters
    ----------
    texts
        Text of each vocabulary item, by token id.

    Returns
    -------
    list of at most 8 strings a feature; empty where it never fires
    """
    items = np.asarray(firings.token_id)
    shown = [readable(text) for text in texts]
    return [_of_feature(firings, feature, items, shown, strongest) for feature in range(firings.d_sae)]


def _of_feature(
    firings: Firings, feature: int, items: npt.NDArray[np.int32], shown: Sequence[str], strongest: int
) -> list[str]:
    rows, activations = firings.tokens_of(feature), firings.activations_of(feature)
    best = np.lexsort((rows, -activations))[:strongest]
    shares: dict[str, float] = {}
    spelled: dict[str, str] = {}
    for token, activation in zip(items[rows[best]].tolist(), activations[best].tolist(), strict=True):
        key = shown[token].casefold()
        spelled.setdefault(key, shown[token])
        shares[key] = shares.get(key, 0.0) + activation
    ranked = sorted(shares, key=lambda key: (-shares[key], key))
    return [spelled[key] for key in ranked[:N_TOKENS]]


def caption(tokens: Sequence[str], *, fallback: str, width: int = 32) -> str:
    """Return up to three items as one short name, or `fallback` where there are none."""
    name = ""
    for token in tokens[:3]:
        longer = f"{name} · {token}" if name else token
        if len(longer) > width:
            break
        name = longer
    return name or (tokens[0][: width - 1] + "…" if tokens else fallback)
