"""The stage `53-absorption`: which features fire in another's place, and what chance would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from atlas.absorption.candidates import Found, find_candidates
from atlas.absorption.causal import CANDIDATE, DROPPED, FINDING, TOKENS, Answer, Intervene, ask, status_of
from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Integers
from atlas.absorption.hedging import find_hedged
from atlas.absorption.letters import letter_tables
from atlas.absorption.measured import KINDS, Limits
from atlas.absorption.readout import Readouts, read_out
from atlas.artifacts import Artifact, Run, Spec
from atlas.association.testing import Gates, alive_features
from atlas.captions import top_tokens
from atlas.counting.rules import STRONG
from atlas.counting.stage import ACTIVATIONS, COUNTS
from atlas.files import write_table
from atlas.firings import Firings
from atlas.hierarchy import require_rule
from atlas.schema import TABLES
from atlas.tracking import Track, untracked

ABSORPTION = "53-absorption"
_CAUSAL = ("causal_tokens", "revived_share", "revived_control", "effect_cosine", "effect_control")


def absorb(
    run: Run,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    gates: Gates | None = None,
    intervene: Intervene | None = None,
    causal_tokens: int = TOKENS,
    memory: int = 2**32,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of absorption: candidates with their evidence, hedging, first letters, and the controls.

    A feature that absorbs another writes the other's direction into its own decoder and fires in its place. Then
    the two decoders are near, the encoders are not, and the commoner one is silent where the rarer fires. All of
    that is also true of features that divide one thing between them, so a pair is a candidate, not a finding.

    Tables: `absorption`, `hedging`, `letters`, `letter_words`, and `absorption_control`, which says for each gate how
    many pairs random directions would bring through it. Activations that came without a decoder have nothing to
    compare: all tables are empty then, and the results say so.

    Parameters
    ----------
    seed
        Of the random directions, of the controls, and of the tokens that are looked at.
    limits
        What a candidate must pass.
    gates
        Which features are dead or dense, as for the edges.
    intervene
        Asks the model about each candidate, which makes it a finding or drops it; without, all stay candidates.
    causal_tokens
        Tokens of each feature that it is asked on.
    memory
        Bytes for medians. It does not change the result.
    track
        Told of what is done.

    Raises
    ------
    InputError
        The rule `rel:0.5` was not counted, or the run keeps a reservoir of contexts.
    """
    limits, gates = limits or Limits(), gates or Gates()
    require_rule(run, STRONG, needed="absorption is found by it")

    def compute(directory: Path) -> dict[str, Any]:
        firings = Firings(run.artifact(ACTIVATIONS).path)
        firings.require_index()
        directions = Directions.of(firings.directory)
        alive = alive_features(firings.firing_count, n_tokens=firings.n_tokens, gates=gates)
        notes = notes_of(run.artifact(ACTIVATIONS), directions, len(alive))
        if directions is None or len(alive) < 2:
            for name in _tables():
                write_table(directory, name, {column.name: [] for column in TABLES[name].columns})
            return {"n_candidates": 0, "notes": notes}
        counted = Counted.of(firings, run.artifact(COUNTS).path, alive, memory=memory)
        work = _Work(firings, directions, counted, alive, seed, track)
        texts = _texts(run.artifact(ACTIVATIONS))
        results = work.candidates(directory, limits, texts, intervene, causal_tokens)
        return results | work.letters(directory, texts) | {"notes": notes}

    parameters = {**asdict(limits), **asdict(gates), "seed": seed,
                  "causal_tokens": None if intervene is None else causal_tokens}  # fmt: skip
    return run.produce(Spec(ABSORPTION, parameters, (ACTIVATIONS, COUNTS)), compute)


def _tables() -> list[str]:
    return [name for name, table in TABLES.items() if table.stage == ABSORPTION]


def notes_of(activations: Artifact, directions: Directions | None, n_alive: int) -> list[str]:
    """Return what of absorption does not apply to an SAE, and why: one sentence each."""
    if directions is None:
        return ["the activations came without a decoder: there are no directions to compare"]
    notes = []
    if n_alive < 2:
        notes.append(f"{n_alive} features are alive: there is no pair to compare")
    if directions.encoder is None:
        notes.append("the activations came without an encoder: no asymmetry, and nothing is said of hedging")
    elif directions.tied:
        notes.append(
            "the encoder is the decoder: the asymmetry is 0 by construction and no gate, and nothing is said of hedging"
        )
    if activations.results.get("architecture") in ("abstopk", "matching_pursuit"):
        notes.append("activations are signed: strengths are those of positive ones, any that is not 0 counts as firing")
    return notes


def _texts(activations: Artifact) -> list[str]:
    """Return the text of each vocabulary item, by token id; empty for items that the corpus has not."""
    table = activations.table("vocabulary")
    ids: list[Any] = table["token_id"].to_pylist()
    found: list[Any] = table["text"].to_pylist()
    texts = [""] * (max(ids, default=-1) + 1)
    for item, text in zip(ids, found, strict=True):
        texts[item] = text
    return texts


