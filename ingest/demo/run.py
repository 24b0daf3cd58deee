"""The demo: every stage on the shipped text and SAE, into the managed Neo4j."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.ingest import stages
from atlas.ingest.demo.summary import Summary, summarise
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.paths import cache_home, data_home

if TYPE_CHECKING:
    from atlas.artifacts import Run

logger = logging.getLogger("atlas")

HERE = Path(__file__).parent
TEXT = HERE / "text.jsonl"
SAE = HERE / "sae"
NAME = "demo"
BATCH_SIZE = 32


def default_run() -> Path:
    """Return the demo's run directory."""
    return data_home() / "demo"


def demo_atlas(
    run_directory: Path,
    *,
    name: str = NAME,
    corpus: Path = TEXT,
    tokens: int | None = None,
    device: str = "auto",
    home: Path | None = None,
    model: Path | None = None,
    replace: bool = False,
) -> Summary:
    """Return the summary of the demo's atlas, built, loaded and classified; what is done is not done again.

    Parameters
    ----------
    run_directory
        Where the artifacts are kept.
    name
        Name of the atlas in the database.
    corpus, tokens
        Text, the shipped one by default, and how many tokens of it.
    home
        Folder of the managed server; its default.
    model
        Folder of the converted model; fetched and made in the cache by default.
    replace
        Whether an atlas of that name that was made otherwise is replaced; the one named `demo` always is.
    """
    from atlas.artifacts import Run
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.graph import check_name, load_run
    from atlas.ingest.server.process import up

    check_name(name)
    with Run(run_directory) as run:
        with _fetching_server(home):
            _build(run, corpus=corpus, tokens=tokens, device=device, model=model)
            logger.info("neo4j: starting the managed server")
            server = up(home)
        target = managed_target(home)
        with open_driver(target) as driver:
            replace = replace or name == NAME  # that name is the demo's own
            load_run(run, driver, name=name, target=str(target), database=target.database, replace=replace)
            return summarise(run, driver, name=name, server=server, database=target.database)


def _build(run: Run, *, corpus: Path, tokens: int | None, device: str, model: Path | None) -> None:
    from atlas.ingest.demo.model import demo_model

    settings: dict[str, Any] = {
        "model": model or demo_model(cache_home()),
        "sae": SAE,
        "corpus": corpus,
        "tokens": tokens,
        "device": device,
        "batch_size": BATCH_SIZE,
    }
    stages.stage_activations(run, **settings)
    for stage, _ in stages.STAGES[1:-1]:
        checkpoint()
        stage(run)


@contextlib.contextmanager
def _fetching_server(home: Path | str | None) -> Iterator[None]:
    """Fetch the server in a process beside the block: it waits for the network, the model for the processor.

    Its errors are not lost: the block brings the server up at its end, which waits for this process
    or fetches what is missing, and says what is wrong.
    """
    from atlas.ingest.server.home import Home
    from atlas.ingest.server.install import install_dir, is_installed
    from atlas.ingest.server.lockfile import read_lock

    line = Home.at(home).line()
    lock = read_lock(line)
    if is_installed(install_dir(lock), lock):
        yield
        return
    code = (
        "import sys; from atlas.ingest.server.install import install; from atlas.ingest.server.version import LINES; "
        "install(LINES[sys.argv[1]])"
    )
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", code, line.name], **quiet)  # type: ignore[call-overload]  # plain keywords
    try:
        yield
    finally:
        process.terminate()  # done, or interrupted with the block: the fetching goes on next time
        process.wait()
