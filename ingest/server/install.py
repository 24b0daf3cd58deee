"""Brings the pinned jars of the server onto the machine: fetched, verified, linked, renamed into place."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atlas.errors import CapacityError, ServiceError
from atlas.ingest.paths import cache_home
from atlas.ingest.server.hold import CACHE_REMEDY, Report, held, usable
from atlas.ingest.server.lockfile import Jar, Lock, read_lock, sha256_of
from atlas.ingest.server.version import Line

if TYPE_CHECKING:
    from jgo.maven import MavenContext

THREADS = 16  # the jars are many and small: the wait for answers, not the line, decides
ATTEMPTS = 3  # a dropped connection among 225 is common enough to try again
SLACK = 50_000_000  # bytes left free beside the jars, so that an installation never fills a disk to its end
NETWORK_REMEDY = "check the network, proxy and certificates, then run this again: finished jars are kept"

log = logging.getLogger(__name__)


def install_dir(lock: Lock | None = None) -> Path:
    """Return where the locked server belongs; another lock, even of the same version, is another folder."""
    lock = lock or read_lock()
    return cache_home() / f"neo4j-{lock.version}-{lock.digest[:8]}"


def is_installed(folder: Path, lock: Lock) -> bool:
    """Return whether `folder/lib` holds every locked jar at its size: milliseconds, no sums."""
    try:
        with os.scandir(folder / "lib") as entries:
            found = {entry.name: entry.stat().st_size for entry in entries}
    except OSError:
        return False
    return all(found.get(jar.filename) == jar.size for jar in lock.jars)


def install(
    line: Line | None = None,
    *,
    report: Report = log.info,
    local_repositories: Sequence[Path] = (),
    wait: float = 900,
) -> Path:
    """Return the folder of the installed server, after fetching what is missing of it.

    Every jar's SHA-256 is compared with the lock. A jar with another sum is removed from the cache and
    fetched again. An interrupted installation goes on where it stopped, and the folder appears only when
    finished.

    Parameters
    ----------
    line
        Which line of the server; `find_line()` by default.
    report
        Receives lines of progress.
    local_repositories
        Maven repositories on this machine that are asked before the network; they are only read.
    wait
        Seconds to wait while another process installs.

    Raises
    ------
    ServiceError
        A jar cannot be fetched, or what was fetched has another sum than the lock.
    CapacityError
        The disk is too small or has become full.
    InputError
        The cache folder cannot be written, or another process has been installing for longer than `wait`
        seconds.
    """
    lock = read_lock(line)
    target = install_dir(lock)
    if is_installed(target, lock):
        return target
    with held(cache_home(), purpose="installing Neo4j", wait=wait, report=report, remedy=CACHE_REMEDY):
        if is_installed(target, lock):
            return target
        fetch = _Fetch(lock, cache_home() / "maven", tuple(local_repositories), report)
        try:
            with usable(cache_home(), CACHE_REMEDY):
                _build(lock, target, fetch)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise CapacityError(
                    f"the disk of {cache_home()} is full",
                    "free space or set ATLAS_CACHE, then run this again",
                ) from error
            raise
    return target


def _build(lock: Lock, target: Path, fetch: _Fetch) -> None:
    """Fill a partial folder and rename it to `target`, as the one step that makes an installation exist."""
    missing = sum(jar.size for jar in lock.jars if not (fetch.repository / jar.repository_path).exists())
    free = shutil.disk_usage(cache_home()).free
    if missing and free < missing + SLACK:
        raise CapacityError(
            f"Neo4j needs {(missing + SLACK) / 1e6:.0f} MB in {cache_home()}, {free / 1e6:.0f} MB are free",
            "free space or set ATLAS_CACHE to a folder on another disk",
        )
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # only links: the fetched jars are in the cache
    (partial / "lib").mkdir(parents=True)
    for jar, path in fetch.all():
        _link(path, partial / "lib" / jar.filename)
    shutil.rmtree(target, ignore_errors=True)  # exists only if it was found incomplete
    partial.rename(target)
    fetch.report(f"Neo4j {lock.version} installed in {target}")


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        shutil.copyfile(source, target)


@dataclass
class _Fetch:
    """The fetching of all jars of one lock into one repository cache."""

    lock: Lock
    repository: Path
    local_repositories: tuple[Path, ...]
    report: Report
    _stop: threading.Event = field(default_factory=threading.Event)

    def all(self) -> list[tuple[Jar, Path]]:
        """Return every jar with its verified file; the first failure ends the others' waiting."""
        context = self._context()
        started = time.monotonic()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
            futures = {pool.submit(self._one, context, jar): jar for jar in self.lock.jars}
            pending = set(futures)
            try:
                while pending:
                    done, pending = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    self._progress([futures[f] for f in futures if f not in pending])
            except BaseException:  # Ctrl-C too: nothing is to be fetched for a call that has ended
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        log.info("fetched %d jars in %.1f s", len(futures), time.monotonic() - started)
        return [(jar, future.result()) for future, jar in futures.items()]

    def _progress(self, done: list[Jar]) -> None:
        size = sum(jar.size for jar in done)
        self.report(
            f"Neo4j {self.lock.version}: {len(done)} of {len(self.lock.jars)} jars, "
            f"{size / 1e6:.0f} of {self.lock.size / 1e6:.0f} MB"
        )

    def _context(self) -> MavenContext:
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext

        default = MavenContext().remote_repos
        return MavenContext(
            repo_cache=self.repository,
            local_repos=list(self.local_repositories),
            remote_repos={**GlobalSettings.load().repositories, **default},  # a site's mirror goes first
            timeout=30,
        )

    def _one(self, context: MavenContext, jar: Jar) -> Path:
        """Return the verified file of one jar; damaged copies in the cache are replaced."""
        found = ""
        for attempt in range(ATTEMPTS):
            if self._stop.is_set():
                raise ServiceError("the installation was stopped", NETWORK_REMEDY)
            path = self._resolve(context, jar, last=attempt + 1 == ATTEMPTS)
            if path is None:
                self._stop.wait(2**attempt)  # back off: the registry or the line may need a moment
                continue
            found = sha256_of(path)
            if found == jar.sha256:
                return path
            log.warning("%s has another sum than the lock, fetching it again", path)
            if path.is_relative_to(self.repository):
                path.unlink(missing_ok=True)
        raise ServiceError(
            f"{jar.coordinates}: the file's SHA-256 is {found}, expected {jar.sha256}",
            "a proxy or mirror changes files: fetch from another network, then run this again",
        )

    def _resolve(self, context: MavenContext, jar: Jar, *, last: bool) -> Path | None:
        """Return the jar's file, None where another attempt may help."""
        import requests

        group, artifact, version, classifier, packaging = jar.parts
        try:
            component = context.project(group, artifact).at_version(version)
            return Path(component.artifact(classifier, packaging).resolve())
        except (requests.RequestException, RuntimeError) as error:  # RuntimeError: no repository has it
            with contextlib.suppress(OSError):  # jgo writes in place: what is there now is half a file
                (self.repository / jar.repository_path).unlink()
            if last:
                cause = f"{jar.coordinates} cannot be fetched: {_short(error)}"
                raise ServiceError(cause, NETWORK_REMEDY) from error
            return None


def _short(error: Exception) -> str:
    """Return the first line of a network library's message, cut to a length that can be read."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
