"""The stage `54-magnitude`: how strongly features fire, what sets their peaks apart, and where the model is unsure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec, load_manifest
from atlas.association import EDGES
from atlas.association.fdr import benjamini_hochberg
from atlas.communities import CLUSTERS
from atlas.counting.stage import ACTIVATIONS
from atlas.counting.strata import span_labels
from atlas.files import write_table
from atlas.firings import Firings
from atlas.magnitude.classes import Classified, classify
from atlas.magnitude.explaining import CAUSES, Evidence, examine, explain
from atlas.magnitude.jackknife import document_parts, jackknife_interval
from atlas.magnitude.modality import CLASSES, MIN_COUNT
from atlas.magnitude.surroundings import RINGS, Around
from atlas.magnitude.uncertainty import CONTROLS, Spans, Uncertainty, uncertainty
from atlas.schema import TABLES
from atlas.tracking import Track, untracked

logger = logging.getLogger("atlas")

MAGNITUDE = "54-magnitude"


def magnitude(
    run: Run, *, q: float = 0.05, intervals: bool = False, seed: int = 0, track: Track = untracked
) -> Artifact:
    """Return the artifact of magnitude: tables `magnitude`, a row for each feature, and `peaks`.

    Each feature with 200 positive activations or more gets a class: `set`, `variable`, `multi-peak` or `unclear`.
    Where the density of its activations has two peaks or more, each is held against its other firings: which item,
    which neighbour on the backbone, which ring goes with it, and whether the model is less sure there. Read are
    edges, parents and rings where the run has them, made from the same activations, and the entropies of the next
    token.

    Of a run that keeps a reservoir of contexts the classes are those of the sample, and no peak is explained. Of a
    signed SAE the negative activations are left out.

    Parameters
    ----------
    q
        False-discovery rate within each question.
    intervals
        Whether to find the classes again without each of ten parts of the documents, for intervals of their shares.
    seed
        Seed of the halves and parts of the documents, and of what is permuted.
    track
        Told of features done.
    """
    inputs = _inputs(run)

    def compute(directory: Path) -> dict[str, Any]:
        return _Work(run, inputs, q, intervals, seed, track).write(directory)

    return run.produce(Spec(MAGNITUDE, {"q": q, "intervals": intervals, "seed": seed}, inputs), compute)


def _inputs(run: Run) -> tuple[str, ...]:
    """Return the artifacts to read: the activations, and of the others those made from what the run has now."""
    activations = run.artifact(ACTIVATIONS)
    if Firings(activations.path).reservoir is not None:
        return (ACTIVATIONS,)
    known = {ACTIVATIONS: activations.digest}
    for name in (EDGES, CLUSTERS, RINGS):
        there = load_manifest(run.path / name)
        if there is None:
            continue
        if any(known.get(source, digest) != digest for source, digest in there.inputs.items()):
            logger.warning("%s: without %s, whose inputs changed since it was made", MAGNITUDE, name)
            continue
        known[name] = run.artifact(name).digest
    return tuple(known)


class _Work:
    """What the parts of the stage share."""

    def __init__(
        self, run: Run, inputs: Sequence[str], q: float, intervals: bool, seed: int, track: Track
    ) -> None:
        self.q, self.seed, self.track = q, seed, track
        self.activations = run.artifact(ACTIVATIONS)
        self.firings = Firings(self.activations.path)
        self.document = np.asarray(self.firings.document)
        self.around = None
        if self.firings.reservoir is None:
            self.around = Around(run, inputs, self.firings, seed=seed)
        self.parts = document_parts(self.document, seed=seed) if intervals else None

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the tables, and return their figures."""
        found = classify(self.firings, self._threshold(), parts=self.parts, seed=self.seed, track=self.track)
        evidence, shuffled = self._evidence(found)
        peaks, control = explain(evidence, q=self.q), explain(shuffled, q=self.q)
        if self.around is not None:
            for row in peaks:
                self.around.name(row)
        unsure, figures = self._uncertainty(found)
        names = [column.name for column in TABLES["peaks"].columns]
        write_table(directory, "peaks", {name: [row[name] for row in peaks] for name in names})
        write_table(directory, "magnitude", {**found.columns(), **_peak_lists(found, peaks), **unsure})
        return self._figures(found, peaks, control) | figures

    def _threshold(self) -> npt.NDArray[np.float64]:
        """Return what is taken off each feature's activations: its JumpReLU threshold, in their units, else 0."""
        path = self.activations.path / "encoder.safetensors"
        if not path.exists():
            return np.zeros(self.firings.d_sae)
        return np.asarray(self.activations.arrays(path.name)["threshold"], np.float64)

    def _evidence(self, found: Classified) -> tuple[list[Evidence], list[Evidence]]:
        """Return the evidence for every peak, and for the same peaks with other firings of the feature in them."""
        evidence: tuple[list[Evidence], list[Evidence]] = ([], [])
        if self.around is None:
            return evidence
        rng = np.random.default_rng([self.seed, 3])
        with self.track("peaks", total=len(found.peaks), unit="features") as advance:
            for feature, peaks in found.peaks.items():
                rows, values = found.positive(self.firings, feature)
                label = peaks.label(values)
                both = self.around.of(feature, rows, (label, rng.permutation(label)), len(peaks.at))
                for some, around in zip(evidence, both, strict=True):
                    some += examine(feature, peaks, around)
                advance(1)
        return evidence

    def _uncertainty(self, found: Classified) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the columns of the entropy, empty without any, and what is claimed of it, really and by chance."""
        names = ("entropy_correlation", "entropy_correlation_q", "entropy_difference", "entropy_difference_q")
        entropy = self.firings.entropy
        columns: dict[str, Any] = {name: np.full(self.firings.d_sae, None, object) for name in names}
        if entropy is None or self.firings.reservoir is not None:
            return columns, {}
        features = found.classified
        spans = Spans(entropy, span_labels(self.document))
        real = uncertainty(self.firings, features, spans, track=self.track)
        for name, values in zip(names, _entropy_values(real), strict=True):
            columns[name][features] = [None if np.isnan(value) else value for value in values.tolist()]
        rng = np.random.default_rng([self.seed, 2])
        control = {}
        for how in CONTROLS:
            moved, label = spans.control(how, rng), f"uncertainty, control by {how}"
            control[how] = uncertainty(self.firings, features, moved, track=self.track, label=label).claims(self.q)
        return columns, {
            "entropy_features": len(features),
            "entropy_claims": dict(zip(("correlation", "difference"), real.claims(self.q), strict=True)),
            "entropy_control": {how: dict(zip(("correlation", "difference"), some, strict=True))
                                for how, some in control.items()},
        }  # fmt: skip

    def _figures(
        self, found: Classified, peaks: Sequence[dict[str, Any]], control: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        counts = {name: int((found.magnitude == name).sum()) for name in CLASSES}
        n = sum(counts.values())
        figures = {
            "min_count": MIN_COUNT,
            "n_classified": n,
            "n_too_rare": int(((found.count > 0) & (found.count < MIN_COUNT)).sum()),
            "classes": counts,
            "control_classes": {name: int((found.control == name).sum()) for name in CLASSES},
            "multi_peak_by_fdr": self._multi_peak_by_fdr(found),
            "causes": {name: _causes(row for row in peaks if found.magnitude[row["index"]] == name)
                       for name in ("multi-peak", "unclear")},
            "control_causes": _causes(control),
            "reservoir": self.firings.reservoir,
        }
        if found.again is None or not n:
            return figures
        return figures | {
            "class_kept": found.kept(),
            "class_intervals": {
                name: jackknife_interval(counts[name] / n, (found.again == name).sum(1) / (found.again != "").sum(1))
                for name in CLASSES
            },
        }

    def _multi_peak_by_fdr(self, found: Classified) -> int:
        """Return the multi-peak features that there would be by the dip's q value instead of its p-value."""
        known = found.classified
        few = benjamini_hochberg(found.dip_p[known]) <= self.q
        return int((few & (found.n_peaks[known] > 1)).sum())


