"""The offline importer against the driver: the same graph; and what stops a server leaves its home usable."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from graph_checks import empty, export, values
from small_atlas import further_stages

sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed

from atlas.artifacts import Run
from atlas.errors import DatabaseError, InputError
from atlas.ingest.bulk import bulk_run, check_managed
from atlas.ingest.bulk_csv import DELIMITER, LONGEST
from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.graph import finish, load, open_session
from atlas.ingest.graph_drop import drop
from atlas.ingest.graph_rows import Rows
from atlas.ingest.graph_sources import artifacts_of
from atlas.ingest.graph_write import Writer
from atlas.ingest.server import launch
from atlas.ingest.server.archive import dump, restore
from atlas.ingest.server.beside import Beside, beside, replace, settle
from atlas.ingest.server.cli import db
from atlas.ingest.server.home import Home
from atlas.ingest.server.process import down, status
from atlas.schema import NODES, RELATIONSHIPS
from benchmarks.planted_atlas import Planted

AWKWARD = (
    "plain", "", '"quoted" ""twice""', "new\nline\r\nof\rall kinds\n", "a,b;c|d\te", "\\", "\\n\\\"", "'", " spaces ",
    "\u202eevil\u2066", "🙂 e\u0301", "\x00", DELIMITER, f"a{DELIMITER}b", "null", "\u2028\ufeff\x85", "12", "true",
    "=1+1", "`${x}`", "x" * (LONGEST + 1),
)  # fmt: skip
"""Texts that a CSV file, a list in one or a number could be confused by."""
PLANTED = Planted(features=120, edges=600, clusters=30, seed=3, texts=AWKWARD, dimensions=8)


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory with the artifacts of the planted atlas."""
    path = tmp_path_factory.mktemp("run")
    edges = PLANTED.write(path)["30-edges"].table("edges").to_pylist()
    kept = [(row["a"], row["b"]) for row in edges if row["kind"] == "CO_OCCURS" and row["kept_by"]]
    with Run(path) as run:
        for spec, write in further_stages(evidence(*kept[0])):
            run.produce(spec, lambda directory, write=write: write(directory) or {})
    return path


def evidence(a: int, b: int) -> dict[str, list[dict[str, Any]]]:
    """Return rows of further stages with every awkward text, alone and in a list; a and b are an edge."""
    numbers = range(len(AWKWARD))
    places = {"row": 1, "document": 0, "document_name": "a", "position": 0, "place": 0}
    texts = [{"name": text, "text": text, "tokens": [text, "."][: 1 + i % 2]} for i, text in enumerate(AWKWARD)]
    return {
        "contexts": [{"context": i, **places, **text} for i, text in enumerate(texts)],
        "feature_contexts": [
            {"index": i, "context": i, "activations": [0.1 * i, 1e-30, 1e300, 3.0]} for i in numbers
        ],
        "edge_contexts": [{"a": a, "b": b, "context": i, "activation_a": 1e-7 * i} for i in numbers],
        "manifolds": [
            {"manifold": 0, "n_points": 6, "size": 1, "found_in": 1, "order": list(AWKWARD[:2]), "largest_gap": 1.0},
            {"manifold": 1, "n_points": 6, "size": 1, "found_in": 1, "order": [], "largest_gap": 1.0},
        ],
        "manifold_members": [{"manifold": 0, "index": a, "top_item": AWKWARD[3]}],
        "manifold_items": [
            {"manifold": 0, "item": text, "place": i, "n_tokens": 1 + i, "x": i / 7} for i, text in enumerate(AWKWARD)
        ],
        "absorption": [{"child": a, "parent": b, "kind": text} for text in AWKWARD[2:3]],
        "hedging": [{"a": a, "b": b, "lift_d": None}],
        "letters": [{"letter": letter, "index": a, "split": [b] * i} for i, letter in enumerate("cn")],
        "letter_words": [
            {"letter": "cn"[i % 2], "token_id": i, "text": text, "index": a, "absorbing": i, "absorbed": i % 3 == 0}
            for i, text in enumerate(AWKWARD[:-1])
        ],
        "magnitude": [
            {"index": i, "histogram": [i, 0, 3], "peak_causes": [text]} for i, text in enumerate(AWKWARD)
        ],
        "peaks": [
            {"index": i, "peak": 0, "cause": "token", "token": text, "neighbour": i or None, "token_share": i / 30}
            for i, text in enumerate(AWKWARD)
        ],
        "interference": [{"a": a, "b": b, "shift_a": 0.1, "q_a": 0.05, "shift_b": 0.2, "q_b": 0.06}],
        "verdicts": [{"level": "fine", "cluster": i, "verdict": text} for i, text in enumerate(AWKWARD[:9])],
        "ego_verdicts": [{"index": i, "ego_reason": text} for i, text in enumerate(AWKWARD)],
        "means": [{"level": "fine", "cluster": i, "mean_items": [text]} for i, text in enumerate(AWKWARD[:9])],
        "logic": [{"a": 0, "b": 1, "c": 2, "kind": kind} for kind in ("AND", "XOR")],
    }


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory, run_directory: Path) -> Iterator[Path]:
    """Give a home whose server was started by an import of the planted atlas."""
    home = tmp_path_factory.mktemp("homes") / "a, (home) 1+é"
    try:
        with Run(run_directory) as run:
            receipt, artifact = bulk_run(run, name="planted", home=home)
        assert (receipt.changed, artifact.results["rows"]) == (True, receipt.rows)
        yield home
    finally:
        down(home)


