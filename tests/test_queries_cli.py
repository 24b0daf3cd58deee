"""`atlas query`: lists, shows and runs; nothing in the data steers the terminal, a spreadsheet or a parser."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import subprocess
import sys

import click
import pyarrow.parquet as pq
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from graph_checks import empty
from rich.console import Console
from small_atlas import Small, star

from atlas.cli import cli
from atlas.errors import DatabaseError, InputError, QueryError
from atlas.ingest.graph import load
from atlas.ingest.query_cli import query
from atlas.queries import display
from atlas.queries.library import find, library
from atlas.queries.reference import reference

MINE = re.findall(r"```cypher\n(// title.*?)```", reference(), re.DOTALL)[0]
"""The query of one's own that the reference page shows."""
EVIL = "\x1b[31mred\u202e[bold]x[/bold]"


@pytest.fixture(scope="module")
def evil(driver, server, tmp_path_factory):
    """Load an atlas of one star whose names are hostile, into the suite's managed server."""
    empty(driver)
    names = {0: EVIL, 1: "=1+1", 2: "a\tb\nc", 3: "[red]plain[/red]", 4: "ordinary"}
    small = Small(5, star(0, range(1, 5)), firing={0: 500}, names=names)
    load(small.write(tmp_path_factory.mktemp("evil")), driver, name="evil")


