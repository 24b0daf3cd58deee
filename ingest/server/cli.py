"""The commands `atlas db up|down|status|browser|list|drop-atlas|dump|restore` for the managed server."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options
from atlas.ingest.server.browser import EXAMPLE, browser_address, copy_command, tunnel_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlas.ingest.server.home import ServerInfo


@click.group()
def db() -> None:
    """The managed Neo4j server: installed, started and stopped without Docker.

    It listens on this machine only. These commands never touch NEO4J_URI.
    """


def _home_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help="The server's folder: store, logs and password.  [default: neo4j/default in the data folder]",
    )(function)


@db.command()
@_home_option
@options.as_json
@click.option(
    "--server",
    metavar="LINE",
    help="Line of the server: 5.26 or 2026.  [default: the one that made the store, else ATLAS_SERVER, else 5.26]",
)
@click.option("--heap", help="Largest Java heap, 1500M or 2G.  [default: from the machine's memory]")
@click.option("--bolt-port", type=click.IntRange(1, 65535), help="[default: 7687 where it is free]")
@click.option("--http-port", type=click.IntRange(1, 65535), help="[default: 7474 where it is free]")
@click.option(
    "--wait",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    help="Seconds to wait for the server's first answer.",
)
def up(
    home: Path | None,
    as_json: bool,
    server: str | None,
    heap: str | None,
    bolt_port: int | None,
    http_port: int | None,
    wait: float,
) -> None:
    """Start the server, and install it the first time (145 MB; line 2026: 173 MB).

    A server that runs already is left as it is. Returns when a query has been answered.
    """
    from atlas.ingest.server import process

    report = _Progress()
    try:
        ports = {"bolt_port": bolt_port, "http_port": http_port}
        info = process.up(home, server=server, heap=heap, **ports, wait=wait, report=report)
    finally:
        report.end()
    _show(info, as_json=as_json)


@db.command()
@_home_option
@options.as_json
@click.option("--wipe", "wiping", is_flag=True, help="Remove the store, logs and password, too.")
@click.option("--yes", is_flag=True, help="Do not ask before removing.")
def down(home: Path | None, as_json: bool, wiping: bool, yes: bool) -> None:
    """Stop the server; with --wipe remove what it stored."""
    from atlas.ingest.server import process, wipe

    plan = wipe.wipe_plan(home) if wiping else []
    if plan and not yes:
        for path, size in plan:
            click.echo(f"{size / 1e6:10.1f} MB  {path}", err=True)
        click.confirm("Stop the server and remove these?", abort=True, err=True)
    report = _Progress()
    try:
        stopped = process.down(home, report=report)
        if plan:
            wipe.wipe(home, report=report)
    finally:
        report.end()
    if as_json:
        _print_json({"stopped": stopped, "removed": [str(path) for path, _ in plan]})
    else:
        click.echo("stopped" if stopped else "was not running")


@db.command()
@_home_option
@options.as_json
def status(home: Path | None, as_json: bool) -> None:
    """Say whether the server runs, and where its ports, log, store and password file are."""
    from atlas.ingest.server import process

    _show(process.status(home), as_json=as_json)


@db.command()
@click.argument("cypher", required=False, default=EXAMPLE)
@_home_option
@options.as_json
@click.option("--open", "opening", is_flag=True, help="Open the address in this machine's web browser.")
@click.option(
    "--setup",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write style and queries for Browser into this folder, and say how to use them.",
)
@click.option("--atlas", help="Atlas that these queries ask.  [default: the only one]")
def browser(
    cypher: str, home: Path | None, as_json: bool, opening: bool, folder: Path | None, atlas: str | None
) -> None:
    """Print the address of Neo4j Browser with CYPHER filled in."""
    from atlas.errors import DatabaseError
    from atlas.ingest.server import process

    if atlas is not None and folder is None:
        raise click.UsageError("--atlas is what --setup asks for its queries: name a folder with --setup")
    info = process.status(home)
    if info.bolt_port is None or info.http_port is None:
        raise DatabaseError(f"the managed server of {info.home} is not up", "atlas db up")
    far = os.environ.get("SSH_CONNECTION", "")
    tunnel = tunnel_command(info.bolt_port, info.http_port, far)
    shown: dict[str, Any] = {"address": browser_address(info.bolt_port, info.http_port, cypher)}
    shown |= {"password_file": str(info.password_file), "tunnel": tunnel}
    if folder is not None:
        files = _set_up(home, folder, atlas)
        shown |= {"files": [str(file) for file in files], "copy": copy_command(folder, far)}
    if as_json:
        _print_json(shown)
    else:
        _show_browser(shown)
    if opening:
        import webbrowser

        webbrowser.open(shown["address"])


def _set_up(home: Path | None, folder: Path, atlas: str | None) -> list[Path]:
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.server.browser import setup

    target = managed_target(home)
    with open_driver(target) as driver:
        return setup(driver, folder, atlas, database=target.database)


def _show_browser(shown: dict[str, Any]) -> None:
    from atlas.ingest.server.browser import instructions

    if "files" in shown:
        click.echo(instructions(*shown["files"]))
    click.echo(shown["address"])
    click.echo(f"user neo4j, password: cat {shlex.quote(shown['password_file'])}", err=True)
    if shown["tunnel"]:
        click.echo(f"from your own machine, first: {shown['tunnel']}", err=True)
    if shown.get("copy"):
        click.echo(f"and for the files: {shown['copy']}", err=True)


@db.command("list")
@_home_option
@options.as_json
def list_atlases(home: Path | None, as_json: bool) -> None:
    """List the atlases of the running server, of every schema version."""
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.server.atlases import COLUMNS, atlases

    target = managed_target(home)
    with open_driver(target) as driver:
        found = atlases(driver, database=target.database)
    if as_json:
        _print_json({"atlases": found})
    else:
        options.show_rows(COLUMNS, [[each[name] for name in COLUMNS] for each in found])


@db.command()
@click.argument("name")
@_home_option
@options.as_json
@click.option("--yes", is_flag=True, help="Do not ask before removing.")
def drop_atlas(name: str, home: Path | None, as_json: bool, yes: bool) -> None:
    """Remove the atlas NAME from the running server; others stay.

    What would go is counted first. An atlas of another schema version can be removed, too. A removal
    that was interrupted is finished by the same command.
    """
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.graph_drop import contents, drop
    from atlas.queries.display import visible

    target = managed_target(home)
    with open_driver(target) as driver:
        click.echo(f"atlas {name!r} in {target}:", err=True)
        for label, count in contents(driver, name, database=target.database).items():
            click.echo(f"{count:10d}  {visible(label)}", err=True)
        if not yes:
            _ask("Remove these nodes and all their relationships?", "add --yes to remove the atlas", "removed")
        removed = drop(driver, name, database=target.database)
    if as_json:
        _print_json({"atlas": name, "removed": removed})
    else:
        options.show_rows(("label", "removed"), list(removed.items()))


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@_home_option
@options.as_json
@click.option("--yes", is_flag=True, help="Replace the file without asking.")
def dump(file: Path, home: Path | None, as_json: bool, yes: bool) -> None:
    """Write the database with all its atlases into FILE.

    A server that runs is stopped meanwhile and started again. The password is not in the file.
    """
    from atlas.ingest.server import archive

    if file.is_file() and not yes:
        _ask(f"{file} exists. Replace it?", "name another file, or replace it with --yes", "written")
        yes = True
    report = _Progress()
    try:
        size = archive.dump(file, home, overwrite=yes, report=report)
    finally:
        report.end()
    if as_json:
        _print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{size / 1e6:.1f} MB in {file}")


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@_home_option
@options.as_json
@click.option("--yes", is_flag=True, help="Do not ask before replacing what the database holds.")
def restore(file: Path, home: Path | None, as_json: bool, yes: bool) -> None:
    """Replace the database by what `atlas db dump` wrote into FILE.

    A server that runs is stopped meanwhile and started again. It keeps its password. A file that cannot be
    used changes nothing.
    """
    from atlas.ingest.server import archive
    from atlas.ingest.server.home import Home

    place = Home.at(home)
    if file.is_file() and archive.store(place).is_dir() and not yes:
        click.echo(f"{place.store_bytes() / 1e6:10.1f} MB  {place.path / 'data'}", err=True)
        _ask("Replace this database, with all its atlases?", "add --yes to replace it", "replaced")
    report = _Progress()
    try:
        archive.restore(file, home, report=report)
    finally:
        report.end()
    if as_json:
        _print_json({"file": str(file), "home": str(place.path)})
    else:
        click.echo(f"restored {file}")


def _ask(question: str, remedy: str, done: str) -> None:
    """Return where a person says yes; end with code 1 at no, and refuse where nobody can be asked."""
    from atlas.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("nobody can be asked: the input is no terminal", remedy)
    if not click.confirm(question, err=True):
        click.echo(f"nothing was {done}", err=True)
        raise click.exceptions.Exit(1)


def _show(info: ServerInfo, *, as_json: bool) -> None:
    if as_json:
        _print_json(info.as_dict())
        return
    rows = {"state": info.state, "version": f"Neo4j {info.version} (line {info.server})"}
    if info.state != "stopped":
        uptime = time.strftime("%H:%M:%S", time.gmtime((info.uptime or 0) % 86400))
        days = int((info.uptime or 0) // 86400)
        rows |= {
            "bolt": str(info.bolt_uri),
            "browser": f"{info.http_uri}/browser/",
            "process": str(info.pid),
            "uptime": f"{days} d {uptime}" if days else uptime,
        }
    rows |= {
        "store": f"{info.store_bytes / 1e6:.1f} MB in {info.home / 'data'}",
        "log": str(info.log),
        "password": f"in {info.password_file} (user neo4j)",
    }
    for name, value in rows.items():
        click.echo(f"{name:9} {value}")


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


class _Progress:
    """Progress on stderr: one line that changes on a terminal, a line every few seconds elsewhere."""

    EVERY = 5.0

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = ("", float("-inf"))
        self._open = False

    def __call__(self, line: str) -> None:
        if self._terminal:
            click.echo(f"\r\x1b[K{line[: self._width()]}", nl=False, err=True)
            self._open = True
            return
        kind, now = line.split(":")[0], time.monotonic()
        if kind != self._last[0] or now - self._last[1] >= self.EVERY:
            click.echo(line, err=True)
            self._last = kind, now

    def end(self) -> None:
        """Clear the changing line, so that what follows starts at its beginning."""
        if self._open:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._open = False

    @staticmethod
    def _width() -> int:
        import shutil

        return shutil.get_terminal_size().columns - 1
