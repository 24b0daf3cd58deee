"""Disk, time and peak memory of ten million tokens, step by step: `python benchmarks/ten_million.py`.

The firings are drawn, not computed: independent features with log-normal densities, which is the worst case for
the counts within documents, since features of real text come back in their documents.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from atlas.artifacts import Run, Spec
from atlas.files import write_arrays, write_table
from atlas.firings import Firings, Shard, build_index, write_shard
from atlas.ingest.cli import ingest
from atlas.ingest.options import Size as Bytes
from atlas.ingest.shards import Size
from atlas.measured import peak_memory

STAGE = "10-activations"
DOCUMENT = 700
"""Tokens of a document."""
VOCABULARY = 50_000


@dataclass(frozen=True)
class World:
    """What is drawn, and how it is counted."""

    run: Path
    tokens: int
    d_sae: int
    l0: float
    d_in: int
    shard_tokens: int
    reservoir: int
    memory: int
    index_memory: int
    seed: int

    @property
    def directory(self) -> Path:
        """The artifact's directory."""
        return self.run / STAGE

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.tokens // self.shard_tokens)

    def densities(self) -> tuple[npt.NDArray[np.float64], int]:
        """Return the features' shares of the draws, and the draws of a token whose distinct ones are `l0` at mean."""
        weights = np.random.default_rng(self.seed).lognormal(0, 1.5, self.d_sae)
        share = weights / weights.sum()
        draws = np.arange(1, 8 * int(self.l0) + 8)
        distinct = [float((1 - (1 - share) ** m).sum()) for m in draws]
        return share, int(draws[np.argmin(np.abs(np.asarray(distinct) - self.l0))])

    def shard(self, number: int, cumulative: npt.NDArray[np.float64], draws: int) -> Shard:
        """Draw a shard: its own seed, so that shards are drawn in any order."""
        rng = np.random.default_rng([self.seed, number])
        first = number * self.shard_tokens
        n = min(self.shard_tokens, self.tokens - first)
        ids = np.searchsorted(cumulative, rng.random((n, draws)) * cumulative[-1]).astype(np.int32)
        ids.sort(axis=1)
        keep = np.ones(ids.shape, bool)
        keep[:, 1:] = ids[:, 1:] != ids[:, :-1]
        indptr = np.concatenate([[0], np.cumsum(keep.sum(1))])
        place = np.arange(first, first + n)
        return Shard(
            rng.integers(0, VOCABULARY, n).astype(np.int32),
            (place // DOCUMENT).astype(np.int32),
            (place % DOCUMENT).astype(np.int32),
            indptr.astype(np.int64),
            ids[keep],
            rng.gamma(2.0, 1.0, int(indptr[-1])).astype(np.float32),
        )


def write_shards(world: World) -> dict[str, Any]:
    """Write the shards, the directions and the tables."""
    shutil.rmtree(world.directory, ignore_errors=True)
    world.directory.mkdir(parents=True)
    share, draws = world.densities()
    cumulative = np.cumsum(share)
    seen, n_firings = np.zeros(VOCABULARY, np.int64), 0
    for number in range(world.n_shards):
        shard = world.shard(number, cumulative, draws)
        write_shard(world.directory, number, shard, d_sae=world.d_sae)
        seen += np.bincount(shard.token_id, minlength=VOCABULARY)
        n_firings += len(shard.ids)
    rows = np.random.default_rng(world.seed).standard_normal((world.d_sae, world.d_in), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    numbers = np.ones(world.d_sae, np.float32)
    write_arrays(world.directory / "decoder.safetensors", {"W_dec": rows, "norms": numbers})
    write_arrays(world.directory / "encoder.safetensors", {"W_enc": rows, "threshold": 0 * numbers})
    sizes = np.bincount(np.arange(world.tokens) // DOCUMENT)
    names = [f"d{number}" for number in range(len(sizes))]
    documents = {"document": np.arange(len(sizes)), "name": names, "source": ["drawn"] * len(names), "n_tokens": sizes}
    write_table(world.directory, "documents", documents)
    items = np.flatnonzero(seen)
    vocabulary = {"token_id": items, "text": [f" w{item}" for item in items], "n_tokens": seen[items]}
    write_table(world.directory, "vocabulary", vocabulary)
    return {"firings": n_firings}


def keep_contexts(world: World) -> dict[str, Any]:
    """Write the sample of contexts."""
    build_index(world.directory, n_shards=world.n_shards, d_sae=world.d_sae, reservoir=world.reservoir)
    return {"disk": used(world)}


def write_index(world: World) -> dict[str, Any]:
    """Write the index of every firing, in place of the sample."""
    build_index(world.directory, n_shards=world.n_shards, d_sae=world.d_sae, memory=world.index_memory)
    return {"disk": used(world)}


def find_medians(world: World) -> dict[str, Any]:
    """Find each feature's median from the index."""
    return {"mean_median": float(Firings(world.directory).medians(memory=world.index_memory).mean())}


def finish(world: World) -> dict[str, Any]:
    """Take the sums of all files for the manifest, and verify them."""
    with Run(world.run) as run:
        run.produce(Spec(STAGE, {"drawn": world.seed}), lambda _: {"n_tokens": world.tokens}, resume=True)
    return {}


def count_pairs(world: World) -> dict[str, Any]:
    """Run the stage of counts."""
    words = ["counts", "--run", str(world.run), "--memory", str(world.memory)]
    with contextlib.redirect_stdout(sys.stderr):
        ingest.main(words, prog_name="atlas ingest", standalone_mode=False)
    results = json.loads((world.run / "20-counts" / "manifest.json").read_text("utf8"))["results"]
    disk = sum(path.stat().st_size for path in (world.run / "20-counts").rglob("*"))
    return {"pairs": results["n_pairs"], "disk_mb": disk / 1e6}


STEPS: dict[str, Callable[[World], dict[str, Any]]] = {
    "shards": write_shards,
    "contexts": keep_contexts,
    "index": write_index,
    "medians": find_medians,
    "manifest": finish,
    "counts": count_pairs,
}
"""In their order, each a process of its own, so that its peak is its own."""


def used(world: World) -> int:
    """Return what the artifact takes on disk, in bytes."""
    return sum(path.stat().st_size for path in world.directory.rglob("*") if path.is_file())


@click.command()
@click.option("--run", type=click.Path(path_type=Path), default="ten-million", show_default=True)
@click.option("--tokens", default=10_000_000, show_default=True)
@click.option("--d-sae", default=16384, show_default=True)
@click.option("--l0", default=32.0, show_default=True)
@click.option("--d-in", default=256, show_default=True)
@click.option("--shard-tokens", default=16384, show_default=True)
@click.option("--reservoir", default=64, show_default=True)
@click.option("--memory", type=Bytes(), default="4G", show_default=True, help="For counting.")
@click.option("--index-memory", type=Bytes(), default="1G", show_default=True, help="For the index.")
@click.option("--seed", default=0, show_default=True)
@click.option("--step", "steps", type=click.Choice(list(STEPS)), multiple=True, help="These alone.  [default: all]")
@click.option("--here", is_flag=True, help="In this process, and print the figures as JSON.")
def main(steps: tuple[str, ...], here: bool, **given: Any) -> None:
    """Print disk, time and peak memory of each step."""
    world = World(**given)
    if here:
        started = time.perf_counter()
        figures = STEPS[steps[0]](world)
        click.echo(json.dumps({"seconds": time.perf_counter() - started, "peak": peak_memory(), **figures}))
        return
    sizes = {"n_shards": world.n_shards, "d_sae": world.d_sae, "d_in": world.d_in}
    n_firings = world.l0 * world.tokens
    predicted = {
        "contexts": Size.of(world.tokens, n_firings, reservoir=world.reservoir, **sizes).total,
        "index": Size.of(world.tokens, n_firings, **sizes).total,
    }
    click.echo(f"{world.tokens:,} tokens, d_sae {world.d_sae}, mean L0 {world.l0:g}, {world.n_shards} shards")
    options = [word for key, value in asdict(world).items() for word in (f"--{key.replace('_', '-')}", str(value))]
    for step in steps or STEPS:
        command = [sys.executable, __file__, *options, "--step", step, "--here"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures = json.loads(done.stdout)
        line = f"{step:9} {figures.pop('seconds'):7.1f} s  {figures.pop('peak') / 2**20:6.0f} MiB at most"
        if step in predicted:
            line += f"  predicted {predicted[step] / 1e6:.0f} MB, used {figures.pop('disk') / 1e6:.0f} MB"
        click.echo("  ".join([line, *(f"{name} {value:,.7g}" for name, value in figures.items())]))


if __name__ == "__main__":
    main()
