"""The managed server's life: first start, second start, kill, race, stop, wipe. Real processes throughout."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from click.testing import CliRunner
from server_checks import ProcWatch, bound, invoke
from small_atlas import by_hand

from atlas.errors import DatabaseError, InputError, Interrupted
from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.server import config, launch, process
from atlas.ingest.server.admin import admin
from atlas.ingest.server.cli import db
from atlas.ingest.server.home import Home, Running, ServerInfo, default_home
from atlas.ingest.server.process import down, managed, status, up
from atlas.ingest.server.version import find_line
from atlas.ingest.server.wipe import wipe, wipe_plan

pytestmark = pytest.mark.neo4j
COMMAND = [sys.executable, "-c", "from atlas.ingest.server.cli import db; db()"]


@dataclass
class Watched:
    info: ServerInfo
    seen: set[bytes]

    @property
    def password(self) -> bytes:
        return self.info.password_file.read_bytes().strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One server for this module, its first start watched; tests may stop it if they start it again."""
    home = tmp_path_factory.mktemp("server") / "a hömé"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATLAS_DATA", str(home.parent / "data"))
        watch = ProcWatch()
        watch.start()
        try:
            with managed(home) as info:
                watch.ended.set()
                watch.join()
                yield Watched(info, watch.seen)
        finally:
            watch.ended.set()


def test_first_start_shows_the_password_to_no_process(server: Watched) -> None:
    """No command line and no environment of any process held it while the server was started first."""
    joined = b"\n".join(server.seen)
    assert find_line().main_class.encode() in joined  # the watch did see the server itself
    assert len(server.password) >= 24
    assert server.password not in joined


def test_password_is_in_one_private_file(server: Watched) -> None:
    """Of all files of the home, store and logs included, only the 0600 file holds it."""
    holders = [path for path in server.info.home.rglob("*") if path.is_file() and server.password in path.read_bytes()]
    assert holders == [server.info.password_file]
    assert stat.S_IMODE(server.info.password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.info.home.stat().st_mode) == 0o700
    assert not Home(server.info.home).auth.exists()


def test_load_and_questions_show_the_password_nowhere(server: Watched, tmp_path: Path) -> None:
    """A load, a question and a bug's traceback: not in any process, output, file of the run, of the home or beside."""
    run, home = tmp_path / "run", server.info.home
    by_hand().write(run)
    up(home)
    link = default_home()
    link.parent.mkdir(parents=True)
    link.symlink_to(home)  # what the commands use
    bug = (
        "from atlas.ingest.connection import *\n"
        "with open_driver(resolve_target()) as driver: driver.execute_query('RETURN $x', x=0, database_='neo4j').no"
    )
    watch = ProcWatch()
    watch.start()
    try:
        outputs = {
            arguments: subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, check=False)
            for arguments in (
                ("-m", "atlas", "ingest", "graph", "--run", "run"),
                ("-m", "atlas", "query", "run", "counts"),
                ("-c", bug),
            )
        }
    finally:
        watch.ended.set()
        watch.join()
        link.unlink()
    assert [done.returncode for done in outputs.values()] == [0, 0, 1], outputs
    assert b"Traceback" in outputs["-c", bug].stderr
    assert b"\0graph\0--run\0" in b"\n".join(watch.seen)  # the watch did see the commands
    for text in (*watch.seen, *(done.stdout + done.stderr for done in outputs.values())):
        assert server.password not in text
    files = [path for folder in (tmp_path, home) for path in folder.rglob("*") if path.is_file()]
    assert {"manifest.json", "console.log"} <= {path.name for path in files}
    assert [path for path in files if server.password in path.read_bytes()] == [server.info.password_file]


def test_environment_of_the_caller_is_not_kept(server: Watched) -> None:
    """The server's process has the few variables that Java needs, and no tokens of its starter."""
    environ = psutil.Process(status(server.info.home).pid).environ()
    assert set(environ) <= {*launch.PASSED_ON, "LC_ALL", "PWD", "_"}