@contextlib.contextmanager
def opened(home: Path) -> Iterator[object]:
    with open_driver(managed_target(home)) as driver:
        yield driver


@pytest.mark.neo4j
def test_an_import_equals_a_load(own_home, run_directory, driver):
    """Every node and relationship, label, property and its type, whatever the texts hold; and the schema's indexes."""
    empty(driver)
    with Run(run_directory) as run:
        receipt = load(artifacts_of(run), driver, name="planted", batch=100)
    shown = "SHOW INDEXES YIELD name, type, state, labelsOrTypes, properties RETURN * ORDER BY name"
    with opened(own_home) as other:
        assert export(other, "planted") == export(driver, "planted")
        assert values(other, shown) == values(driver, shown)
        assert values(other, "MATCH (n) RETURN count(n)") == values(driver, "MATCH (n) RETURN count(n)")
        ((texts,),) = values(other, "MATCH (f:Feature) RETURN collect(DISTINCT f.name)")
    assert set(texts) == set(AWKWARD)
    assert receipt.rows["Edge"] == 624
    assert not list((own_home / "run").glob("beside"))
    empty(driver)


@pytest.mark.neo4j
@pytest.mark.parametrize(("name", "said"), [("Feature", "nodes"), ("CO_OCCURS", "relationships")])
def test_an_import_that_lost_a_row_is_no_atlas(own_home, run_directory, name, said):
    """The whole database is what was imported: one row fewer in it than was sent is an error, and said by number."""
    with Run(run_directory) as run:
        rows = Rows(artifacts_of(run), "planted")
    expected = rows.expected()
    expected[name] += 1
    with opened(own_home) as other, open_session(other, None) as session:
        writer = Writer(session, batch=100)
        with pytest.raises(DatabaseError, match=rf"after loading: \d+ {said}, expected \d+$"):
            finish(other, writer, rows, expected, {}, 0.0, alone=True)


def test_the_files_say_every_type_of_the_schema():
    """Lists of relationships are of numbers: what a list cannot be in a file is set by uid, which most have not."""
    for relationship in RELATIONSHIPS.values():
        assert {field.type for field in relationship.properties if field.type.startswith("list")} <= {"list<float>"}
    assert {field.type for node in NODES.values() for field in node.properties} >= {"list<string>", "list<float>"}


@pytest.mark.neo4j
def test_only_an_empty_managed_database_is_filled(own_home, run_directory, tmp_path, monkeypatch):
    """The same atlas again changes nothing; another one, and another server, are refused and nothing is stopped."""
    with Run(run_directory) as run:
        assert bulk_run(run, name="planted", home=own_home)[0].changed is False
        with pytest.raises(InputError, match=r"--bulk needs an empty database, .* holds \d+ nodes") as refused:
            bulk_run(run, name="other", home=own_home)
        assert "drop-atlas" in refused.value.remedy
        monkeypatch.setenv("NEO4J_URI", "bolt://127.0.0.1:1")
        with pytest.raises(InputError, match="NEO4J_URI names another") as refused:
            bulk_run(run, name="planted", home=own_home)
    assert refused.value.exit_code == 3
    check_managed({"NEO4J_URI": ""})
    assert status(own_home).state == "running"


