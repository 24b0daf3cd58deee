"""The installation of the managed server: fetched, verified, repaired, and every fault named."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from atlas.errors import CapacityError, InputError, ServiceError
from atlas.ingest import paths
from atlas.ingest.server import install, lockfile

LOCK = lockfile.read_lock()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, lockfile.Jar]:
    """A lock of one jar, a Maven repository on this machine that has it, and an empty cache."""
    content = b"a jar's bytes"
    jar = lockfile.Jar("org.example:part:1.0:jar", hashlib.sha256(content).hexdigest(), len(content))
    repository = tmp_path / "repository"
    (repository / jar.repository_path).parent.mkdir(parents=True)
    (repository / jar.repository_path).write_bytes(content)
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "read_lock", lambda line=None: lockfile.Lock("1.0", (jar,), "0123456789"))
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


def test_installed_server_is_recognised_by_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sums, no jar is opened: the check runs at every start."""
    (tmp_path / "lib").mkdir()
    for jar in LOCK.jars:
        with (tmp_path / "lib" / jar.filename).open("wb") as stream:
            stream.truncate(jar.size)
    opened: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, *rest, **more: opened.append(path))
        patch.setattr("builtins.open", lambda path, *rest, **more: opened.append(path))
        assert install.is_installed(tmp_path, LOCK)
    assert opened == []
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
