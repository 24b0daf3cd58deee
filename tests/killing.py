"""Kill whole runs at random moments, run them again, and hold the artifacts against an undisturbed run's.

`python tests/killing.py --times 100` kills runs from stored activations; `--from-text` kills runs
from text through the demo's model. The children are forked, so that what is imported once is shared.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from worlds import planted_run

from atlas.artifacts import Run

STAGES = ("10-activations", "20-counts", "30-edges", "40-clusters", "50-structure")


def contents(run: Path) -> dict[str, str]:
    """Return the sum of every file of the artifacts, the manifests without what may differ."""
    found = {}
    for stage in STAGES:
        for path in sorted((run / stage).rglob("*")):
            if not path.is_file():
                continue
            data = path.read_bytes()
            if path.name == "manifest.json":
                manifest = json.loads(data)
                del manifest["made"]
                data = json.dumps(manifest, sort_keys=True).encode()
            found[str(path.relative_to(run))] = hashlib.sha256(data).hexdigest()
    return found


def start(words: list[str], log: Path) -> int:
    """Run `atlas` with these words in a forked process and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with log.open("ab") as stream:
            for descriptor in (1, 2):
                os.dup2(stream.fileno(), descriptor)
        from atlas.cli import main

        main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)  # no clean-up of what the parent still uses


def finish(pid: int) -> int:
    """Wait for a process and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def undisturbed(words: list[str], log: Path) -> float:
    """Run to the end and return the seconds that it took."""
    started = time.monotonic()
    code = finish(start(words, log))
    if code:
        raise AssertionError(f"exit code {code}:\n{log.read_text('utf8')[-2000:]}")
    return time.monotonic() - started


def killed_once(words: list[str], log: Path, *, after: float) -> bool:
    """Run, SIGKILL after some seconds, and return whether that came before the end."""
    pid = start(words, log)
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return finish(pid) == -signal.SIGKILL


def rounds(folder: Path, words: list[str], *, times: int, seed: int, prepared: Path | None = None) -> int:
    """Kill and rerun `times` times and return how many kills came before the end.

    Parameters
    ----------
    words
        The command without `--run`.
    prepared
        A run directory that each round starts from: stored activations.

    Raises
    ------
    AssertionError
        An artifact differs from the undisturbed run's, or a rerun fails; its log is shown.
    """
    chance = random.Random(seed)
    log = folder / "log"

    def fresh(name: str) -> Path:
        run = folder / name
        shutil.rmtree(run, ignore_errors=True)
        if prepared is not None:
            shutil.copytree(prepared, run)
        return run

    if prepared is not None:  # compiles and caches, so that it is not timed: from text, the model takes far longer
        undisturbed([*words, "--run", str(fresh("first"))], log)
    reference = fresh("reference")
    seconds = undisturbed([*words, "--run", str(reference)], log)
    wanted = contents(reference)
    hit = 0
    for _ in range(times):
        run = fresh("killed")
        hit += killed_once([*words, "--run", str(run)], log, after=chance.uniform(0, seconds))
        undisturbed([*words, "--run", str(run)], log)
        found = contents(run)
        assert found == wanted, sorted(name for name in wanted if found.get(name) != wanted[name])
    return hit


def import_stages() -> None:
    """Import what every stage needs, before the forks: the rounds then spend their seconds, and meet their ends, at
    work, and not while they import."""
    for stage in ("association", "communities", "counting", "hierarchy", "shapes"):
        importlib.import_module(f"atlas.{stage}.stage")
    importlib.import_module("atlas.ingest.stages")
    for module in ("cupy", "pandas"):  # which the stages look for, and do without
        if importlib.util.find_spec(module):
            importlib.import_module(module)


def from_activations(folder: Path, *, times: int, seed: int) -> int:
    """Kill runs that start from the stored activations of a planted world."""
    import_stages()
    with Run(folder / "prepared") as run:
        planted_run(run, n_documents=20, length=300)
    words = ["-q", "ingest", "all", "--from", "counts", "--until", "structure"]
    return rounds(folder, words, times=times, seed=seed, prepared=folder / "prepared")


def from_text(folder: Path, *, times: int, seed: int, tokens: int = 3000) -> int:
    """Kill runs that start from the shipped text, through the demo's model and SAE, and end with the counts.

    The stages after them read no text: `from_activations` kills those.
    """
    from atlas.ingest import extras
    from atlas.ingest.demo.model import demo_model
    from atlas.ingest.demo.run import SAE, TEXT
    from atlas.ingest.paths import cache_home

    import_stages()
    model = demo_model(cache_home())
    for module in ("torch", "transformers", "sae_lens", "transformer_lens.model_bridge"):
        extras.need(module)
    words = ["-q", "ingest", "all", "--model", str(model), "--sae", str(SAE), "--corpus", str(TEXT), "--device", "cpu",
             "--tokens", str(tokens), "--shard-tokens", "750", "--until", "counts"]  # fmt: skip
    return rounds(folder, words, times=times, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-text", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kill = from_text if given.from_text else from_activations
        hit = kill(Path(folder), times=given.times, seed=given.seed)
    print(f"{given.times} rounds, {hit} killed before their end, every artifact identical")


if __name__ == "__main__":
    main()
