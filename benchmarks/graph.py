"""Loads a planted atlas into a server of its own in three ways, and prints rows a second, seconds and memory.

`python -m benchmarks.graph` plants 25,000 features, 500,000 edges in both forms and 5,000 communities; `--scale 0.1` a
tenth of that, `--small` a hundredth. The ways: the driver in pure Python, the driver with the Rust extension, and the
offline importer, whose seconds hold the server's start. Processor seconds depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from atlas.artifacts import Run
from atlas.measured import peak_memory
from benchmarks.measure import ROOT, machine
from benchmarks.planted_atlas import Planted

WAYS = {"plain": "driver", "rust": "driver and Rust extension", "bulk": "importer"}
SIZE = (25_000, 500_000, 5_000)
"""Features, edges and communities."""


def load_here(way: str, run_directory: Path, home: Path) -> dict[str, Any]:
    """Return what one load took, made in this process; the Rust extension is hidden from the plain driver."""
    if way == "plain":
        sys.modules["neo4j._rust"] = None  # type: ignore[assignment]  # what the driver's import of it finds: nothing
    from atlas.ingest.bulk import bulk_load
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.graph import load
    from atlas.ingest.graph_rows import Rows
    from atlas.ingest.graph_sources import artifacts_of
    from atlas.ingest.server.process import status

    def server() -> float:
        return sum(psutil.Process(pid).cpu_times()[:2]) if (pid := status(home).pid) else 0.0

    with Run(run_directory) as run:
        artifacts = artifacts_of(run)
    before = server(), time.process_time()
    if way == "bulk":
        receipt, _ = bulk_load(Rows(artifacts, "planted"), home)
    else:
        target = managed_target(home)
        with open_driver(target) as driver:
            receipt = load(artifacts, driver, name="planted", database=target.database)
    tool = resource.getrusage(resource.RUSAGE_CHILDREN)
    return asdict(receipt) | {
        "peak": peak_memory() / 2**20,
        "processor": time.process_time() - before[1],
        "processor_of_server": server() - before[0],
        "peak_of_tool": tool.ru_maxrss / 1024 if way == "bulk" else None,
        "processor_of_tool": tool.ru_utime + tool.ru_stime if way == "bulk" else None,
    }


def measure(way: str, run_directory: Path, folder: Path) -> dict[str, Any]:
    """Return what a load into a new server takes, in a process of its own."""
    from atlas.ingest.server.process import down, up

    home = folder / "home"
    if way != "bulk":  # which starts the server itself
        up(home)
    try:
        command = [sys.executable, "-m", "benchmarks.graph", "--child", way, str(run_directory), str(home)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{way} failed:\n{done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found
    finally:
        down(home)


def _loaded(found: dict[str, Any]) -> float:
    """Return the seconds of a load without those of the classes."""
    return float(found["seconds"] - sum(found["classify_seconds"]))


def document(outcomes: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table: medians over the rounds, a column for each way."""
    ways = list(outcomes)

    def row(title: str, value: Any, form: str) -> str:
        cells = []
        for way in ways:
            values = [each for found in outcomes[way] if (each := value(found)) is not None]
            cells.append(format(statistics.median(values), form) if values else "-")
        return " | ".join([f"| {title}", *cells, ""]).rstrip()

    steps = dict.fromkeys(step for way in ways for found in outcomes[way] for step in found["rates"])
    rows = outcomes[ways[0]][0]["rows"]
    written = sum(count for name, count in rows.items() if name.isupper())  # types are written so
    lines = [
        f"{sum(rows.values()) - written:,} nodes and {written:,} relationships.",
        "",
        " | ".join(["| rows a second", *(WAYS[way] for way in ways), ""]).rstrip(),
        "|---" * (len(ways) + 1) + "|",
        *(row(step, lambda found, step=step: found["rates"].get(step), ",.0f") for step in steps),
        row("**relationships a second, of all seconds**", lambda found: written / found["seconds"], ",.0f"),
        row("relationships a second, without the classes", lambda found: written / _loaded(found), ",.0f"),
        row("**seconds in all**", lambda found: found["seconds"], ".1f"),
        row("seconds without the classes", _loaded, ".1f"),
        row("of these, to classify communities", lambda found: found["classify_seconds"][0], ".1f"),
        row("of these, to classify ego subgraphs", lambda found: found["classify_seconds"][1], ".1f"),
        *(
            row(f"{what} of the {who}{unit}", lambda found, key=key: found[key], form)
            for what, unit, form, keys in (
                ("processor seconds", "", ".1f", ("processor", "processor_of_tool", "processor_of_server")),
                ("peak memory", ", MiB", ".0f", ("peak", "peak_of_tool")),
            )
            for who, key in zip(("loader", "importer", "server"), keys, strict=False)
        ),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--small", dest="scale", action="store_const", const=0.01)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        way, run_directory, home = given.child
        print(json.dumps(load_here(way, Path(run_directory), Path(home))))
        return
    outcomes: dict[str, list[dict[str, Any]]] = {way: [] for way in given.ways}
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        run_directory = Path(folder, "run")
        Planted(*(round(each * given.scale) for each in SIZE)).write(run_directory)
        for number in range(given.repeats):
            for way in given.ways:
                place = Path(folder, f"{way}-{number}")
                outcomes[way].append(measure(way, run_directory, place))
                loads.append(psutil.getloadavg()[0])
                print(f"{way}: {outcomes[way][-1]['seconds']:.1f} s, load {loads[-1]:.1f}", file=sys.stderr)
    print(f"{machine()}; load of the machine {min(loads):.1f} to {max(loads):.1f}; medians of {given.repeats}.\n")
    print(document(outcomes))


if __name__ == "__main__":
    main()
