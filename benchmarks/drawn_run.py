"""A run whose firings, directions, edges and communities are drawn: what the stages after shapes read.

Features of words and of subjects among many others, so that the stages find what they look for; nothing is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.artifacts import Run, Spec
from atlas.association.testing import Gates
from atlas.communities.stage import DECODER_TREE, backbone
from atlas.files import write_arrays, write_table
from atlas.firings import Firings, Shard, build_index, write_entropy, write_shard
from atlas.schema import TABLES, Field
from atlas.schema.fields import LEVELS
from atlas.shapes import Rules
from atlas.shapes.subgraphs import ego_candidates
from benchmarks.planted_atlas import Planted

Integers = npt.NDArray[np.int64]
BLOCK = 8
"""Features that fire on the same words: a fine community."""
SIZES = dict(zip(LEVELS, (256, 32, 8), strict=True))
WORD_BLOCKS, SUBJECT_BLOCKS, SUBJECTS = 5, 25, 1000
"""Blocks of features of a word, and of a subject; how many subjects there are."""
SHARES = (0.6, 0.8)
"""Draws below the first are of the token's word, below the second of the document's subject, the others of any."""
LARGE = 4
"""Coarse communities that half of the features are in, as large as they then are."""
TREE = 2000
"""Features of the decoder tree, as many as the stage of communities takes."""
SHAPES = ("fully connected", "star-like", "undetermined")


@dataclass(frozen=True)
class World:
    """What is drawn."""

    run: Path
    tokens: int
    d_sae: int
    l0: float
    d_in: int
    vocabulary: int
    document: int
    edges: int
    others: int
    shard_tokens: int
    prune: int
    memory: int
    seed: int

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return -(-self.tokens // self.document)

    def rng(self, *stream: int) -> np.random.Generator:
        """Return the random numbers of one part of the world."""
        return np.random.default_rng([self.seed, *stream])

    @cached_property
    def blocks(self) -> Integers:
        """Features of each block: int64, shape (d_sae // 8, 8)."""
        return self.rng(0).permutation(self.d_sae)[: self.d_sae // BLOCK * BLOCK].reshape(-1, BLOCK)

    @cached_property
    def words(self) -> Integers:
        """Blocks of each word: int64, shape (vocabulary, 5)."""
        return self.drawn_blocks((self.vocabulary, WORD_BLOCKS), self.rng(1))

    @cached_property
    def subjects(self) -> Integers:
        """Blocks of each subject: int64, shape (1000, 25)."""
        return self.drawn_blocks((SUBJECTS, SUBJECT_BLOCKS), self.rng(2))

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """Summed weights of the blocks, log-normal: some are drawn far more often than others."""
        return np.cumsum(self.rng(10).lognormal(0, 1, len(self.blocks)))

    def drawn_blocks(self, shape: tuple[int, ...], rng: np.random.Generator) -> Integers:
        """Return blocks by their weights."""
        return np.searchsorted(self.weights, rng.random(shape) * self.weights[-1])

    @cached_property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """Summed shares of the words, from the most frequent on: Zipf's."""
        return np.cumsum(1 / np.arange(10, self.vocabulary + 10))

    @cached_property
    def draws(self) -> int:
        """Draws of a token whose distinct ones are about `l0`: a tenth falls on what was drawn before."""
        n_lexical = WORD_BLOCKS * BLOCK
        expected = [n_lexical * (1 - (1 - SHARES[0] / n_lexical) ** m) + (1 - SHARES[0]) * m for m in range(512)]
        return int(np.argmin(np.abs(np.asarray(expected) - self.l0)))

    def shard(self, number: int) -> Shard:
        """Draw a shard: its own seed, so that shards are drawn in any order."""
        rng = self.rng(3, number)
        first = number * self.shard_tokens
        place = np.arange(first, min(first + self.shard_tokens, self.tokens))
        n, document = len(place), place // self.document
        token = np.searchsorted(self.frequencies, rng.random(n) * self.frequencies[-1])
        shape = (n, self.draws)
        of, member = rng.random(shape), rng.integers(0, BLOCK, shape)
        block = self.drawn_blocks(shape, rng)
        word = np.take_along_axis(self.words[token], rng.integers(0, WORD_BLOCKS, shape), 1)
        subject = np.take_along_axis(self.subjects[document % SUBJECTS], rng.integers(0, SUBJECT_BLOCKS, shape), 1)
        block = np.where(of < SHARES[0], word, np.where(of < SHARES[1], subject, block))
        ids = np.sort(self.blocks[block, member].astype(np.int32), axis=1)
        keep = np.ones(shape, bool)
        keep[:, 1:] = ids[:, 1:] != ids[:, :-1]
        activations = rng.gamma(2.0, 1.0, shape).astype(np.float32)
        activations *= np.where((ids % 10 == 0) & (token % 2 == 0)[:, None], 6, 1)  # these have two peaks
        return Shard(
            token.astype(np.int32),
            document.astype(np.int32),
            (place % self.document).astype(np.int32),
            np.concatenate([[0], np.cumsum(keep.sum(1))]).astype(np.int64),
            ids[keep],
            activations[keep],
            rng.gamma(4.0, 0.7, n).astype(np.float32),
        )


class Planting(Planted):
    """Writes the artifacts of a world that the later stages read, but for those that its run holds."""

    def __init__(self, world: World) -> None:
        super().__init__(features=world.d_sae, edges=world.edges, clusters=1, seed=world.seed)
        object.__setattr__(self, "world", world)

    world: World

    def plant(self) -> None:
        """Write activations, edges, communities, structure and replication."""
        settings = {"drawn": {name: str(value) for name, value in asdict(self.world).items() if name != "run"}}
        gates = asdict(Gates())
        parts: Sequence[tuple[Spec, Callable[[Path], dict[str, Any]]]] = (
            (Spec("10-activations", settings), self._activations),
            (Spec("30-edges", settings | gates, ("10-activations",)), self._edges),
            (Spec("40-clusters", settings, ("10-activations", "30-edges")), self._clusters),
            (Spec("50-structure", settings | asdict(Rules()), ("10-activations", "40-clusters")), self._structure),
            (Spec("55-replication", settings, ("10-activations", "50-structure")), self._replication),
        )
        with Run(self.world.run) as self.__dict__["run"]:
            for spec, write in parts:
                self.run.produce(spec, write)

    run: Run

    def _activations(self, directory: Path) -> dict[str, Any]:
        world = self.world
        n_shards = -(-world.tokens // world.shard_tokens)
        seen = np.zeros(world.vocabulary, np.int64)
        for number in range(n_shards):
            shard = world.shard(number)
            write_shard(directory, number, shard, d_sae=world.d_sae)
            seen += np.bincount(shard.token_id, minlength=world.vocabulary)
        build_index(directory, n_shards=n_shards, d_sae=world.d_sae)
        write_entropy(directory)
        self._directions(directory)
        sizes = np.bincount(np.arange(world.tokens) // world.document)
        names = [f"d{number}" for number in range(len(sizes))]
        documents = {"document": np.arange(len(sizes)), "name": names, "source": names, "n_tokens": sizes}
        write_table(directory, "documents", documents)
        items = np.flatnonzero(seen)
        texts = [_word(item) for item in items.tolist()]
        write_table(directory, "vocabulary", {"token_id": items, "text": texts, "n_tokens": seen[items]})
        return {"context_size": 512, "prepend_bos": False, "d_sae": world.d_sae, "n_tokens": world.tokens}

    def _directions(self, directory: Path) -> None:
        """Write directions that lean to a centre: most to that of their block, one in fifty to that of another."""
        world, rng = self.world, self.world.rng(4)
        centre = np.empty(world.d_sae, np.int64)
        centre[:] = rng.integers(0, len(world.blocks), world.d_sae)
        centre[world.blocks] = np.arange(len(world.blocks))[:, None]
        strays = rng.random(world.d_sae) < 0.02
        centre[strays] = rng.permutation(centre[strays])
        centres = _unit(rng.standard_normal((len(world.blocks), world.d_in), np.float32))
        lean = rng.uniform(0.5, 0.9, (world.d_sae, 1)).astype(np.float32)
        noise = _unit(rng.standard_normal((world.d_sae, world.d_in), np.float32))
        decoder = _unit(lean * centres[centre] + np.sqrt(1 - lean**2) * noise)
        other = _unit(rng.standard_normal((world.d_sae, world.d_in), np.float32))
        encoder = _unit(np.float32(0.8) * decoder + np.float32(0.6) * other)
        numbers = np.ones(world.d_sae, np.float32)
        write_arrays(directory / "decoder.safetensors", {"W_dec": decoder, "norms": numbers})
        write_arrays(directory / "encoder.safetensors", {"W_enc": encoder, "threshold": 0 * numbers})

    def _pairs(self) -> Integers:
        """Return the backbone: half of it within blocks, half between blocks of one word, as keys a d + b."""
        world, rng, d = self.world, self.world.rng(5), self.world.d_sae
        keys = np.empty(0, np.int64)
        while len(keys) < world.edges:
            n = 2 * world.edges
            word = np.searchsorted(world.frequencies, rng.random(n) * world.frequencies[-1])
            first, second = (world.words[word, rng.integers(0, WORD_BLOCKS, n)] for _ in range(2))
            alone = np.arange(n) % 2 == 0
            first[alone] = second[alone] = rng.integers(0, len(world.blocks), int(alone.sum()))
            a, b = (world.blocks[some, rng.integers(0, BLOCK, n)] for some in (first, second))
            low, high = np.minimum(a, b), np.maximum(a, b)
            keys = np.unique(np.concatenate([keys, (low * d + high)[low < high]]))
        return np.sort(rng.choice(keys, world.edges, replace=False))

    def _edges(self, directory: Path) -> dict[str, Any]:
        """Write the backbone among `others` pairs off it, a piece of features at a time."""
        world, d = self.world, self.world.d_sae
        kept = self._pairs()
        table = TABLES["edges"]
        schema = table.arrow()
        step = max(1, d * 2**19 // max(world.others, 1))
        with pq.ParquetWriter(directory / "edges.parquet", schema, compression="zstd") as writer:
            for low in range(0, d - 1, step):
                rng, high = world.rng(6, low), min(low + step, d - 1)
                share = ((d - low) ** 2 - (d - high) ** 2) / d**2
                a = rng.integers(low, high, round(world.others * share))
                keys = np.unique(a * d + rng.integers(a + 1, d))
                own = kept[slice(*np.searchsorted(kept, [low * d, high * d]))]
                keys = np.union1d(keys, own)
                on = np.isin(keys, own)
                writer.write_table(pa.table(self._edge_columns(keys, on, rng), schema=schema))
        return {"phi_cut": 0.1, "n_edges": world.edges, "n_alive": d}

    def _edge_columns(self, keys: Integers, on: npt.NDArray[np.bool_], rng: np.random.Generator) -> dict[str, Any]:
        n, d = len(keys), self.world.d_sae
        kinds = np.array(["CO_OCCURS", "EXCLUDES", "CO_TOPIC"], object)[rng.choice(3, n, p=(0.25, 0.74, 0.01))]
        given = {
            "a": keys // d,
            "b": keys % d,
            "kind": np.where(on, "CO_OCCURS", kinds),
            "kept_by": np.where(on, "phi", None),
            "basis": np.array(["lexical", "contextual", "mixed"], object)[rng.integers(0, 3, n)],
            "phi": np.where(on, rng.uniform(0.1, 0.6, n), 0.05),
            "joint_count": rng.integers(5, 500, n),
            "expected": rng.uniform(1, 50, n),
            "expected_uncorrected": rng.uniform(1, 50, n),
        }
        return {column.name: given[column.name] if column.name in given else self._same(column, n)
                for column in TABLES["edges"].columns}  # fmt: skip

    @staticmethod
    def _same(column: Field, n: int) -> Any:
        """Return a column that no later stage reads: the smallest number that it may hold, or nothing."""
        return np.full(n, column.low or 0.0) if column.required and column.type != "string" else [None] * n

    def _numbers(self) -> dict[str, Integers]:
        """Return the community of each feature on each level: runs of blocks, half of the coarse ones larger."""
        of = np.full(self.world.d_sae, -1, np.int64)
        place = np.arange(self.world.blocks.size)
        found = {}
        for level, size in SIZES.items():
            number = place // size
            if level == "coarse":
                half = len(place) // 2 // size * size
                large = place[half:] - half
                number[half:] = number[half - 1] + 1 + large * LARGE // max(len(large), 1)
            found[level] = of.copy()
            found[level][self.world.blocks.ravel()] = number
        return found

    def _clusters(self, directory: Path) -> dict[str, Any]:
        rng, world = self.world.rng(7), self.world
        numbers = self._numbers()
        index = np.arange(world.d_sae)
        rows = sorted((int(f), level, int(n)) for level, of in numbers.items() for f, n in zip(index, of, strict=True)
                      if n >= 0)  # fmt: skip
        given = dict(zip(("index", "level", "cluster"), zip(*rows, strict=True), strict=True))
        self._table(directory, "membership", len(rows), rng, given)
        a, b = np.divmod(self._pairs(), world.d_sae)
        some = np.sort(rng.permutation(len(a))[: world.d_sae // 2])
        self._table(directory, "parents", len(some), rng, {"parent": a[some], "child": b[some]})
        self._table(directory, "same_as", 0, rng, {"a": [], "b": []})
        features = np.sort(world.blocks[: TREE // BLOCK].ravel())
        n = len(features)
        joined = np.array([(k, k + 1) for k in range(0, n - 1, 2)], np.int64)
        distance = np.zeros(len(joined), np.float32)
        write_arrays(directory / DECODER_TREE, {"features": features, "joined": joined, "distance": distance})
        return {}

    def _structure(self, directory: Path) -> dict[str, Any]:
        rng, world = self.world.rng(8), self.world
        firings = Firings(world.run / "10-activations")
        density = firings.firing_count / world.tokens
        classes = np.where(firings.firing_count < 20, "dead", np.where(density > 0.1, "dense", "alive"))
        self._table(directory, "features", world.d_sae, rng, {"index": np.arange(world.d_sae), "class": classes})
        egos = [one for one, _ in ego_candidates(backbone(self.run), firings.firing_count, min_leaves=4)]
        sizes = {"index": [one.hub for one in egos], "ego_size": [len(one.leaves) for one in egos]}
        self._table(directory, "egos", len(egos), rng, sizes)
        rows, hubs, shapes = [], [], []
        for level, of in self._numbers().items():
            first = np.full(int(of.max()) + 1, -1, np.int64)
            first[of[of >= 0][::-1]] = np.flatnonzero(of >= 0)[::-1]
            rows += [(level, number) for number in range(len(first))]
            hubs += first.tolist()
            shapes += np.array(SHAPES)[rng.integers(0, len(SHAPES), len(first))].tolist()
        order = sorted(range(len(rows)), key=rows.__getitem__)
        columns = {
            "level": [rows[k][0] for k in order],
            "cluster": [rows[k][1] for k in order],
            "hub": [hubs[k] for k in order],
            "shape": [shapes[k] for k in order],
        }
        self._table(directory, "shapes", len(rows), rng, columns)
        return {}

    def _replication(self, directory: Path) -> dict[str, Any]:
        rng, world = self.world.rng(9), self.world
        documents = np.arange(world.n_documents)
        halves = {"document": documents, "half": documents % 2, "duplicate_group": documents}
        write_table(directory, "half_documents", halves)
        structure = self.run.artifact("50-structure")
        shapes, egos = structure.table("shapes"), structure.table("egos")
        names = ("level", "cluster")
        given = {name: shapes[name].to_pylist() for name in names}
        twice = [["fully connected", "star-like"]] * len(shapes)
        self._table(directory, "replicated_clusters", len(shapes), rng, given | {"half_shapes": twice})
        given = {"index": egos["index"].to_pylist(), "ego_half_shapes": [["joint", "mixed"]] * len(egos)}
        self._table(directory, "replicated_egos", len(egos), rng, given)
        return {}


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _word(item: int) -> str:
    """Return a word of letters for a number, a space before it."""
    letters = ""
    while item >= 0:
        letters, item = chr(97 + item % 26) + letters, item // 26 - 1
    return f" {letters}"
