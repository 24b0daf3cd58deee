"""Pairs of child and parent with what is measured of them, and the gates that a candidate passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Floats, Integers

Bools = npt.NDArray[np.bool_]
FULL, PARTIAL = "full", "partial"
KINDS = (FULL, PARTIAL)
Gates = list[tuple[str, Bools]]
"""Each gate by its name, and which pairs pass it, whatever they do at the others."""


@dataclass(frozen=True)
class Limits:
    """What a pair must pass to be a candidate for absorption.

    Attributes
    ----------
    min_cosine : float
        Smallest decoder cosine.
    min_contribution : float
        Smallest part of the parent's usual strength that the child brings along the parent's direction. Two
        children that have absorbed one parent alike bring each other's half.
    min_ratio : float
        Smallest firing count of the parent over the child's.
    max_conditional : float
        Largest P(parent given child) under `rel:0.5`.
    min_partial : float
        From this P(parent given child) under `any` on, the parent is not silent but weak.
    signature_cosine, signature_asymmetry : float
        Smallest decoder cosine, and smallest lead over the encoder cosine, of the textbook mark.
    """

    min_cosine: float = 0.3
    min_contribution: float = 0.6
    min_ratio: float = 1.1
    max_conditional: float = 0.2
    min_partial: float = 0.3
    signature_cosine: float = 0.3
    signature_asymmetry: float = 0.5


@dataclass(frozen=True)
class Pairs:
    """Pairs of child and parent, in any order.

    Attributes
    ----------
    child, parent : int64, shape (n,)
    decoder_cosine : float64, shape (n,)
    encoder_cosine : float64, shape (n,), or None
        None without an encoder.
    contribution : float64, shape (n,)
        Mean activation of the child times the decoder cosine, over the parent's median activation: the part of
        the parent's usual strength along its own direction that the child brings. It is 1 where the child
        replaces the parent whole, and about the decoder cosine where two features of like strength merely point
        alike, as two children of one parent do.
    """

    child: Integers
    parent: Integers
    decoder_cosine: Floats
    encoder_cosine: Floats | None
    contribution: Floats

    @classmethod
    def of(
        cls, directions: Directions, features: Integers, counted: Counted, child: Integers, parent: Integers
    ) -> Self:
        """Return pairs of rows of `directions`, row r being the direction of `features[r]`."""
        cosine = directions.decoder_cosine(child, parent)
        i, j = features[child], features[parent]
        part = cosine * counted.mean[i] / np.where(counted.median[j] > 0, counted.median[j], np.inf)
        return cls(i, j, cosine, directions.encoder_cosine(child, parent), np.maximum(part, 0))

    @property
    def asymmetry(self) -> Floats | None:
        """Decoder cosine less encoder cosine: float64, shape (n,); None without an encoder."""
        return None if self.encoder_cosine is None else self.decoder_cosine - self.encoder_cosine

    def at(self, which: npt.NDArray[Any]) -> Self:
        """Return some of the pairs: by a mask or by places."""
        found: dict[str, Any] = {
            name: None if value is None else value[which] for name, value in self.__dict__.items()
        }
        return type(self)(**found)

    @classmethod
    def joined(cls, parts: list[Self], *, with_encoder: bool) -> Self:
        """Return several as one."""
        none = np.zeros(0, np.int64)
        columns: dict[str, Any] = {}
        for name, empty in (("child", none), ("parent", none), ("decoder_cosine", none * 1.0),
                            ("encoder_cosine", none * 1.0), ("contribution", none * 1.0)):  # fmt: skip
            if name == "encoder_cosine" and not with_encoder:
                columns[name] = None
            else:
                columns[name] = np.concatenate([empty, *(getattr(part, name) for part in parts)])
        return cls(**columns)


@dataclass(frozen=True)
class Silence:
    """How the parent fires on the child's tokens.

    Attributes
    ----------
    joint, strong_joint : int64, shape (n,)
        Tokens on which both fire under `any` and `rel:0.5`.
    p_parent_given_child, p_child_given_parent, strong_p_parent_given_child, strong_p_child_given_parent
        The conditionals under `any` and `rel:0.5`: float64, shape (n,); 0 where nothing fires.
    expected : float64, shape (n,)
        Joint firings that chance within documents makes.
    kind : object, shape (n,)
        `full`: the strong conditional is at most .2 and the weak one below .3; `partial`: the strong conditional is
        at most .2 and the weak one .3 or more; else None. That the parent fires less than chance has it is not
        asked: a parent of density .01 that is left with a tenth of the child's tokens is absorbed, at a lift of 10.
    """

    joint: Integers
    strong_joint: Integers
    p_parent_given_child: Floats
    p_child_given_parent: Floats
    strong_p_parent_given_child: Floats
    strong_p_child_given_parent: Floats
    expected: Floats
    kind: npt.NDArray[np.object_]

    @classmethod
    def of(cls, pairs: Pairs, counted: Counted, limits: Limits) -> Self:
        """Return the silence of pairs."""
        joint, strong = counted.joint(pairs.child, pairs.parent)
        expected = counted.expected(pairs.child, pairs.parent)
        weak_i, weak_j = counted.firing_count[pairs.child], counted.firing_count[pairs.parent]
        strong_i, strong_j = counted.strong_count[pairs.child], counted.strong_count[pairs.parent]
        weak_p, strong_p = joint / np.maximum(weak_i, 1), strong / np.maximum(strong_i, 1)
        weak = strong_p <= limits.max_conditional
        kind = np.full(len(joint), None, object)
        kind[weak & (weak_p >= limits.min_partial)] = PARTIAL
        kind[weak & (weak_p < limits.min_partial)] = FULL
        return cls(joint, strong, weak_p, joint / np.maximum(weak_j, 1), strong_p,
                   strong / np.maximum(strong_j, 1), expected, kind)  # fmt: skip


def candidate_gates(pairs: Pairs, silence: Silence, counted: Counted, limits: Limits) -> Gates:
    """Return the gates of a candidate, in the order of the control's table."""
    gates = [
        (f"decoder cosine {limits.min_cosine:g} or more", pairs.decoder_cosine >= limits.min_cosine),
        (f"contribution {limits.min_contribution:g} or more", pairs.contribution >= limits.min_contribution),
        *_common(pairs, counted, limits),
        ("parent silent or weak", silence.kind.astype(bool)),
    ]
    if pairs.asymmetry is not None:
        gates.append(("encoder cosine below the decoder's", pairs.asymmetry > 0))
    return gates


def signature_gates(pairs: Pairs, silence: Silence, counted: Counted, limits: Limits) -> Gates:
    """Return the gates of the textbook mark; none without an encoder, or with a tied one."""
    if pairs.asymmetry is None:
        return []
    cosine, lead = limits.signature_cosine, limits.signature_asymmetry
    return [
        (f"decoder cosine {cosine:g} or more", pairs.decoder_cosine >= cosine),
        (f"asymmetry {lead:g} or more", pairs.asymmetry >= lead),
        *_common(pairs, counted, limits),
        ("parent silent or weak", silence.kind.astype(bool)),
    ]


def _common(pairs: Pairs, counted: Counted, limits: Limits) -> Gates:
    n = counted.firing_count
    return [(f"parent {limits.min_ratio:g} times as common", n[pairs.parent] >= limits.min_ratio * n[pairs.child])]


def passing(gates: Gates, n: int) -> Bools:
    """Return which of n pairs pass all of the gates."""
    found = np.ones(n, bool)
    for _, passes in gates:
        found &= passes
    return found
