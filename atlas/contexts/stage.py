"""The stage `51-contexts`: where in the text features fire, and where the strongest edges are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.artifacts import Artifact, Run, Spec, load_manifest
from atlas.association import EDGES
from atlas.communities import CLUSTERS
from atlas.contexts.firing import SAMPLES, Picked, pick_firings
from atlas.contexts.joint import Joint, pick_joint, strongest_edges
from atlas.contexts.text import Speller, caption
from atlas.contexts.window import Windows, activations_in, windows_around
from atlas.counting.stage import ACTIVATIONS
from atlas.errors import InputError
from atlas.files import write_table
from atlas.firings import Firings
from atlas.tracking import Track, untracked

CONTEXTS = "51-contexts"
_AT_ONCE = 2**14  # windows whose words are held at once
STRONGEST, UNIFORM, EDGES_SHOWN, WINDOW = 4, 4, 3, 12


def collect(
    run: Run,
    *,
    strongest: int = STRONGEST,
    uniform: int = UNIFORM,
    edges_shown: int = EDGES_SHOWN,
    window: int = WINDOW,
    seed: int = 0,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of contexts: tables `contexts`, `feature_contexts` and `edge_contexts`.

    A context is a token with the kept tokens around it; however many features and edges point to it, it is there
    once. Dead and dense features have theirs, too. A run without communities has no contexts of edges, which its
    `results` say; neither has one that keeps a reservoir, whose strongest firings are the strongest of that sample.

    Parameters
    ----------
    strongest, uniform
        Firings a feature: the strongest, and drawn among all; see `pick_firings`.
    edges_shown
        Edges a community, on every level: those of highest phi, each with up to `strongest` joint firings.
    window
        Kept tokens to either side.
    seed
        Seed of the uniform sample.
    track
        Told of features, edges and tokens done.

    Raises
    ------
    InputError
        A number is below 0, or there is nothing to show.
    ArtifactError
        The vocabulary lacks an item of the corpus.
    """
    numbers = {"strongest": strongest, "uniform": uniform, "edges_shown": edges_shown, "window": window}
    for name, number in numbers.items():
        if number < 0:
            raise InputError(f"{name} {number}, expected 0 or more", f"give another --{name.replace('_', '-')}")
    if not strongest + uniform:
        raise InputError("neither strongest nor uniform contexts", "give --strongest or --uniform")
    grouped = all(load_manifest(run.path / name) is not None for name in (EDGES, CLUSTERS))
    inputs = (ACTIVATIONS, EDGES, CLUSTERS) if grouped else (ACTIVATIONS,)

    def compute(directory: Path) -> dict[str, Any]:
        firings = Firings(run.artifact(ACTIVATIONS).path)
        picked = pick_firings(firings, strongest=strongest, uniform=uniform, seed=seed, track=track)
        pairs = strongest_edges(run, edges=edges_shown) if grouped else np.zeros((0, 2), np.int64)
        joint = pick_joint(firings, pairs, strongest=strongest, track=track)
        rows = np.unique(np.concatenate([picked.row, joint.row]))
        windows = windows_around(rows, firings.document, window=window)
        write_table(directory, "contexts", _context_columns(run.artifact(ACTIVATIONS), firings, rows, windows))
        write_table(directory, "feature_contexts", _feature_columns(firings, picked, rows, windows, track))
        write_table(directory, "edge_contexts", _edge_columns(joint, rows))
        return {
            "n_contexts": len(rows),
            "n_feature_contexts": len(picked.row),
            "n_edge_contexts": len(joint.row),
            "n_edges_shown": len(pairs),
            "of_reservoir": firings.reservoir,
            "has_communities": grouped,
        }

    return run.produce(Spec(CONTEXTS, {**numbers, "seed": seed}, inputs), compute)


def _feature_columns(
    firings: Firings, picked: Picked, rows: npt.NDArray[np.int64], windows: Windows, track: Track
) -> dict[str, Any]:
    context = np.searchsorted(rows, picked.row)
    own = windows.of(context)
    values = pa.array(activations_in(own, picked.index, firings, track=track), pa.float64())
    return {
        "index": picked.index,
        "context": context,
        "activation": picked.activation.astype(np.float64),
        "sample": np.array(SAMPLES)[picked.sample],
        "activations": own.lists(values),
    }


def _edge_columns(joint: Joint, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    order = np.lexsort((joint.row, joint.b, joint.a))
    columns = {name: getattr(joint, name)[order] for name in Joint.__dataclass_fields__}
    return {**columns, "context": np.searchsorted(rows, columns["row"])}


def _texts(activations: Artifact, firings: Firings, windows: Windows) -> tuple[pa.Array[Any], list[str]]:
    """Return the texts of the tokens of each window, and each window's caption; words are held for a part of them."""
    speller = Speller(activations)
    parts: list[pa.Array[Any]] = []
    captions: list[str] = []
    for low in range(0, max(len(windows.at), 1), _AT_ONCE):
        some = windows.of(np.arange(low, min(low + _AT_ONCE, len(windows.at))))
        parts.append(speller.spell(firings, some))
        words: list[Any] = parts[-1].to_pylist()
        captions += [caption(own, at) for own, at in zip(words, some.at.tolist(), strict=True)]
    return pa.concat_arrays(parts), captions


def _context_columns(
    activations: Artifact, firings: Firings, rows: npt.NDArray[np.int64], windows: Windows
) -> dict[str, Any]:
    tokens, captions = _texts(activations, firings, windows)
    documents = activations.table("documents")
    document = firings.document[rows].astype(np.int64)
    names = documents["name"].take(pc.index_in(pa.array(document), documents["document"].combine_chunks()))
    return {
        "context": np.arange(len(rows)),
        "row": rows,
        "document": document,
        "document_name": names.combine_chunks(),
        "position": firings.position[rows].astype(np.int64),
        "name": captions,
        "text": pc.binary_join(tokens, ""),
        "tokens": tokens,
        "place": windows.at,
    }
