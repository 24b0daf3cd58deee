"""Every query of the library that reads, asked of what is largest in a large atlas; prints a table of medians.

    python -m benchmarks.queries                        # plants an atlas, loads it into a server of its own
    python -m benchmarks.queries --atlas demo --home ~/.local/share/feature-atlas/neo4j/default

Each is run once to warm up and then `--repeat` times. Where the header says less than was measured, the row says so,
and the command ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from neo4j.graph import Path as GraphPath

from atlas.ingest.bulk import bulk_load
from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.graph_rows import Rows
from atlas.ingest.graph_write import Writer
from atlas.ingest.server.process import down
from atlas.queries.contract import REQUIRED, Query
from atlas.queries.library import library
from atlas.queries.run import run
from atlas.schema.generate import set_vectors
from benchmarks.planted_atlas import Planted

if TYPE_CHECKING:
    import neo4j

DIMENSIONS = 256
LIMITS = {"under 0.1 s": 0.1, "under 1 s": 1.0}
FEATURE = """
MATCH (f:Feature {atlas: $atlas})-[r:CO_OCCURS]-(g)
WITH f, count(r) AS degree, collect(g.index)[0] AS neighbour ORDER BY degree DESC, f.index LIMIT 1
RETURN f.index AS feature, neighbour AS other, degree, f.top_tokens[0] AS token
"""
CLUSTER = """
MATCH (c:Cluster {atlas: $atlas, level: $level})
RETURN c.cluster AS cluster, c.size AS size ORDER BY size DESC, cluster LIMIT 1
"""
TOKEN = """
MATCH (f:Feature {atlas: $atlas}) UNWIND f.top_tokens AS token
RETURN token, count(*) AS n ORDER BY n DESC, token LIMIT 1
"""


@contextlib.contextmanager
def asked(home: Path | None, atlas: str | None, given: argparse.Namespace) -> Iterator[tuple[neo4j.Driver, str]]:
    """Open the database of a home; without one, plant an atlas and load it into a server of its own."""
    if home is not None and atlas is not None:
        with open_driver(managed_target(home)) as driver:
            yield driver, atlas
        return
    with tempfile.TemporaryDirectory() as scratch:
        planted = Planted(given.features, given.edges, given.clusters, texts=tuple(f" w{i}" for i in range(6000)))
        place = Path(scratch) / "home"
        try:
            bulk_load(Rows(planted.write(Path(scratch) / "run"), "planted"), place)
            with open_driver(managed_target(place)) as driver:
                direct(driver, given.features)
                yield driver, "planted"
        finally:
            down(place)


def direct(driver: neo4j.Driver, n: int) -> None:
    """Give the planted features decoder directions, drawn at random: the planted run has no decoder."""
    drawn = np.random.default_rng(0).standard_normal((n, DIMENSIONS), np.float32)
    with driver.session() as session:
        rows = ({"uid": f"planted:{index}", "vector": row.tolist()} for index, row in enumerate(drawn))
        Writer(session, batch=2000).write("decoder_direction", set_vectors("Feature"), rows, total=n)
        session.run("CALL db.awaitIndexes(300)").consume()


def hardest(driver: neo4j.Driver, atlas: str) -> dict[str, Any]:
    """Return values for the parameters that have no default: what has the most neighbours, members and features."""

    def one(statement: str, **parameters: Any) -> dict[str, Any]:
        return dict(driver.execute_query(statement, atlas=atlas, **parameters).records[0])

    found = one(FEATURE) | {"token": one(TOKEN)["token"], "other_atlas": atlas}
    found["level"] = {level: one(CLUSTER, level=level)["cluster"] for level in ("coarse", "middle", "fine")}
    return found


def parameters_of(query: Query, atlas: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a query is asked with."""
    level = next((p.default for p in query.parameters if p.name == "level"), None) or "fine"
    cluster, feature = found["level"][level], found["feature"]
    known = {**found, "cluster": cluster, "of": str(feature), "from": feature, "to": 0 if feature else 1}
    required = {p.name: known[p.name] for p in query.parameters if p.default is REQUIRED}
    return {"atlas": atlas, **required}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a query takes longer than its header says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="home of a managed server that runs")
    parser.add_argument("--atlas", help="name of an atlas in it")
    parser.add_argument("--features", type=int, default=25_000)
    parser.add_argument("--edges", type=int, default=500_000)
    parser.add_argument("--clusters", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args(arguments)
    late = 0
    with asked(given.home, given.atlas, given) as (driver, atlas):
        found = hardest(driver, atlas)
        print(f"feature {found['feature']} with {found['degree']} neighbours, communities {found['level']}\n")
        print("| query | ms | rows | nodes | header | |\n|---|---|---|---|---|---|")
        for query in library().values():
            if query.writes or query.needs:
                continue
            values = parameters_of(query, atlas, found)
            answers = [run(driver, query, values) for _ in range(1 + given.repeat)]
            seconds = statistics.median(answer.seconds for answer in answers[1:])
            rows = answers[0].rows
            paths = [value for row in rows for value in row if isinstance(value, GraphPath)]
            nodes = {node.element_id for path in paths for node in path.nodes}
            over = seconds > LIMITS.get(query.cost, float("inf"))
            late += over
            print(f"| {query.name} | {1000 * seconds:.0f} | {len(rows)} | {len(nodes) or ''} | {query.cost} "
                  f"| {'longer' if over else ''} |", flush=True)  # fmt: skip
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