class _Work:
    """A run's firings with what was counted of them."""

    def __init__(
        self, firings: Firings, directions: Directions, counted: Counted, alive: Integers, seed: int, track: Track
    ) -> None:
        self.firings, self.directions, self.counted = firings, directions, counted
        self.alive, self.seed, self.track = alive, seed, track

    def candidates(
        self, directory: Path, limits: Limits, texts: Sequence[str], intervene: Intervene | None, causal_tokens: int
    ) -> dict[str, Any]:
        """Write the tables of candidates, hedging and controls, and return their figures."""
        found = find_candidates(
            self.directions, self.counted, self.alive, limits=limits, seed=self.seed, track=self.track
        )
        readouts = read_out(
            self.firings, self.directions, self.counted, found.pairs, seed=self.seed, track=self.track
        )
        answers = None if intervene is None else ask(
            intervene, self.firings, self.counted, self.alive, found.pairs, n_tokens=causal_tokens, seed=self.seed,
            track=self.track,
        )  # fmt: skip
        tops = top_tokens(self.firings, texts) if len(found.pairs.child) else []
        columns = _absorption_columns(found, readouts, self.counted, tops, self.directions) | _causal_columns(
            answers, len(found.pairs.child)
        )
        write_table(directory, "absorption", columns)
        hedged, rows, hedging_cut = find_hedged(
            self.directions, self.counted, self.alive, seed=self.seed, track=self.track
        )
        write_table(directory, "hedging", hedged)
        control = sorted([*found.control, *rows], key=lambda row: (row["claim"], row["place"]))
        names = ("claim", "place", "gate", "pairs", "random_directions", "matched_share")
        write_table(directory, "absorption_control", {name: [row[name] for row in control] for name in names})
        n = len(found.pairs.child)
        return {
            "n_candidates": n,
            "n_random": found.n_random,
            "false_share": min(found.n_random / n, 1.0) if n else None,
            "kinds": {kind: int((found.silence.kind == kind).sum()) for kind in KINDS},
            "statuses": {name: columns["status"].count(name) for name in (CANDIDATE, FINDING, DROPPED)},
            "n_signature": int(found.signature.sum()),
            "n_hedged": len(hedged["a"]),
            "hedging_cosine": hedging_cut,
            "tied": self.directions.tied,
        }

    def letters(self, directory: Path, texts: Sequence[str]) -> dict[str, Any]:
        """Write the tables of letters, and return their figures."""
        letters, words = letter_tables(
            self.firings, self.directions, self.counted, self.alive, texts, seed=self.seed
        )
        write_table(directory, "letters", letters)
        write_table(directory, "letter_words", words)
        return {
            "n_letters": sum(n is not None for n in letters["n_missing"]),
            "n_missing_words": len(words["text"]),
            "n_absorbed_words": sum(words["absorbed"]),
        }


def _absorption_columns(
    found: Found, readouts: Readouts, counted: Counted, tops: list[list[str]], directions: Directions
) -> dict[str, Any]:
    pairs, silence = found.pairs, found.silence
    n, i, j = len(pairs.child), pairs.child, pairs.parent
    first = [tokens[0].casefold() if tokens else "" for tokens in tops]
    none = [None] * n
    encoder_cosine, asymmetry = pairs.encoder_cosine, pairs.asymmetry
    if directions.tied:
        encoder_cosine, asymmetry = pairs.decoder_cosine, np.zeros(n)
    lift = np.divide(silence.joint, silence.expected, out=np.full(n, np.nan), where=silence.expected > 0)
    return {
        "child": i, "parent": j, "kind": silence.kind.tolist(),
        "signature": found.signature,
        "same_item": [first[a] == first[b] != "" for a, b in zip(i.tolist(), j.tolist(), strict=True)],
        "decoder_cosine": pairs.decoder_cosine,
        "encoder_cosine": none if encoder_cosine is None else encoder_cosine,
        "asymmetry": none if asymmetry is None else asymmetry,
        "contribution": pairs.contribution, "readout_share": readouts.share, "readout_control": readouts.control,
        "child_count_any": counted.firing_count[i], "parent_count_any": counted.firing_count[j],
        "joint_count_any": silence.joint, "child_count_rel": counted.strong_count[i],
        "parent_count_rel": counted.strong_count[j], "joint_count_rel": silence.strong_joint,
        "p_parent_given_child_any": silence.p_parent_given_child,
        "p_child_given_parent_any": silence.p_child_given_parent,
        "p_parent_given_child_rel": silence.strong_p_parent_given_child,
        "p_child_given_parent_rel": silence.strong_p_child_given_parent,
        "expected": silence.expected, "lift_d": np.ma.masked_invalid(lift).tolist(),
        "splitting_index": readouts.splitting.tolist(),
    }  # fmt: skip


def _causal_columns(answers: Sequence[Answer] | None, n: int) -> dict[str, Any]:
    """Return the columns of the intervention; those of a pair without an answer are empty."""
    if answers is None:
        return {"status": [CANDIDATE] * n, **dict.fromkeys(_CAUSAL, [None] * n)}
    rows = [(one.n_tokens, *((one.revived_share, one.revived_control, one.effect_cosine, one.effect_control)
                             if one.n_tokens else (None,) * 4)) for one in answers]  # fmt: skip
    found = {name: [row[place] for row in rows] for place, name in enumerate(_CAUSAL)}
    return {"status": [status_of(one) for one in answers], **found}
