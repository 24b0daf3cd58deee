"""What surrounds a feature's firings: their items, its neighbours and rings, and the entropy of the next token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.artifacts import Run
from atlas.association import EDGES
from atlas.captions import readable
from atlas.communities import CLUSTERS
from atlas.communities.stage import backbone
from atlas.counting.stage import ACTIVATIONS
from atlas.counting.strata import span_labels
from atlas.firings import Firings
from atlas.magnitude.explaining import Marks, Surroundings
from atlas.shapes.families import BROKEN

RINGS = "52-rings"
Integers = npt.NDArray[np.int64]


def item_keys(vocabulary: pa.Table) -> tuple[Integers, dict[int, str]]:
    """Return the key of each vocabulary item, by token id, and what each key reads as.

    Items that differ in case or outer spaces alone have one key; those that are no whole characters each their own.

    Parameters
    ----------
    vocabulary
        The table of the items of the corpus.
    """
    token_id = vocabulary["token_id"].to_numpy()
    keys = np.full(int(token_id.max(initial=-1)) + 1, -1, np.int64)
    first: dict[str, int] = {}
    shown: dict[int, str] = {}
    for token, text in zip(token_id.tolist(), vocabulary["text"].to_pylist(), strict=True):
        seen = readable(str(text))
        key = token if BROKEN in seen else first.setdefault(seen.casefold(), token)
        keys[token] = key
        shown.setdefault(key, seen)
    return keys, shown


class Around:
    """What the explanations read of a run: made once, asked for one feature after the other.

    Parameters
    ----------
    inputs
        The artifacts that may be read.
    seed
        Seed of the halves of the documents.
    """

    def __init__(self, run: Run, inputs: Sequence[str], firings: Firings, *, seed: int) -> None:
        self.firings = firings
        self.entropy = firings.entropy
        document = np.asarray(firings.document)
        self.stratum = span_labels(document)
        n_documents = int(document.max(initial=-1)) + 1
        self.half = np.random.default_rng([seed, 1]).permutation(n_documents) % 2
        self.keys, self.texts = item_keys(run.artifact(ACTIVATIONS).table("vocabulary"))
        self.relations: dict[int, dict[int, str]] = {}
        if EDGES in inputs:
            self._add_edges(run)
        if CLUSTERS in inputs:
            self._add_parents(run)
        self.partners: dict[int, dict[int, list[int]]] = {}
        if RINGS in inputs:
            self._add_rings(run)

    def of(self, feature: int, rows: Integers, labels: Sequence[Integers], n_peaks: int) -> list[Surroundings]:
        """Return what surrounds some firings of a feature, for each way to label them by peak.

        Parameters
        ----------
        rows
            Where it fires, ascending, shape (n,).
        labels
            Peak of each firing, shape (n,) each.
        """
        rings = self.partners.get(feature, {})
        on_rings = {one for some in rings.values() for one in some}
        relations = self.relations.get(feature, {})
        neighbours = sorted(
            one for one, relation in relations.items() if one not in on_rings or relation in ("parent", "child")
        )
        beside = self._marks(neighbours, [[one] for one in neighbours], rows, labels, n_peaks)
        partners = self._marks(sorted(rings), [rings[ring] for ring in sorted(rings)], rows, labels, n_peaks)
        items = self.keys[self.firings.token_id[rows]]
        half, stratum = self.half[self.firings.document[rows]], self.stratum[rows]
        entropy = None if self.entropy is None else np.asarray(self.entropy[rows])
        return [
            Surroundings(label, items, half, stratum, neighbour, ring, entropy)
            for label, neighbour, ring in zip(labels, beside, partners, strict=True)
        ]

    def name(self, row: dict[str, Any]) -> None:
        """Write into a row of `peaks` how its item reads, and what its neighbour is to the feature."""
        row["token"] = None if row["token"] is None else self.texts[row["token"]]
        row["relation"] = None if row["neighbour"] is None else self.relations[row["index"]][row["neighbour"]]

    def _marks(
        self,
        names: Sequence[int],
        features: Iterable[Sequence[int]],
        rows: Integers,
        labels: Sequence[Integers],
        n_peaks: int,
    ) -> list[Marks]:
        """Return on how many firings of each peak one of some features fires, too, by name, for each labelling."""
        counts = np.zeros((len(labels), len(names), n_peaks), np.int64)
        for place, some in enumerate(features):
            there = np.zeros(len(rows), bool)
            for feature in some:
                there |= _among(rows, self.firings.tokens_of(feature))
            for number, label in enumerate(labels):
                counts[number, place] = np.bincount(label[there], minlength=n_peaks)
        return [Marks(np.array(names, np.int64), some) for some in counts]

    def _add_edges(self, run: Run) -> None:
        """Add both ends of each edge of the backbone."""
        graph = backbone(run)
        for a, b in graph.get_edgelist():
            self._relate(graph.vs[a]["index"], graph.vs[b]["index"], "co-occurs", "co-occurs")

    def _add_parents(self, run: Run) -> None:
        """Add parents, children and equal features, which take the place of an edge between the two."""
        clusters = run.artifact(CLUSTERS)
        same, parents = clusters.table("same_as"), clusters.table("parents")
        for a, b in zip(*(same[end].to_numpy().tolist() for end in ("a", "b")), strict=True):
            self._relate(a, b, "same", "same")
        for parent, child in zip(*(parents[end].to_numpy().tolist() for end in ("parent", "child")), strict=True):
            self._relate(parent, child, "child", "parent")

    def _relate(self, a: int, b: int, b_to_a: str, a_to_b: str) -> None:
        self.relations.setdefault(a, {})[b] = b_to_a
        self.relations.setdefault(b, {})[a] = a_to_b

    def _add_rings(self, run: Run) -> None:
        """Add the other members of each ring that a feature is on."""
        rings = run.artifact(RINGS)
        table = rings.table("manifolds")
        some = {row["manifold"] for row in table.select(["manifold", "geometry"]).to_pylist() if _is_ring(row)}
        members: dict[int, list[int]] = {}
        for row in rings.table("manifold_members").select(["manifold", "index"]).to_pylist():
            if row["manifold"] in some:
                members.setdefault(row["manifold"], []).append(row["index"])
        for ring, features in members.items():
            for feature in features:
                others = [one for one in features if one != feature]
                self.partners.setdefault(feature, {})[ring] = others


def _is_ring(row: dict[str, Any]) -> bool:
    return bool(row["geometry"] == "ring")


def _among(rows: Integers, others: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return which of some rows are among others, both ascending: the shorter list is looked up in the longer."""
    if not len(rows) or not len(others):
        return np.zeros(len(rows), bool)
    if len(rows) <= len(others):
        return np.asarray(others[np.minimum(np.searchsorted(others, rows), len(others) - 1)] == rows)
    place = np.searchsorted(rows, others)
    place[place == len(rows)] = 0
    there = np.zeros(len(rows), bool)
    there[place[rows[place] == others]] = True
    return there
