"""The artifacts of a large atlas, drawn at random and seeded: what `ingest graph` reads, without the runs before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.files import write_arrays, write_table
from atlas.schema import NODES, TABLES, Field
from atlas.schema.fields import LEVELS

Column = Sequence[Any] | npt.NDArray[Any]
SHARES = (0.1, 0.3, 0.6)
"""Of the communities, on the coarse, the middle and the fine level."""


@dataclass(frozen=True)
class Planted:
    """How large the atlas is: `edges` on the backbone of CO_OCCURS, as many off it, a fiftieth of either other kind.

    `texts` are used in turn wherever a name or a token is wanted; without them they are made up. A decoder is there
    where it has `dimensions`.
    """

    features: int
    edges: int
    clusters: int
    seed: int = 0
    texts: tuple[str, ...] = ()
    dimensions: int = 0

    def write(self, path: Path) -> dict[str, Artifact]:
        """Write the four artifacts into a run directory and return them."""
        settings = {"planted": [self.features, self.edges, self.clusters, self.seed]}
        stages = (
            (Spec("10-activations", settings), self._activations),
            (Spec("30-edges", settings, ("10-activations",)), self._edges),
            (Spec("40-clusters", settings, ("30-edges",)), self._clusters),
            (Spec("50-structure", settings, ("40-clusters",)), self._structure),
        )
        with Run(path) as run:
            return {spec.name: run.produce(spec, lambda at, write=write: write(at)) for spec, write in stages}

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def _activations(self, directory: Path) -> dict[str, Any]:
        if self.dimensions:
            directions = self._rng(5).standard_normal((self.features, self.dimensions)).astype(np.float32)
            norms = np.linalg.norm(directions, axis=1)
            write_arrays(directory / "decoder.safetensors", {"W_dec": directions / norms[:, None], "norms": norms})
        return _results(self._rng(0), corpus=self._text(0), d_sae=self.features, n_tokens=10**6, n_documents=1000)

    def _edges(self, directory: Path) -> dict[str, Any]:
        rng = self._rng(1)
        other = self.edges // 50
        order = np.argsort(self._ranks())
        a, b = (order[side] for side in _pairs(rng, self.features, 2 * self.edges + 2 * other))
        a, b = np.minimum(a, b), np.maximum(a, b)
        ascending = np.lexsort((b, a))
        a, b = a[ascending], b[ascending]
        kinds = np.repeat(["CO_OCCURS", "CO_TOPIC", "EXCLUDES"], [2 * self.edges, other, other])
        rules = np.repeat(["phi", None, "phi", "phi_d"], [self.edges, self.edges, other, other])  # type: ignore[list-item]
        mixed = rng.permutation(len(a))
        given = {"a": a, "b": b, "kind": kinds[mixed], "kept_by": rules[mixed]}
        self._table(directory, "edges", len(a), rng, given)
        return _results(rng, n_alive=self.features, n_edges=self.edges)

    def _clusters(self, directory: Path) -> dict[str, Any]:
        rng = self._rng(2)
        levels = self._levels()
        rows, members = [], []
        for depth, (level, number) in enumerate(levels.items()):
            _, first, size = np.unique(number, return_index=True, return_counts=True)
            outer = levels[LEVELS[depth - 1]][first] if depth else [None] * len(first)
            rows += [
                {"level": level, "cluster": k, "size": int(size[k]), "parent": None if not depth else int(outer[k])}
                for k in range(len(first))
            ]
            members += list(zip(range(self.features), [level] * self.features, number.tolist(), strict=True))
        rows.sort(key=lambda row: (row["level"], row["cluster"]))
        members.sort()
        self._table(directory, "clusters", len(rows), rng, {name: [row[name] for row in rows] for name in rows[0]})
        given = dict(zip(("index", "level", "cluster"), zip(*members, strict=True), strict=True))
        self._table(directory, "membership", len(members), rng, given)
        a, b = _pairs(rng, self.features, self.features // 2)
        self._table(directory, "parents", len(a), rng, {"parent": a, "child": b})
        a, b = _pairs(rng, self.features, self.features // 20)
        self._table(directory, "same_as", len(a), rng, {"a": a, "b": b})
        self._table(directory, "parent_summary", self.features // 2, rng, {"index": np.arange(self.features // 2)})
        return _results(rng)

    def _structure(self, directory: Path) -> dict[str, Any]:
        rng = self._rng(3)
        self._table(directory, "features", self.features, rng, {"index": np.arange(self.features)})
        hubs = np.flatnonzero(rng.random(self.features) < 0.6)
        self._table(directory, "egos", len(hubs), rng, {"index": hubs})
        keys = sorted((level, k) for level, number in self._levels().items() for k in range(int(number.max()) + 1))
        given = dict(zip(("level", "cluster"), zip(*keys, strict=True), strict=True))
        self._table(directory, "shapes", len(keys), rng, given)
        return {}

    def _levels(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return the community of each feature on each level: runs of ranks, so that finer ones nest in coarser."""
        number = self._ranks()
        found: dict[str, npt.NDArray[np.int64]] = {}
        of = self.features
        for level, share in reversed(list(zip(LEVELS, SHARES, strict=True))):
            wanted = min(of, max(1, round(self.clusters * share)))
            number = number * wanted // of
            found[level], of = number, wanted
        return {level: found[level] for level in LEVELS}

    def _ranks(self) -> npt.NDArray[np.int64]:
        """Return the place of each feature in an order in which communities and near pairs are runs."""
        return self._rng(4).permutation(self.features)

    def _table(self, directory: Path, name: str, n: int, rng: np.random.Generator, given: Mapping[str, Column]) -> None:
        """Write a table of `n` rows; columns that are not given are drawn from their types and bounds."""
        columns = {field.name: given.get(field.name) for field in TABLES[name].columns}
        for field in TABLES[name].columns:
            if columns[field.name] is None:
                columns[field.name] = self._drawn(field, n, rng)
        write_table(directory, name, columns)

    def _drawn(self, field: Field, n: int, rng: np.random.Generator) -> Column:
        if field.type == "list<string>":
            drawn: list[Any] = [
                [self._text(i + j) for j in range(k)] for i, k in enumerate(rng.integers(0, 9, n).tolist())
            ]
        elif field.type == "string":
            words = _WORDS.get(field.name, ())
            drawn = [words[i] if words else self._text(i) for i in rng.integers(0, len(words) or n, n).tolist()]
        elif field.type == "boolean":
            drawn = (rng.random(n) < 0.5).tolist()
        else:
            low = field.low if field.low is not None else 0 if field.high is None else -1
            high = field.high if field.high is not None else low + 1000
            values = rng.uniform(low, high, n)
            drawn = (np.rint(values).astype(int) if field.type == "integer" else values).tolist()
        if not field.required:
            drawn = [None if missing else value for missing, value in zip(rng.random(n) < 0.3, drawn, strict=True)]
        return drawn

    def _text(self, i: int) -> str:
        return self.texts[i % len(self.texts)] if self.texts else f" token {i}"


