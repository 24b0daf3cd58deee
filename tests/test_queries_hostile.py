"""No name, token or parameter changes a statement, the graph or the terminal, whatever stands in it (fault 72)."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from graph_checks import empty, export, values
from rich.console import Console
from small_atlas import Small, star

from atlas.errors import QueryError
from atlas.ingest.graph import load
from atlas.queries import display
from atlas.queries.contract import REQUIRED
from atlas.queries.library import find, library
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j

HOSTILE = (
    "'", '"', "`", "\\", "\\'", "'}) DETACH DELETE f //", "\" OR name:*", "`}]->() SET f.name = 'x' //",
    "$atlas", "{name}",
    "</script><script>alert(1)</script>", "\u202eevil\u2066x\u2069", "\x1b]0;title\x07\x1b[31m", "a\x00b", "\r\nrow\t2",
    "[bold red]x[/]", "=cmd|' /C calc'!A1", "+1", "\ufeff\u200b\U000e0041", "*:*", "~", "(a AND", "\u0301\u0301", "💥",
    "x" * 10**6, "word " * 200_000, '"' * 10**6, "\\" * 10**6, "\u202e" * 300_000,
)  # fmt: skip
GIVEN = {"feature": 0, "cluster": 0, "of": "fine:0", "from": 1, "to": 2, "other": 1, "other_atlas": "evil"}
TEXTS = [
    (query.name, parameter.name)
    for query in library().values()
    for parameter in query.parameters
    if parameter.type == "string" and not parameter.choices and parameter.name not in ("atlas", "other_atlas")
]


@pytest.fixture(scope="module")
def evil(driver, tmp_path_factory):
    """Load a star whose features have hostile names and tokens."""
    empty(driver)
    n = len(HOSTILE)
    small = Small(
        n, star(0, range(1, n)), {"fine": [range(n)]}, firing={0: 500}, names=dict(enumerate(HOSTILE)),
        tokens={index: [text, " plain"] for index, text in enumerate(HOSTILE)}, exclusions=((1, 2),),
    )  # fmt: skip
    load(small.write(tmp_path_factory.mktemp("evil")), driver, name="evil")
    return driver


@pytest.fixture
def large_fields():
    """Let the reader of CSV take a field of any length."""
    usual = csv.field_size_limit(10**8)
    yield
    csv.field_size_limit(usual)


def harmless(text: str) -> bool:
    """Whether a terminal shows the text as it is: no control but the newline, no direction mark, nothing unassigned."""
    return all(sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn") for sign in text)


def test_names_and_tokens_are_stored_as_they_are(evil):
    """What was written is what is read, to the last sign."""
    statement = "MATCH (f:Feature {atlas: 'evil'}) RETURN f.index, f.name, f.top_tokens ORDER BY f.index"
    assert values(evil, statement) == [(i, text, [text, " plain"]) for i, text in enumerate(HOSTILE)]


def test_text_as_a_parameter_is_only_text(evil):
    """Each query that takes a text takes any, answers by its meaning alone, and leaves the graph as it was."""
    assert ("features_by_token", "token") in TEXTS
    before = export(evil, "evil")
    for name, parameter in TEXTS:
        query = find(name)
        required = {p.name: GIVEN[p.name] for p in query.parameters if p.default is REQUIRED and p.name in GIVEN}
        for text in HOSTILE:
            answer = run(evil, query, {**required, parameter: text})
            if name == "features_by_token":
                exact = [row[0] for row in answer.rows if row[answer.columns.index("exact")]]
                assert exact == [HOSTILE.index(text)], text[:40]
    assert export(evil, "evil") == before
    with pytest.raises(QueryError, match="no atlas") as refused:
        run(evil, find("hubs"), {"atlas": HOSTILE[-1]})
    assert len(refused.value.cause) < 1000
    assert refused.value.cause.isascii()


def test_every_form_of_an_answer_is_harmless(evil, large_fields):
    """Of every query: tables, lines, CSV and JSON show what is hidden, and the exact forms lose nothing."""
    given = GIVEN | {"token": " plain", "atlas": "evil"}
    for query in library().values():
        if query.writes or query.needs:
            continue
        parameters = {p.name: given[p.name] for p in query.parameters if p.name in given and p.default is REQUIRED}
        answer = run(evil, query, parameters)
        lines = display.as_lines(answer.columns, answer.rows)
        assert harmless(lines.replace("\t", "")), query.name
        assert lines.count("\n") == len(answer.rows) + 1
        stream = io.StringIO()
        console = Console(file=stream, width=100, color_system=None, highlight=False, markup=False, emoji=False)
        console.print(display.as_table(answer.columns, answer.rows, width=100))
        assert harmless(stream.getvalue()), query.name
        assert len(stream.getvalue()) < 10**6
        cells = list(csv.reader(io.StringIO(display.as_csv(answer.columns, answer.rows)), strict=True))
        assert all(not cell.startswith(("=", "+", "@")) for row in cells for cell in row), query.name
        text = display.as_json(answer.columns, answer.rows)
        assert text.isascii()
        assert len(json.loads(text)["rows"]) == len(answer.rows)


def test_the_names_come_back_exactly_in_parquet(evil, tmp_path):
    """A file for programs holds every sign."""
    import pyarrow.parquet as pq

    query = find("neighbours")
    answer = run(evil, query, {"feature": 0, "limit": 100})
    display.write_parquet(tmp_path / "rows.parquet", query.columns, answer.rows)
    assert sorted(pq.read_table(tmp_path / "rows.parquet")["name"].to_pylist()) == sorted(HOSTILE[1:])
