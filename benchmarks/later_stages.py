"""Time, peak memory and disk of the stages after shapes, each in its own process: `python benchmarks/later_stages.py`.

The run is drawn, not computed, where it is not there yet; its counts are made by their own command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, it finds the other benchmarks, too

from atlas.firings import Firings
from atlas.measured import peak_memory
from benchmarks.drawn_run import Planting, World

STAGES = ("contexts", "rings", "absorption", "magnitude", "behaviour", "census")


def watched(command: Sequence[str]) -> tuple[float, float, float, int]:
    """Return a command's seconds on one thread, those of the processor, its peak memory, and the same without files.

    The peak counts pages of mapped files, which the system takes back when it needs them; what is left without them is
    looked at twenty times a second, and a short peak may be missed.
    """
    started, peak, own = time.perf_counter(), 0, 0
    one = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | one)
    watch, ended = psutil.Process(process.pid), 0
    while not ended:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        with contextlib.suppress(psutil.Error, OSError):  # it has ended meanwhile
            memory = watch.memory_info()
            peak = max(peak, peak_memory(process.pid))
            own = max(own, memory.rss - memory.shared)
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)}: {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak / 2**20, own


def used(directory: Path) -> int:
    """Return what a folder takes on disk, in bytes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


@click.command()
@click.option("--run", type=click.Path(path_type=Path), default="later-stages", show_default=True)
@click.option("--tokens", default=200_000, show_default=True)
@click.option("--d-sae", default=2048, show_default=True)
@click.option("--l0", default=64.0, show_default=True)
@click.option("--d-in", default=512, show_default=True)
@click.option("--vocabulary", default=50_000, show_default=True)
@click.option("--document", default=700, show_default=True, help="Tokens of a document.")
@click.option("--edges", type=int, help="Of the backbone.  [default: 7.5 a feature]")
@click.option("--others", type=int, help="Edges off the backbone.  [default: 68 for each on it, as in the demo]")
@click.option("--shard-tokens", default=16384, show_default=True)
@click.option("--prune", default=5, show_default=True, help="Pairs seen on fewer tokens are not kept.")
@click.option("--memory", default=2**31, show_default=True, help="For counting, in bytes.")
@click.option("--seed", default=0, show_default=True)
@click.option("--stage", "stages", type=click.Choice(STAGES), multiple=True, help="These alone.  [default: all]")
def main(stages: tuple[str, ...], **given: Any) -> None:
    """Print time, peak memory and disk of each stage."""
    given["edges"] = given["edges"] or round(7.5 * given["d_sae"])
    given["others"] = 68 * given["edges"] if given["others"] is None else given["others"]
    world = World(**given)
    click.echo(f"{world.tokens:,} tokens, d_sae {world.d_sae:,}, d_in {world.d_in}, {world.edges:,} edges on the "
               f"backbone and {world.others:,} off it")  # fmt: skip
    started = time.perf_counter()
    Planting(world).plant()
    count = ["counts", "--prune", str(world.prune), "--memory", str(world.memory)]
    subprocess.run([*_ingest(world), *count, "--run", str(world.run)], check=True, stdout=subprocess.DEVNULL)
    click.echo(f"drawn or found in {time.perf_counter() - started:.0f} s, {used(world.run) / 1e9:.2f} GB")
    n_firings = int(Firings(world.run / "10-activations").firing_count.sum())
    click.echo(f"{n_firings:,} firings, L0 {n_firings / world.tokens:.1f}")
    click.echo(f"{'stage':12} {'seconds':>9} {'CPU s':>9} {'peak MiB':>9} {'own MiB':>9} {'disk MB':>9}")
    for name in stages or STAGES:
        directory = next((world.run / each for each in os.listdir(world.run) if each[3:] == name), None)
        if directory is not None:
            shutil.rmtree(directory)
        seconds, busy, whole, own = watched([*_ingest(world), name, "--run", str(world.run)])
        directory = next(world.run / each for each in os.listdir(world.run) if each[3:] == name)
        click.echo(f"{name:12} {seconds:9.1f} {busy:9.1f} {whole:9.0f} "
                   f"{own / 2**20:9.0f} {used(directory) / 1e6:9.1f}")  # fmt: skip


def _ingest(world: World) -> list[str]:
    return [sys.executable, "-m", "atlas", "ingest"]


if __name__ == "__main__":
    main()