def invoke(*arguments: str) -> str:
    """Return the standard output of a command that has to succeed."""
    result = CliRunner().invoke(query, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_names_every_query():
    """Each query has a line and an object with its contract."""
    lines = invoke("list").splitlines()
    assert lines[0] == "name\tgroup\twrites\tquestion"
    assert sorted(line.split("\t")[0] for line in lines[1:]) == list(library())
    listed = {each["name"]: each for each in json.loads(invoke("list", "--json"))["queries"]}
    assert listed["classify_egos"]["writes"] is True
    assert listed["neighbours"]["parameters"][1] == {
        "name": "feature", "type": "integer", "optional": False, "choices": [], "meaning": "index of the feature",
        "required": True,
    }  # fmt: skip


def test_show_prints_contract_and_statement():
    """What is shown is the file."""
    found = find("hubs")
    assert invoke("show", "hubs") == f"{found.header}\n\n{found.statement}\n"
    assert json.loads(invoke("show", "hubs", "--json"))["statement"] == found.statement


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("run", "classify_egos"), "writes to the atlas"),
        (("run", "hubs", "--write"), "only reads"),
        (("run", "hubz"), "did you mean hubs"),
        (("run", "hubs", "-p", "min_leafs=3"), "did you mean min_leaves"),
        (("run", "hubs", "-p", "min_leaves=few"), "expected an integer"),
        (("show", "starr"), "did you mean star"),
        (("run", "bridges", "-p", "level=fien"), "did you mean fine"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_database(arguments, cause):
    """Unknown names, other types, and writing that was not allowed are errors of the input."""
    with pytest.raises(QueryError, match=cause) as refused:
        CliRunner().invoke(query, list(arguments), catch_exceptions=False)
    assert refused.value.exit_code == 3


def test_a_stopped_server_is_answered_with_how_to_start_it(tmp_path):
    """Without a server the error says the command that starts one."""
    with pytest.raises(DatabaseError) as refused:
        CliRunner().invoke(query, ["run", "hubs", "--home", str(tmp_path)], catch_exceptions=False)
    assert "atlas db up" in refused.value.remedy


@pytest.mark.neo4j
def test_json_is_exact_and_ascii(evil):
    """The object holds every value as stored, and no byte that a terminal would obey."""
    text = invoke("run", "neighbours", "-p", "feature=1", "--json")
    assert text.rstrip("\n").isascii()
    assert text.rstrip("\n").isprintable()
    answer = json.loads(text)
    assert (answer["query"], answer["parameters"]["feature"]) == ("neighbours", 1)
    assert [row["name"] for row in answer["rows"]] == [EVIL]
    star_json = json.loads(invoke("run", "star", "-p", "of=0", "--json"))
    path = star_json["rows"][0]["path"]
    assert [node["properties"]["index"] for node in path["nodes"]] == [0, 1]
    assert path["relationships"][0]["start"] == "evil:0"


@pytest.mark.neo4j
def test_lines_and_csv_show_what_is_hidden(evil):
    """Controls and direction marks are written as escapes; a formula is quoted; the limit holds."""
    lines = invoke("run", "neighbours", "-p", "feature=0").splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == ["=1+1", r"a\tb\nc", "[red]plain[/red]", "ordinary"]
    assert r"\x1b[31mred\u202e[bold]x[/bold]" in invoke("run", "neighbours", "-p", "feature=1")
    rows = list(csv.reader(io.StringIO(invoke("run", "neighbours", "-p", "feature=0", "--csv", "--limit", "2"))))
    assert [row[1] for row in rows] == ["name", "'=1+1", r"a\tb\nc"]
    assert rows[1][rows[0].index("phi")] == "0.5"


@pytest.mark.neo4j
def test_a_query_that_writes_runs_when_it_is_allowed(evil):
    """--write classifies anew."""
    assert invoke("run", "classify_egos", "--write").splitlines() == ["shape\tcount", "mixed\t1"]
    assert len(invoke("run", "counts", "--limit", "3").splitlines()) == 4


@pytest.mark.neo4j
def test_the_target_is_said_on_stderr(evil, server_home):
    """A command in a process of its own says which database it asked, on stderr alone."""
    command = [sys.executable, "-m", "atlas", "query", "run", "atlases", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "database: bolt://" in done.stderr
    assert json.loads(done.stdout)["rows"][0]["atlas"] == "evil"


@pytest.mark.parametrize("forms", [("--json", "--csv"), ("--csv", "--parquet", "rows.parquet")])
def test_forms_exclude_each_other(forms):
    """Two forms at once are a usage error."""
    with pytest.raises(click.UsageError):
        CliRunner().invoke(query, ["run", "hubs", *forms], catch_exceptions=False, standalone_mode=False)


@pytest.mark.neo4j
def test_rows_in_parquet_have_the_declared_types(evil, tmp_path):
    """Every value exact, in the types of the header, a path as JSON; a file that is there is kept unless --force."""
    file = tmp_path / "rows.parquet"
    assert invoke("run", "neighbours", "-p", "feature=0", "--parquet", str(file)) == ""
    table = pq.read_table(file)
    assert table["name"].to_pylist() == ["=1+1", "a\tb\nc", "[red]plain[/red]", "ordinary"]
    kinds = {name: str(table.schema.field(name).type) for name in ("neighbour", "phi", "basis")}
    assert kinds == {"neighbour": "int64", "phi": "double", "basis": "string"}
    with pytest.raises(InputError, match="exists"):
        invoke("run", "star", "-p", "of=0", "--parquet", str(file))
    invoke("run", "star", "-p", "of=0", "--parquet", str(file), "--force")
    assert json.loads(pq.read_table(file)["path"][0].as_py())["relationships"][0]["type"] == "CO_OCCURS"
    invoke("run", "feature", "-p", "feature=99", "--parquet", str(file), "--force")
    assert str(pq.read_table(file).schema.field("top_tokens").type) == "list<element: string>"
    with pytest.raises(InputError, match="is no folder"):
        invoke("run", "star", "-p", "of=0", "--parquet", str(tmp_path / "none" / "rows.parquet"))


@pytest.mark.neo4j
def test_a_plan_is_shown_and_nothing_is_run(evil, driver):
    """The operators from the answer down to the index, for a query without its values, and for one that writes."""
    lines = invoke("run", "neighbours", "--explain").splitlines()
    assert lines[0].startswith("ProduceResults")
    assert lines[-1].startswith("NodeUniqueIndexSeek")
    assert any("| " in line for line in invoke("run", "star", "--explain").splitlines())
    assert invoke("run", "similar_directions", "--explain")
    driver.execute_query("MATCH (f:Feature {atlas: 'evil'}) SET f.ego_shape = 'kept'")
    plan = json.loads(invoke("run", "classify_egos", "--explain", "--json"))
    assert plan["operatorType"].startswith("ProduceResults")
    assert driver.execute_query("MATCH (f:Feature {ego_shape: 'kept'}) RETURN count(f)").records[0][0] == 5


def completed(*words: str) -> list[str]:
    """Return what is offered for the last word."""
    found = ShellComplete(cli, {}, "atlas", "_ATLAS_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


def test_names_parameters_and_values_are_completed(tmp_path):
    """Queries by their beginning, parameters that are not given yet, values of those that have few."""
    assert completed("query", "run", "neigh") == ["neighbour_clusters", "neighbourhood", "neighbours"]
    assert completed("query", "show", "compare_a") == ["compare_atlases"]
    run_neighbours = ("query", "run", "neighbours")
    assert completed(*run_neighbours, "-p", "") == [
        "atlas=", "feature=", "min_phi=", "basis=", "by=", "limit=",
    ]  # fmt: skip
    assert completed(*run_neighbours, "-p", "basis=mixed", "-p", "b") == ["by="]
    assert completed(*run_neighbours, "-p", "by=p") == ["by=phi", "by=p_neighbour", "by=p_feature"]
    assert completed("query", "run", "hub_roles", "-p", "families=") == ["families=true", "families=false"]
    assert completed(*run_neighbours, "-p", "feature=1") == completed("query", "run", "none", "-p", "") == []
    assert completed(*run_neighbours, "--exp") == ["--explain"]
    (tmp_path / "neighbours_of_mine.cypher").write_text(MINE)
    (tmp_path / "neighbours_bad.cypher").write_text("// title: no more")
    own = ("--queries", str(tmp_path))
    assert completed("query", "run", *own, "neighbours") == ["neighbours", "neighbours_of_mine"]
    assert completed("query", "run", *own, "neighbours_of_mine", "-p", "f") == ["feature="]
    assert completed("query", "run", "--queries", str(tmp_path / "none"), "neighbours") == ["neighbours"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("atlas query run brid", ["plain,bridges"]),
        ("atlas query run bridges -p lev", ["plain,level="]),
        ("atlas query run bridges -p level = mi", ["plain,middle"]),  # bash breaks words at =
        ("atlas query run bridges -p level =", ["plain,coarse", "plain,middle", "plain,fine"]),
    ],
)
def test_bash_is_answered(words, found):
    """What the shell's function asks of the program, with the words as bash breaks them."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_ATLAS_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "atlas"], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == found


@pytest.mark.neo4j
def test_a_folder_of_ones_own_works_as_the_shipped_queries_do(evil, tmp_path, monkeypatch, caplog):
    """Listed, shown and run, by option and by environment; what is no query is named with its line."""
    (tmp_path / "rare_partners.cypher").write_text(MINE)
    (tmp_path / "bad.cypher").write_text(MINE.replace("// key: partner\n", ""))
    own = ("--queries", str(tmp_path))
    with caplog.at_level(logging.WARNING, logger="atlas"):
        listed = [line.split("\t")[0] for line in invoke("list", *own).splitlines()]
    assert "rare_partners" in listed
    assert "neighbours" in listed
    assert f"{tmp_path / 'bad.cypher'}:1: the header has no `key:`" in caplog.text
    assert json.loads(invoke("show", "rare_partners", "--json", *own))["group"] == "explore"
    rows = json.loads(invoke("run", "rare_partners", "-p", "feature=0", "--json", *own))["rows"]
    assert [row["partner"] for row in rows] == [1, 2, 3, 4]
    monkeypatch.setenv("ATLAS_QUERY_QUERIES", str(tmp_path))
    assert invoke("run", "rare_partners", "-p", "feature=1").splitlines() == ["partner\tjoint_count", "0\t1"]
    with pytest.raises(QueryError, match=r"bad.cypher:1: the header has no `key:`"):
        invoke("run", "bad")
    with pytest.raises(QueryError, match="did you mean rare_partners"):
        invoke("show", "rare_partner")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_the_terminal_and_read_no_markup(width):
    """A table is as wide as the terminal at most; brackets of the data are shown, long text is folded."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False, emoji=False)
    rows = [("[bold]x[/bold] :smile:", 1, 0.123456, EVIL), ("y" * 300, 2, None, ["a", "\u2066b"])]
    console.print(display.as_table(("name", "count", "phi", "tokens"), rows, width=width))
    text = stream.getvalue()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert width < 80 or "[bold]" in text


def test_long_texts_are_cut_in_tables_alone():
    """A table shows the beginning of a text and how much follows; lines and files have all of it."""
    assert display.brief("x" * 1000) == "x" * 300 + " … and 700 characters more"
    assert display.as_lines(("name",), [("x" * 1000,)]) == "name\n" + "x" * 1000 + "\n"


def test_start_up_does_not_import_the_driver():
    """The group is there without the driver, Arrow or NumPy: help answers at once."""
    code = (
        "import sys, atlas.ingest.query_cli, atlas.queries.library, atlas.queries.run, atlas.queries.display\n"
        "atlas.queries.library.library()\n"
        "print([m for m in ('neo4j', 'pyarrow', 'numpy', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
