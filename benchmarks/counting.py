"""Times exact co-occurrence counting beside other methods, and prints tables: `python -m benchmarks.counting`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks.cases import GROWTH_REPEATS, Case, Run, cases
from benchmarks.measure import Asked, Measured, largest_count, machine, measure, size_of
from benchmarks.registry import METHODS
from benchmarks.report import Outcome, document, plot

MARGIN = 2**26
"""Bytes that are touched before the clock starts, beyond the peak of a method's first round."""
LIBRARIES = ("numpy", "scipy", "numba", "mkl", "torch")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, print the tables, write what is to be kept."""
    asked = _parser().parse_args(arguments)
    chosen = [case for case in cases(asked.run) if _matches(case.name, asked.cases)]
    outcomes = []
    for case in chosen:
        runs = [run for run in case.runs if _matches(run[0], asked.methods) and run[1] in asked.threads]
        repeats = min(asked.repeats, GROWTH_REPEATS) if case.axis else asked.repeats
        memory = int(asked.memory * 1e9) if asked.memory else int(0.8 * psutil.virtual_memory().available)
        if runs:
            outcomes.append(_measure(case, runs, repeats=repeats, memory=memory, seed=asked.seed, scale=asked.scale))
            if asked.json:  # kept up to date: a long run may be interrupted
                asked.json.write_text(json.dumps(_as_json(outcomes), indent=1) + "\n", "utf8")
    text = document(
        outcomes, command=_command(arguments), machine=machine(), versions=_versions(), repeats=asked.repeats
    )
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text, "utf8")
    growth = [outcome for outcome in outcomes if outcome.case.axis]
    if asked.plot and growth:
        plot(growth, asked.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counting", description=__doc__)
    parser.add_argument("--run", type=Path, metavar="DIR", help="run folder whose features are counted, too")
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="16k 65k 131k 1M demo planted rules floors growth")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help=" ".join(METHODS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="numbers of threads, of 1 and 2")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, after a first one whose memory is fresh (5)")
    parser.add_argument("--memory", type=float, metavar="GB", help="memory a method may take (80 %% of what is free)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the tokens, for a trial (1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the synthetic firings (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw how the cost grows, as .svg or .png")
    return parser


def _matches(name: str, wanted: Iterable[str] | None) -> bool:
    return not wanted or any(name == one or name.startswith(f"{one}-") for one in wanted)


def _measure(case: Case, runs: list[Run], *, repeats: int, memory: int, seed: int, scale: float) -> Outcome:
    """Make a case's input, and time the methods in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        firing = case.make(seed, scale)
        firing.save(folder)
        size, increments = size_of(firing), firing.increments
        del firing
        _say(f"{case.title}: {size.n_tokens:,} tokens, {increments:,} increments, {size.distinct:,} pairs seen")
        tokens = {}
        for method in dict.fromkeys(method for method, _ in runs):
            most = METHODS[method].most
            tokens[method] = min(size.n_tokens, most(size.d)) if most else size.n_tokens
        outcome = Outcome(case, size, increments, largest_count(folder), tokens, {run: [] for run in runs}, {})
        for number in range(repeats + 1):
            for run in runs:
                before = outcome.fresh.get(run)
                if before and before.failure:
                    continue
                touched = before.peak + MARGIN if before else 0
                found = _once(outcome, run, memory=memory, folder=folder, touched=touched)
                _say(f"  round {number}, {run[0]}, {run[1]} threads: {_short(found)}")
                if before is None:
                    outcome.fresh[run] = found
                if before or found.failure:
                    outcome.rounds[run].append(found)
    return outcome


def _once(outcome: Outcome, run: Run, *, memory: int, folder: Path, touched: int) -> Measured:
    method, threads = run
    about, size = METHODS[method], outcome.size
    needed = about.needs(size)
    if needed > memory:
        return Measured(failure=f"does not fit (needs {needed / 1e9:.3g} GB)")
    found = measure(Asked(method, str(folder), outcome.tokens[method], threads, memory, touched))
    if found.failure or about.pruned:
        return found
    whole = outcome.tokens[method] == size.n_tokens and not method.startswith("floor")
    if found.total != found.work or (whole and found.pairs != size.distinct):
        return Measured(failure=f"wrong: {found.pairs} pairs, {found.total} increments")
    return found


def _short(measured: Measured) -> str:
    if measured.failure:
        return measured.failure
    return f"{measured.seconds:.2f} s, {measured.seconds / measured.work * 1e9:.2f} ns, {measured.peak / 1e9:.2f} GB"


def _command(arguments: Sequence[str] | None) -> str:
    """Return the command without the folders of whoever gave it."""
    given = [Path(one).name if "/" in one else one for one in (sys.argv[1:] if arguments is None else arguments)]
    return " ".join(["python -m benchmarks.counting", *given])


def _versions() -> str:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _as_json(outcomes: Sequence[Outcome]) -> dict[str, object]:
    measured = [
        {
            "case": outcome.case.name,
            "size": asdict(outcome.size),
            "increments": outcome.increments,
            "runs": [
                {
                    "method": method,
                    "threads": threads,
                    "n_tokens": outcome.tokens[method],
                    "fresh": asdict(outcome.fresh[method, threads]),
                    "rounds": list(map(asdict, some)),
                }
                for (method, threads), some in outcome.rounds.items()
            ],
        }
        for outcome in outcomes
    ]
    return {"machine": machine(), "versions": _versions(), "cases": measured}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
