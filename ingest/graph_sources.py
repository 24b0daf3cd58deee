"""Which artifacts an atlas is loaded from: those that every run has, and those that it may have."""

from __future__ import annotations

import logging

from atlas.artifacts import Artifact, Run, load_manifest
from atlas.errors import ArtifactError

logger = logging.getLogger("atlas")

STAGES = ("10-activations", "30-edges", "40-clusters", "50-structure")
"""The artifacts that every graph is loaded from."""
OPTIONAL = {
    "45-peer": "clusters --method clarke2024",
    "51-contexts": "contexts",
    "52-rings": "rings",
    "53-absorption": "absorption",
    "54-magnitude": "magnitude",
    "55-replication": "replication",
    "56-behaviour": "behaviour",
    "57-census": "census",
}
"""The artifacts that are loaded beside them where a run has them, each with the stage that makes it."""

COMPARISON = "70-comparison"
"""What the names of comparisons begin with, of which a run may have several; loaded where the other atlas is."""


def artifacts_of(run: Run) -> dict[str, Artifact]:
    """Return the artifacts that a run's graph is loaded from, by name: `STAGES`, and what it has of the others.

    An optional one is left out, with a warning, where what it was made from has been made anew since.

    Raises
    ------
    ArtifactError
        One of `STAGES` is missing or unfinished; one of any is damaged or of another format.
    """
    found = {stage: run.artifact(stage) for stage in STAGES}
    made_from = {name: digest for artifact in found.values() for name, digest in artifact.inputs.items()}
    made_from |= {stage: artifact.digest for stage, artifact in found.items()}
    comparisons = sorted(path.name for path in run.path.glob(f"{COMPARISON}-*"))
    for stage, command in (OPTIONAL | dict.fromkeys(comparisons, "compare")).items():
        words = command if command == "compare" else f"ingest {command}"
        there = load_manifest(run.path / stage)
        if there is None:
            continue
        if any(made_from.get(name, digest) != digest for name, digest in there.inputs.items()):
            logger.warning("graph: without %s, whose inputs changed: `atlas %s` makes it anew", stage, words)
            continue
        try:
            found[stage] = run.artifact(stage)
        except ArtifactError as error:
            raise ArtifactError(error.cause, f"run `atlas {words}` again, or remove it") from error
    return found
