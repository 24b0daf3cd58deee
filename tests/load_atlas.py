"""Loads the large atlas of the killed-load test in a process of its own: run directory; server by `NEO4J_...`."""

import sys
from pathlib import Path

from atlas.artifacts import Run
from atlas.ingest.connection import open_driver, resolve_target
from atlas.ingest.graph import load
from atlas.ingest.graph_sources import artifacts_of

with Run(Path(sys.argv[1])) as run, open_driver(resolve_target()) as driver:
    load(artifacts_of(run), driver, name="killed", batch=20)
