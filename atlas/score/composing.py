"""What the rule of verdicts calls the planted sets of W12."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlas.artifacts import Run
from atlas.behaviour.evidence import Subgraph, gather_evidence, judged
from atlas.behaviour.held_out import HeldOut, merged_items
from atlas.behaviour.pairs import pair_strengths
from atlas.behaviour.verdicts import VERDICTS, verdict
from atlas.counting.strata import span_labels
from atlas.firings import Firings
from atlas.mapped import map_arrays
from atlas.score.judging import Counts
from atlas.score.readings import KINDS, Readings
from atlas.score.recording import record

WHO = "verdicts"
CLAIMS = ("composition", "ambiguity")


def verdict_counts(
    planted: Readings, place: Path, *, seed: int
) -> tuple[Counts, dict[str, dict[str, dict[str, int]]]]:
    """Return recall and false claims of each verdict, and what sets of each kind are called.

    The sets are given, as graphs are in W8: it is the rule that is judged, on every second document, which is what a
    run has. Undetermined is no claim, and a miss.

    Returns
    -------
    counts
        `verdicts: KIND`, sets called what they are, over sets of the kind; of controls, called `neither`. `verdicts:
        false CLAIM`, sets of other kinds called so, over these.
    confusion
        By planted kind and verdict.
    """
    with Run(place) as run:
        artifact = record(run, planted.sample, seed=seed)
    firings = Firings(artifact.path)
    item, _ = merged_items(firings, artifact.table("vocabulary").to_pylist())
    stratum = span_labels(planted.sample.document)
    half = HeldOut.of(firings, documents=np.unique(planted.sample.document)[1::2], item=item, stratum=stratum)
    subgraphs = [Subgraph(np.array(one.members, np.int64), one.hub) for one in planted.sets]
    strengths = pair_strengths(half, [judged(half, one.members) for one in subgraphs])
    directions = np.asarray(map_arrays(artifact.path / "decoder.safetensors")["W_dec"])
    evidence = gather_evidence(half, subgraphs, strengths, directions=directions, seed=seed)
    called = [verdict(len(one.members), found)[0] for one, found in zip(subgraphs, evidence, strict=True)]
    confusion: dict[str, dict[str, int]] = {kind: dict.fromkeys(map(str, VERDICTS), 0) for kind in KINDS}
    for one, name in zip(planted.sets, called, strict=True):
        confusion[one.kind][name] += 1
    return _counts(confusion), {WHO: confusion}


def _counts(confusion: dict[str, dict[str, int]]) -> Counts:
    counts: Counts = {}
    for kind, row in confusion.items():
        right = row[kind] if kind in CLAIMS else row["neither"]
        counts[f"{WHO}: {kind}"] = (right, sum(row.values()))
    for claim in CLAIMS:
        others = [row for kind, row in confusion.items() if kind != claim]
        counts[f"{WHO}: false {claim}"] = (sum(row[claim] for row in others), sum(sum(row.values()) for row in others))
    return counts
