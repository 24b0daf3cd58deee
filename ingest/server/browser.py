"""What Neo4j Browser needs beside a server: its address, a way to it over SSH, the style and the queries."""

from __future__ import annotations

import getpass
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from atlas.errors import InputError

if TYPE_CHECKING:
    import neo4j

EXAMPLE = "MATCH (f:Feature)-[e:CO_OCCURS]-(g:Feature) RETURN f, e, g ORDER BY e.phi DESC LIMIT 100"
STYLE, ARCHIVE, LIST = "atlas.grass", "atlas-queries.zip", "atlas-queries.csv"
"""Files that `setup` writes: the style, and the queries as the classic page and as the newer one import them."""


def browser_address(bolt_port: int, http_port: int, cypher: str) -> str:
    """Return the address that opens Browser with the user and a query filled in, the password asked for."""
    dbms = f"bolt://neo4j@127.0.0.1:{bolt_port}"
    return f"http://127.0.0.1:{http_port}/browser/?dbms={dbms}&cmd=edit&arg={quote(cypher, safe='')}"


def tunnel_command(bolt_port: int, http_port: int, ssh_connection: str) -> str | None:
    """Return the ssh command that brings both ports to the far end of an SSH session, None outside of one.

    Browser speaks Bolt from the person's own machine, so both ports keep their numbers there.

    Parameters
    ----------
    ssh_connection
        The environment's SSH_CONNECTION: client address, client port, server address, server port.
    """
    here = _here(ssh_connection)
    if here is None:
        return None
    host, port = here
    forwards = " ".join(f"-L {each}:127.0.0.1:{each}" for each in (http_port, bolt_port))
    return f"ssh -N{_option('-p', port)} {forwards} {getpass.getuser()}@{host}"


def copy_command(folder: Path, ssh_connection: str) -> str | None:
    """Return the scp command that brings a folder to the far end of an SSH session, None outside of one."""
    here = _here(ssh_connection)
    if here is None:
        return None
    host, port = here
    host = f"[{host}]" if ":" in host else host  # an IPv6 address
    return f"scp -r{_option('-P', port)} {shlex.quote(f'{getpass.getuser()}@{host}:{folder.resolve()}')} ."


def _here(ssh_connection: str) -> tuple[str, str] | None:
    """Return address and port of this machine as the far end of an SSH session knows it."""
    fields = ssh_connection.split()
    return (fields[2], fields[3]) if len(fields) == 4 else None


def _option(name: str, port: str) -> str:
    return f" {name} {port}" if port != "22" else ""


def setup(driver: neo4j.Driver, folder: Path, atlas: str | None = None, *, database: str | None = None) -> list[Path]:
    """Write the style and the queries into a folder, over those of an earlier time, and return the files.

    Every query has its values written in: defaults, and features and communities of the atlas where a
    parameter has none. Queries that write or need a plugin are left out.

    Parameters
    ----------
    atlas
        Name of the atlas; None is the only one.

    Raises
    ------
    InputError
        The folder cannot be written, or there is no such atlas, or no single one.
    """
    from atlas.queries.guide import examples
    from atlas.queries.saved import as_saved_csv, as_saved_zip, saved
    from atlas.schema.browser import grass

    name = _atlas(driver, atlas, database)
    queries = saved(examples(driver, name, database=database))
    contents = {
        STYLE: grass().encode(),
        ARCHIVE: as_saved_zip(queries),
        LIST: as_saved_csv(queries).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (folder / file).write_bytes(content)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
    return [folder / file for file in contents]


def instructions(style: str, archive: str, listed: str) -> str:
    """Return in three lines what to do with the files of `setup`."""
    return (
        f"Drop {style} on Browser's page, then {archive}: nodes have a style, the star at the left every query.\n"
        f"The newer page, /browser/preview/ beside it, imports {listed} under its bookmark.\n"
        "`:config {autoComplete: false}` draws what a query asks for and no more."
    )


def _atlas(driver: neo4j.Driver, name: str | None, database: str | None) -> str:
    """Return the name of an atlas of the database: the one asked for, or the only one."""
    from atlas.queries.run import atlases

    known = list(atlases(driver, database=database))
    if not known:
        raise InputError("the database holds no atlas", "load one with `atlas ingest graph`")
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        cause = "several atlases are in the database" if name is None else f"no atlas {name[:100]!a} in the database"
        raise InputError(f"{cause}: {', '.join(known)}", "name one of these with --atlas")
    return name