def test_up_twice_is_the_same_server(server: Watched) -> None:
    """A second `up` returns the running server."""
    before = status(server.info.home)
    again = up(server.info.home)
    assert (again.pid, again.started, again.state) == (before.pid, before.started, "running")


def test_status_as_json_and_as_text(server: Watched) -> None:
    """All that a program needs, and the password's place, not the password."""
    text = invoke("status", "--home", str(server.info.home))
    told = json.loads(invoke("status", "--home", str(server.info.home), "--json"))
    info = status(server.info.home)
    assert told["state"] == "running"
    assert (told["pid"], told["bolt_port"], told["http_port"]) == (info.pid, info.bolt_port, info.http_port)
    assert told["version"] == find_line().version
    assert told["store_bytes"] > 0
    assert told["uptime"] > 0
    assert Path(told["password_file"]).exists()
    assert Path(told["log"]).exists()
    for output in (text, json.dumps(told)):
        assert server.password.decode() not in output
    assert str(info.pid) in text


def test_server_listens_on_loopback_only(server: Watched) -> None:
    """No address of another interface is bound."""
    ports, addresses = bound(psutil.Process(status(server.info.home).pid))
    assert ports == {server.info.bolt_port, server.info.http_port}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_browser_is_served_and_its_address_fills_in_the_query(server: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address answers, names this server's Bolt port and carries the query; SSH adds the tunnel."""
    home, cypher = str(server.info.home), "MATCH (n) WHERE n.phi > 0.5 RETURN n & 1"
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    address = invoke("browser", "--home", home, cypher).strip()
    fields = parse_qs(urlsplit(address).query)
    assert fields["arg"] == [cypher]
    assert fields["dbms"] == [f"bolt://neo4j@127.0.0.1:{server.info.bolt_port}"]
    with urllib.request.urlopen(address, timeout=120) as answer:
        assert b"<html" in answer.read().lower()
    request = urllib.request.Request(str(server.info.http_uri), headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:  # the discovery document that Browser reads
        assert json.load(answer)["bolt_direct"].endswith(f":{server.info.bolt_port}")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.1 2222")
    told = json.loads(invoke("browser", "--home", home, "--json"))
    assert f"-L {server.info.bolt_port}:127.0.0.1:{server.info.bolt_port}" in told["tunnel"]
    assert "-p 2222" in told["tunnel"]
    assert server.password.decode() not in json.dumps(told)


def test_running_store_is_not_wiped(server: Watched) -> None:
    """Wiping asks for a stopped server."""
    with pytest.raises(InputError, match="runs"):
        wipe(server.info.home)


def test_killed_server_comes_back_with_its_data(server: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SIGKILL `up` recovers the store, even where it saw the process die; a port taken meanwhile is not used."""
    home = server.info.home
    find = process._find
    seen = [find(Home(home))]
    with open_driver(managed_target(home)) as driver:
        driver.execute_query("CREATE (:Kept {name: 'before the kill'})", database_="neo4j")
    killed = psutil.Process(status(home).pid)
    killed.kill()
    deadline = time.monotonic() + 120
    while launch.alive(killed.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status(home).state == "stopped"
    with pytest.raises(DatabaseError, match="not up") as caught:
        managed_target(home)
    assert "atlas db up" in caught.value.remedy

    monkeypatch.setattr(process, "_find", lambda place: seen.pop() if seen else find(place))  # a moment too early
    real = config.choose_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answers = [config.Ports(real().bolt, taken.getsockname()[1])]
        monkeypatch.setattr(config, "choose_ports", lambda *asked: answers.pop() if answers else real(*asked))
        lines: list[str] = []
        again = up(home, report=lines.append)
        assert again.http_port != taken.getsockname()[1]
    assert not answers
    assert not seen
    assert any("taken meanwhile" in line for line in lines)
    assert again.pid != killed.pid
    with open_driver(managed_target(home)) as driver:
        found = driver.execute_query("MATCH (k:Kept) RETURN k.name AS name", database_="neo4j").records
    assert [record["name"] for record in found] == ["before the kill"]


def test_lost_password_of_an_old_store_is_explained(server: Watched) -> None:
    """Without its file the password of a store that exists cannot be had again, and is not made anew."""
    info = status(server.info.home)
    aside = info.password_file.with_name("aside")
    info.password_file.rename(aside)
    try:
        with pytest.raises(DatabaseError, match="cannot be read") as caught:
            up(info.home)
        assert "--wipe" in caught.value.remedy
        info.password_file.write_text("another-password\n")
        with pytest.raises(DatabaseError, match="refuses the password"):
            up(info.home)
    finally:
        aside.replace(info.password_file)
    assert up(info.home).pid == info.pid


def test_starter_killed_then_two_at_once_find_one_server(tmp_path: Path) -> None:
    """SIGKILL to a waiting `up` leaves a server that two racing `up` both adopt, and `down` stops."""
    home = tmp_path / "home"
    first = subprocess.Popen([*COMMAND, "up", "--home", str(home)], stderr=subprocess.DEVNULL)
    try:
        spawned = wait_for_server(home)
        first.kill()
        first.wait()
        Home(home).state.unlink(missing_ok=True)  # as if killed before it was written
        racers = [
            subprocess.Popen([*COMMAND, "up", "--home", str(home), "--json"], stdout=-1, stderr=-1) for _ in range(2)
        ]
        outputs = [racer.communicate(timeout=300) for racer in racers]
        assert [racer.returncode for racer in racers] == [0, 0], outputs
        assert {json.loads(out)["pid"] for out, _ in outputs} == {spawned}
        password = Home(home).password.read_bytes().strip()
        assert not any(password in text for texts in outputs for text in texts)
        assert json.loads(invoke("down", "--home", str(home), "--json"))["stopped"] is True
        assert launch.alive(spawned) is None
        assert down(home) is False
    finally:
        down(home)
    wipes_after_asking(home)


def wipes_after_asking(home: Path) -> None:
    password = Home(home).password
    assert [path.name for path, _ in wipe_plan(home)] == ["data", "logs", "run", "conf", "password"]
    refused = CliRunner().invoke(db, ["down", "--wipe", "--home", str(home)], input="n\n")
    assert refused.exit_code != 0
    assert password.exists()
    invoke("down", "--wipe", "--yes", "--home", str(home))
    assert not home.exists()


def wait_for_server(home: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for found in launch.servers(Home.at(home)):
            return found.pid
        time.sleep(0.02)
    pytest.fail("no server process appeared")


def test_offline_import_into_a_new_home(tmp_path: Path) -> None:
    """The server's own tool fills a store before its first start, refuses nonsense, and `up` serves it."""
    home = tmp_path / "home"
    (tmp_path / "features.csv").write_text("uid:ID,index:long\na:1,1\na:2,2\n")
    nodes = f"--nodes=Feature={tmp_path / 'features.csv'}"
    assert "2 nodes" in admin(["database", "import", "full", "neo4j", nodes], home=home)
    with pytest.raises(DatabaseError, match="database import ended with") as caught:
        admin(["database", "import", "full", "neo4j", nodes], home=home)
    assert "already exist" in caught.value.cause
    with managed(home):
        with open_driver(managed_target(home)) as driver:
            found = driver.execute_query("MATCH (f:Feature) RETURN sum(f.index) AS s", database_="neo4j")
        assert found.records[0]["s"] == 3
        with pytest.raises(InputError, match="runs"):
            admin(["database", "info", "neo4j"], home=home)


def test_interrupt_while_starting_leaves_no_server(tmp_path: Path) -> None:
    """Ctrl-C during the wait stops the child that this call started."""
    script = (
        "import sys; from atlas.errors import Interrupted; from atlas.ingest.server.process import up\n"
        "try: up(sys.argv[1])\n"
        "except Interrupted as error: print(error); sys.exit(error.exit_code)"
    )
    home = tmp_path / "home"
    starter = subprocess.Popen([sys.executable, "-c", script, str(home)], stdout=-1)
    try:
        spawned = wait_for_server(home)
        time.sleep(0.5)
        starter.send_signal(signal.SIGINT)
        out, _ = starter.communicate(timeout=300)
        assert starter.returncode == Interrupted.exit_code
        assert b"stopped again" in out
        assert not psutil.pid_exists(spawned)
        assert status(home).state == "stopped"
    finally:
        down(home)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_the_command_leaves_no_server(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM to `atlas db up` while it waits: its server is stopped, and a new `up` can follow."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "atlas", "db", "up", "--home", str(home), "--json"]
    starter = subprocess.Popen(command, stdout=-1, stderr=-1, text=True)
    try:
        spawned = wait_for_server(home)
        time.sleep(0.5)
        starter.send_signal(number)
        out, err = starter.communicate(timeout=300)
        assert (starter.returncode, out) == (code, ""), err
        assert "it was stopped again" in err
        assert "Traceback" not in err
        assert not psutil.pid_exists(spawned)
        assert list(launch.servers(Home.at(home))) == []
        assert not Home(home).state.exists()
    finally:
        down(home)


def test_signal_before_the_process_is_noted_leaves_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes when the process is there and its number has not been returned yet."""
    real = launch.spawn

    def spawn(command: list[str], home: Home) -> psutil.Process:
        real(command, home)
        raise Interrupted("from a signal")

    monkeypatch.setattr(launch, "spawn", spawn)
    with pytest.raises(Interrupted, match="stopped again"):
        up(tmp_path / "home")
    assert list(launch.servers(Home.at(tmp_path / "home"))) == []


def test_unknown_key_stops_the_start_and_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server validates its configuration strictly; its last telling lines and its log are named."""
    real = config.render
    monkeypatch.setattr(
        config, "render", lambda ports, memory, line: real(ports, memory, line) + "db.query.language_by_mistake=1\n"
    )
    with pytest.raises(DatabaseError) as caught:
        up(tmp_path / "home")
    assert "db.query.language_by_mistake" in caught.value.cause
    assert str(tmp_path / "home" / "logs" / "console.log") in caught.value.cause
    assert status(tmp_path / "home").state == "stopped"


def test_fault_28_the_holder_of_a_home_is_named(tmp_path: Path) -> None:
    """Who cannot have the home is told by which process; a killed holder holds nothing."""
    script = (
        "import sys, time; from pathlib import Path; from atlas.ingest.server.hold import held\n"
        "with held(Path(sys.argv[1]), purpose='testing', wait=5, report=print):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=-1)
    try:
        assert holder.stdout is not None
        with holder.stdout as out:
            assert out.readline() == b"held\n"
        for call in (up, down):
            with pytest.raises(InputError) as caught:
                call(tmp_path, wait=0.3)
            assert f"process {holder.pid} (testing)" in caught.value.cause
            assert caught.value.exit_code == 3
    finally:
        holder.kill()
        holder.wait()
    assert down(tmp_path, wait=5) is False


def test_a_later_process_with_the_noted_pid_is_not_the_server(tmp_path: Path) -> None:
    """A stale note whose pid now belongs to another program: nothing runs, and nothing is stopped."""
    home = Home.at(tmp_path / "home")
    home.make()
    home.password.write_text("x")
    myself = psutil.Process()
    note = Running(myself.pid, myself.create_time(), bolt_port=1, http_port=2, version="5.26.30")
    for text in (json.dumps(asdict(note)), "{}", "half a no"):
        home.state.write_text(text)
        assert status(home.path).state == "stopped"
        assert down(home.path) is False
