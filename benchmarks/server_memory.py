"""Loads 500,000 edges in both their forms into a server with the least memory and prints what it took."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import psutil

from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.server import config
from atlas.ingest.server.process import managed, status

FEATURES, EDGES, BATCH = 25_000, 500_000, 10_000
MEASURES = ("phi", "lift_d", "lift_t", "g2", "q", "npmi", "jaccard", "expected", "p_a_given_b", "p_b_given_a")
LOAD = """
UNWIND $rows AS row
MATCH (a:Feature {uid: row.a}), (b:Feature {uid: row.b})
MERGE (a)-[c:CO_OCCURS {uid: row.uid}]->(b) SET c += row.measures
MERGE (e:Edge {uid: row.uid}) SET e += row.measures
MERGE (a)-[:ENDPOINT_OF]->(e) MERGE (b)-[:ENDPOINT_OF]->(e)
"""


def rows(start: int, rng: random.Random) -> list[dict[str, object]]:
    """Return one batch of random edges."""
    batch: list[dict[str, object]] = []
    for number in range(start, start + BATCH):
        a = rng.randrange(FEATURES - 1)
        b = rng.randrange(a + 1, FEATURES)
        measures = {name: rng.random() for name in MEASURES}
        batch.append({"a": f"x:{a}", "b": f"x:{b}", "uid": f"x:co:{number}", "measures": measures})
    return batch


def main() -> None:
    """Start, load, ask once, and print seconds and MiB after each step."""
    config.machine_memory = lambda: (2 << 30, 2 << 30)  # chooses heap 512 MiB and page cache 128 MiB
    with tempfile.TemporaryDirectory() as folder, managed(Path(folder, "home")) as info:
        process, started = psutil.Process(info.pid), time.monotonic()

        def say(step: str) -> None:
            resident = process.memory_info().rss >> 20
            print(f"{step}: {time.monotonic() - started:.1f} s, {resident} MiB resident", flush=True)

        say("up")
        with open_driver(managed_target(info.home)) as driver:
            for label in ("Feature", "Edge"):
                query = f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.uid IS UNIQUE"
                driver.execute_query(query, database_="neo4j")
            query = "UNWIND range(0, $n - 1) AS i CREATE (:Feature {uid: 'x:' + i, index: i})"
            driver.execute_query(query, n=FEATURES, database_="neo4j")
            rng = random.Random(0)
            for start in range(0, EDGES, BATCH):
                driver.execute_query(LOAD, rows=rows(start, rng), database_="neo4j")
            say(f"{EDGES} edges")
            query = "MATCH (f:Feature)-[c:CO_OCCURS]-() WITH f, count(c) AS k RETURN max(k) AS most"
            driver.execute_query(query, database_="neo4j")
            say("one scan")
        print(f"store: {status(info.home).store_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
