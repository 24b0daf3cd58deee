"""Loads the decoder's directions into the graph, where a vector index finds features by the nearness of theirs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact
from atlas.ingest.graph_write import Writer
from atlas.mapped import map_arrays
from atlas.schema import generate as cypher

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")

MOST_NUMBERS = 2**26
"""Most features times dimensions that are loaded: 256 MB in the store, and as much again in the index."""
MOST_DIMENSIONS = 4096
"""Most dimensions that the server's vector index takes."""
_BATCH_NUMBERS = 2**19  # of a transaction: 4 MB on the wire, and some 20 in Python


def write_directions(
    session: neo4j.Session, artifacts: Mapping[str, Artifact], name: str, *, batch: int
) -> int:
    """Return how many features of an atlas were given their decoder direction, after the features are there.

    An atlas whose activations came without a decoder has none, and one whose decoder is larger than `MOST_NUMBERS` or
    wider than `MOST_DIMENSIONS` neither: those that an earlier load gave it are then taken away.

    Parameters
    ----------
    artifacts
        The finished artifacts by name, `10-activations` among them.
    batch
        Most rows of a transaction.

    Raises
    ------
    DatabaseError
        The database refuses, or wrote another number of vectors than it was sent.
    """
    directions = _directions(artifacts["10-activations"])
    if directions is None:
        Writer(session, batch=batch).remove("decoder_direction", cypher.remove_vectors("Feature"), atlas=name)
        return 0
    n, dimensions = directions.shape
    writer = Writer(session, batch=max(1, min(batch, _BATCH_NUMBERS // dimensions)))
    return writer.write("decoder_direction", cypher.set_vectors("Feature"), _rows(directions, name), total=n)


def _directions(activations: Artifact) -> npt.NDArray[np.float32] | None:
    """Return float32[n_features, dimensions], mapped from the file, where there are any that can be loaded."""
    path = activations.path / "decoder.safetensors"
    if not path.exists():
        return None
    found: npt.NDArray[np.float32] = np.asarray(map_arrays(path)["W_dec"])
    if found.size > MOST_NUMBERS or found.shape[1] > MOST_DIMENSIONS:
        logger.info(
            "graph: without decoder directions, %d of %d numbers each: no query finds features by them", *found.shape
        )
        return None
    return found


def _rows(directions: npt.NDArray[np.float32], name: str) -> Iterator[dict[str, Any]]:
    for index, direction in enumerate(directions):
        if direction.any():  # the index refuses a vector of length 0
            yield {"uid": f"{name}:{index}", "vector": direction.tolist()}