_WORDS = {
    "class": ("alive", "alive", "alive", "dense", "dead"),
    "basis": ("lexical", "contextual", "mixed", "untested"),
    "ego_basis": ("lexical", "contextual"),
    "hub_role": ("parent", "modifier"),
    "ego_hub_role": ("parent", "modifier"),
    "template": ("star", "chain", "ring", "undetermined"),
}


def _pairs(rng: np.random.Generator, n: int, wanted: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return distinct pairs a < b, ascending: near ones more often."""
    wanted = min(wanted, n * (n - 1) // 4)
    keys = np.empty(0, np.int64)
    while len(keys) < wanted:
        a = rng.integers(0, n, wanted)
        b = (a + np.exp(rng.uniform(0, np.log(n), wanted)).astype(np.int64)) % n
        low, high = np.minimum(a, b), np.maximum(a, b)
        keys = np.unique(np.concatenate([keys, (low * n + high)[low < high]]))
    chosen = np.sort(rng.choice(keys, wanted, replace=False))
    return chosen // n, chosen % n


def _results(rng: np.random.Generator, **given: Any) -> dict[str, Any]:
    """Return what a stage's manifest says of the atlas: every property that `:Atlas` must have."""
    drawn: dict[str, Any] = {}
    for field in NODES["Atlas"].properties:
        if field.required and field.name not in ("uid", "atlas", "name"):
            number = {"integer": 1, "float": float(rng.random())}
            drawn[field.name] = given.get(field.name, number.get(field.type, f"planted {field.name}"))
    return drawn
