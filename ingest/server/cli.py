"""The commands `atlas db up|down|status|browser|list|drop-atlas` for the managed server."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from atlas.ingest import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlas.ingest.server.home import ServerInfo

EXAMPLE = "MATCH (f:Feature)-[e:CO_OCCURS]-(g:Feature) RETURN f, e, g ORDER BY e.phi DESC LIMIT 100"


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
    heap: str | None,
    bolt_port: int | None,
    http_port: int | None,
    wait: float,
) -> None:
    """Start the server, and install it the first time (145 MB).

    A server that runs already is left as it is. Returns when a query has been answered.
    """
    from atlas.ingest.server import process

    report = _Progress()
    try:
        info = process.up(home, heap=heap, bolt_port=bolt_port, http_port=http_port, wait=wait, report=report)
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
def browser(cypher: str, home: Path | None, as_json: bool, opening: bool) -> None:
    """Print the address of Neo4j Browser with CYPHER filled in."""
    from atlas.errors import DatabaseError
    from atlas.ingest.server import process

    info = process.status(home)
    if info.bolt_port is None or info.http_port is None:
        raise DatabaseError(f"the managed server of {info.home} is not up", "atlas db up")
    address = browser_address(info.bolt_port, info.http_port, cypher)
    tunnel = tunnel_command(info.bolt_port, info.http_port, os.environ.get("SSH_CONNECTION", ""))
    if as_json:
        _print_json({"address": address, "password_file": str(info.password_file), "tunnel": tunnel})
    else:
        click.echo(address)
        click.echo(f"user neo4j, password: cat {shlex.quote(str(info.password_file))}", err=True)
        if tunnel:
            click.echo(f"from your own machine, first: {tunnel}", err=True)
    if opening:
        import webbrowser

        webbrowser.open(address)


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
    from atlas.errors import InputError
    from atlas.ingest.connection import managed_target, open_driver
    from atlas.ingest.graph import contents, drop
    from atlas.queries.display import visible

    target = managed_target(home)
    with open_driver(target) as driver:
        click.echo(f"atlas {name!r} in {target}:", err=True)
        for label, count in contents(driver, name, database=target.database).items():
            click.echo(f"{count:10d}  {visible(label)}", err=True)
        if not yes:
            if not sys.stdin.isatty():
                raise InputError("nobody can be asked: the input is no terminal", "add --yes to remove the atlas")
            if not click.confirm("Remove these nodes and all their relationships?", err=True):
                click.echo("nothing was removed", err=True)
                raise click.exceptions.Exit(1)
        removed = drop(driver, name, database=target.database)
    if as_json:
        _print_json({"atlas": name, "removed": removed})
    else:
        options.show_rows(("label", "removed"), list(removed.items()))


def browser_address(bolt_port: int, http_port: int, cypher: str) -> str:
    """Return the address that opens Browser with the user and a query filled in, the password asked for."""
    dbms = f"bolt://neo4j@127.0.0.1:{bolt_port}"
    return f"http://127.0.0.1:{http_port}/browser/?dbms={dbms}&cmd=edit&arg={quote(cypher, safe='')}"


def tunnel_command(bolt_port: int, http_port: int, ssh_connection: str) -> str | None:
    """Return the ssh command that brings both ports to the far end of an SSH session, None outside of one.

    Browser speaks Bolt from the person's own machine, so both ports keep their numbers there.
    """
    fields = ssh_connection.split()  # client address, client port, server address, server port
    if len(fields) != 4:
        return None
    port = f" -p {fields[3]}" if fields[3] != "22" else ""
    forwards = " ".join(f"-L {each}:127.0.0.1:{each}" for each in (http_port, bolt_port))
    return f"ssh -N{port} {forwards} {getpass.getuser()}@{fields[2]}"


def _show(info: ServerInfo, *, as_json: bool) -> None:
    if as_json:
        _print_json(info.as_dict())
        return
    rows = {"state": info.state, "version": f"Neo4j {info.version}"}
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
