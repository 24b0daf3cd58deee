"""Loads the large atlas of the killed-load test in a process of its own: URI, user, password, run directory."""

import sys
from pathlib import Path

import neo4j

from atlas.artifacts import Run
from atlas.ingest.graph import load
from atlas.ingest.graph_sources import artifacts_of

uri, user, password, directory = sys.argv[1:]
with Run(Path(directory)) as run, neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver:
    load(artifacts_of(run), driver, name="killed", batch=20)
