"""Loads the large atlas of the killed-load test in a process of its own: URI, user, password, run directory."""

import sys
from pathlib import Path

import neo4j

from atlas.artifacts import Run
from atlas.ingest.graph import STAGES, load

uri, user, password, directory = sys.argv[1:]
with Run(Path(directory)) as run, neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver:
    load({stage: run.artifact(stage) for stage in STAGES}, driver, name="killed", batch=20)