@pytest.mark.neo4j
def test_a_dump_is_restored(own_home, tmp_path):
    """What a file holds comes back and what came since is gone; the server runs again where it did, as it did."""
    before, file = status(own_home), tmp_path / "all.dump"
    with opened(own_home) as driver:
        whole = export(driver, "planted")
    done = CliRunner().invoke(db, ["dump", str(file), "--home", str(own_home), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"file": str(file), "bytes": file.stat().st_size}
    assert [path.name for path in tmp_path.iterdir()] == ["all.dump"]
    after = status(own_home)
    assert (after.bolt_port, after.http_port) == (before.bolt_port, before.http_port)
    assert after.pid != before.pid
    with opened(own_home) as driver:
        assert export(driver, "planted") == whole
        drop(driver, "planted")
        driver.execute_query("CREATE (:Atlas {uid: 'later', atlas: 'later', schema_version: 99})")
    done = CliRunner().invoke(db, ["restore", str(file), "--home", str(own_home), "--yes"])
    assert done.exit_code == 0, done.output
    with opened(own_home) as driver:
        assert export(driver, "planted") == whole
        assert values(driver, "MATCH (a:Atlas) RETURN a.uid") == [("planted",)]
    down(own_home)
    damaged = tmp_path / "half.dump"
    damaged.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    names = sorted(path.name for path in (own_home / "data" / "databases" / "neo4j").iterdir())
    with pytest.raises(DatabaseError, match="cannot be restored, and nothing was changed"):
        restore(damaged, own_home)
    assert sorted(path.name for path in (own_home / "data" / "databases" / "neo4j").iterdir()) == names


def test_what_cannot_be_dumped_or_restored_is_said_first(tmp_path, monkeypatch):
    """File there, no such file, no store, no terminal to ask at: exit code 3, and nothing is written or stopped."""
    file, home = tmp_path / "x.dump", tmp_path / "home"
    with pytest.raises(InputError, match="holds no store to dump"):
        dump(file, home)
    Home.at(home).make()
    Home.at(home).password.write_text("x")
    (home / "data" / "databases" / "neo4j").mkdir(parents=True)
    file.write_text("something")
    with pytest.raises(InputError, match=r"x\.dump exists"):
        dump(file, home)
    with pytest.raises(InputError, match="cannot be written"):
        dump(tmp_path / "none" / "x.dump", home)
    with pytest.raises(InputError, match="no such file"):
        restore(tmp_path / "y.dump", home)
    for words in (["dump"], ["restore"]):
        done = CliRunner().invoke(db, [*words, str(file), "--home", str(home)])
        assert isinstance(done.exception, InputError)
        assert "--yes" in done.exception.remedy
    assert file.read_text() == "something"


@pytest.mark.parametrize("moved", [(), ("databases",), ("databases", "transactions")])
def test_a_replacement_that_was_killed_is_finished(tmp_path, moved):
    """From the mark on the new store takes the place of the old, wherever it was killed; before it, the old stays."""
    home = Home.at(tmp_path / "home")
    home.make()

    def made(at: Home, text: str) -> None:
        for part in ("databases", "transactions"):
            folder = at.path / "data" / part / "neo4j"
            folder.mkdir(parents=True)
            (folder / "file").write_text(text)

    def held_now() -> list[str]:
        return [(home.path / "data" / part / "neo4j" / "file").read_text() for part in ("databases", "transactions")]

    made(home, "old")
    with beside(home, purpose="a test") as new:
        made(new.home, "new")
        settle(home, report=print)  # a start meanwhile leaves what a living process works in
        assert new.home.path.exists()
    assert (held_now(), Beside.of(home).path.exists()) == (["old", "old"], False)
    place = Beside.of(home)
    made(place.home, "new")
    for part in moved:
        (home.path / "data" / part / "neo4j" / "file").write_text("new")
        (place.home.path / "data" / part / "neo4j" / "file").unlink()
        (place.home.path / "data" / part / "neo4j").rmdir()
    place.whole.touch()
    settle(home, report=print)
    assert (held_now(), place.path.exists()) == (["new", "new"], False)
    with beside(home, purpose="a test") as new:
        made(new.home, "newest")
        replace(home)
    assert (held_now(), place.path.exists()) == (["newest", "newest"], False)


@pytest.mark.neo4j
def test_a_killed_import_leaves_a_usable_home(tmp_path, run_directory):
    """SIGKILL while the tool imports: the next import ends the tool and does all; nothing is left over."""
    words = [sys.executable, "-m", "atlas", "ingest", "graph", "--run", str(run_directory), "--name", "planted",
             "--bulk"]  # fmt: skip
    environment = os.environ | {"ATLAS_DATA": str(tmp_path / "data")}
    home = tmp_path / "data" / "neo4j" / "default"
    tool = f"-Dbasedir={Beside.of(Home.at(home)).home.path}"
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as first:
        deadline = time.monotonic() + 120
        while not (pids := [each.pid for each in psutil.process_iter() if tool in launch.arguments(each)]):
            assert time.monotonic() < deadline
            assert first.poll() is None, first.stderr and first.stderr.read()
            time.sleep(0.02)  # the next look at what runs
        first.send_signal(signal.SIGKILL)
    try:
        assert list((home / "run" / "beside" / "csv").iterdir())
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [pid for pid in pids if launch.alive(pid)] == []
        with opened(home) as driver:
            assert values(driver, "MATCH (a:Atlas) RETURN a.uid, a.complete") == [("planted", True)]
        assert not (home / "run" / "beside").exists()
    finally:
        down(home)