def _peak_lists(found: Classified, peaks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the columns of `magnitude` that list what `peaks` has of a feature."""
    d = len(found.count)
    sources = {"peak_places": "at", "peak_shares": "share", "peak_causes": "cause", "peak_tokens": "token",
               "peak_neighbours": "neighbour"}  # fmt: skip
    instead: dict[str, Any] = {"peak_tokens": "", "peak_neighbours": -1}
    columns: dict[str, list[Any]] = {name: [None] * d for name in sources}
    for row in peaks:
        for name, source in sources.items():
            value = instead[name] if row[source] is None else row[source]
            columns[name][row["index"]] = [*(columns[name][row["index"]] or ()), value]
    return columns


def _causes(peaks: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how many peaks have each cause, and of how many features it is the first that any peak has."""
    of_peaks: dict[str, int] = dict.fromkeys(CAUSES, 0)
    first: dict[int, int] = {}
    for row in peaks:
        of_peaks[row["cause"]] += 1
        first[row["index"]] = min(first.get(row["index"], len(CAUSES)), CAUSES.index(row["cause"]))
    of_features: dict[str, int] = {cause: list(first.values()).count(place) for place, cause in enumerate(CAUSES)}
    return {"peaks": of_peaks, "features": of_features}


def _entropy_values(found: Uncertainty) -> tuple[npt.NDArray[np.float64], ...]:
    """Return correlation and difference, each with its q value; NaN where there is none."""
    adjusted = []
    for p in (found.correlation_p, found.difference_p):
        known = np.isfinite(p)
        values = np.full(len(p), np.nan)
        values[known] = benjamini_hochberg(p[known])
        adjusted.append(values)
    return found.correlation, adjusted[0], found.difference, adjusted[1]
