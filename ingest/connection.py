"""Which graph database is meant, and a driver to it whose failures say their cause and remedy."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from atlas.errors import DatabaseError
from atlas.ingest.server.password import USERNAME, read_password
from atlas.ingest.server.process import status

if TYPE_CHECKING:
    from neo4j import Driver
    from neo4j.exceptions import DriverError, Neo4jError

MINIMUM_VERSION = (5, 26)
SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
VERSION_QUERY = "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions[0] AS version"
CONNECT_SECONDS = 15.0  # a reachable server answers in one; a firewall that drops packets never does

logging.getLogger("neo4j").addHandler(logging.NullHandler())  # what it would print, the error below says


@dataclass(frozen=True)
class Target:
    """A graph database: where it is, who asks, and whether it is the atlas's own managed server.

    `database` None is the user's home database. `password` None is a server without authentication; a
    password appears in no representation.
    """

    uri: str
    username: str
    password: str | None = field(repr=False)
    database: str | None
    managed: bool

    def __str__(self) -> str:
        """Return what a command prints before it uses the target."""
        name = f"database {self.database}" if self.database else "home database"
        return f"{self.uri}, {name}{' (managed server)' if self.managed else ''}"


def resolve_target(
    environ: Mapping[str, str] = os.environ,
    *,
    home: Path | str | None = None,
) -> Target:
    """Return the database that `NEO4J_URI` names, else the managed server of `home`.

    With `NEO4J_URI` go `NEO4J_USERNAME` (default neo4j), `NEO4J_PASSWORD` (empty: no authentication) and
    `NEO4J_DATABASE` (default: the user's home database).

    Raises
    ------
    DatabaseError
        The variables cannot be used, or there is no `NEO4J_URI` and the managed server is not up.
    """
    uri = environ.get("NEO4J_URI", "")
    if not uri:
        return _managed_target(home, "NEO4J_URI is not set and ")
    if "@" in uri:  # nowhere else in an address; looked for first, since what follows shows the address
        raise DatabaseError("NEO4J_URI holds a user or password", "put them into NEO4J_USERNAME and NEO4J_PASSWORD")
    if not _is_address(uri):
        raise DatabaseError(
            f"NEO4J_URI is {uri!r}, expected {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}, then ://HOST:PORT",
            "write it as bolt://127.0.0.1:7687, or unset it to use the managed server",
        )
    if "NEO4J_PASSWORD" not in environ:
        raise DatabaseError(
            "NEO4J_URI is set, NEO4J_PASSWORD is not",
            "set it (empty: a server without authentication), or unset NEO4J_URI to use the managed server",
        )
    return Target(
        uri=uri,
        username=environ.get("NEO4J_USERNAME") or USERNAME,
        password=environ["NEO4J_PASSWORD"] or None,
        database=environ.get("NEO4J_DATABASE") or None,
        managed=False,
    )


def managed_target(home: Path | str | None = None) -> Target:
    """Return the running managed server of `home`, whatever the environment says.

    Raises
    ------
    DatabaseError
        The server is not up, or its password cannot be read.
    """
    return _managed_target(home)


def _managed_target(home: Path | str | None, why: str = "") -> Target:
    server = status(home)
    if server.state == "stopped" or server.bolt_uri is None:
        option = f" --home {shlex.quote(str(server.home))}" if home is not None else ""
        raise DatabaseError(
            f"no graph database: {why}the managed server of {server.home} is not up",
            f"atlas db up{option}",
        )
    return Target(server.bolt_uri, USERNAME, read_password(server.password_file), "neo4j", managed=True)


def _is_address(uri: str) -> bool:
    """Return whether the text is a scheme of Neo4j's, a host and perhaps a port; no name is looked up."""
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - raises where it is no number of a port
    except ValueError:  # half an IPv6 address, too
        return False
    return parts.scheme in SCHEMES and bool(parts.hostname)


@contextlib.contextmanager
def open_driver(target: Target, *, minimum: tuple[int, int] = MINIMUM_VERSION) -> Iterator[Driver]:
    """Yield a driver that has run a query in the target's database, and close it after the body.

    A query is run because connecting alone reveals neither a missing database nor an old server. It is tried
    once: servers lock a user out who comes with a wrong password again and again. Connections that break
    while the body runs are answered likewise; all other errors of the body pass.

    Raises
    ------
    DatabaseError
        The address cannot be used, the server cannot be reached (fault 58), refuses the password (59), lacks
        the database (60), is older than `minimum` (61), or only one side uses TLS (66).
    """
    import neo4j
    from neo4j.exceptions import DriverError, Neo4jError

    auth = (target.username, target.password) if target.password is not None else None
    try:
        with contextlib.ExitStack() as opened:
            try:
                driver = opened.enter_context(
                    neo4j.GraphDatabase.driver(
                        target.uri,
                        auth=auth,
                        connection_timeout=CONNECT_SECONDS,
                        notifications_min_severity=neo4j.NotificationMinimumSeverity.INFORMATION,
                        user_agent="feature-atlas",
                    )
                )
                version = _server_version(driver, target)
            except (ValueError, OverflowError) as error:  # no name or port that could be looked up
                raise DatabaseError(
                    f"{target.uri} is no address of a server: {error}",
                    "check NEO4J_URI; it is written as bolt://127.0.0.1:7687",
                ) from error
            _check_version(version, target, minimum)
            yield driver
    except (DriverError, Neo4jError) as error:
        known = translate(error, target)
        if known is None:
            raise
        raise known from error


def translate(error: DriverError | Neo4jError, target: Target) -> DatabaseError | None:
    """Return cause and remedy of a driver's error, None where it is not about reaching the database."""
    from neo4j.exceptions import DriverError, Neo4jError

    if isinstance(error, Neo4jError):
        return _refusal(error.code or "", target)
    chain = list(_chain(error))
    if any(isinstance(each, ssl.SSLError) for each in chain):
        return _tls(chain, target)
    for each in chain:  # a server's answer inside a failed round of routing
        if isinstance(each, Neo4jError) and (found := _refusal(each.code or "", target)) is not None:
            return found
    name = type(error).__name__
    if name == "UnsupportedServerProduct" or (name == "ConfigurationError" and "Bolt Protocol" in str(error)):
        return _too_old("is no Neo4j or an old one:", target)  # before it could be asked for its version
    if isinstance(error, DriverError) and name in (
        "ServiceUnavailable",
        "SessionExpired",
        "IncompleteCommit",
    ):
        return _unreachable(chain, target)
    if name == "ConfigurationError":
        return DatabaseError(f"{target.uri}: the driver refuses it: {error}", "check NEO4J_URI")
    return None


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor of what a server says of itself: `5.26.30`, `5.27-aura`, `2025.10.1`.

    Raises
    ------
    DatabaseError
        The text holds no version.
    """
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise DatabaseError(f"the server gives its version as {text!r}", "connect to a Neo4j server")
    return int(match.group(1)), int(match.group(2))


def _server_version(driver: Driver, target: Target) -> str:
    with driver.session(database=target.database, default_access_mode="READ") as session:
        record = session.run(VERSION_QUERY).single()
    return str(record["version"]) if record is not None else ""


def _check_version(version: str, target: Target, minimum: tuple[int, int]) -> None:
    if parse_version(version) < minimum:
        raise _too_old(f"is Neo4j {version},", target, minimum)


def _too_old(found: str, target: Target, minimum: tuple[int, int] = MINIMUM_VERSION) -> DatabaseError:
    return DatabaseError(
        f"{target.uri} {found} the atlas needs {'.'.join(map(str, minimum))} or later",
        "upgrade that server, or use the managed one: unset NEO4J_URI and run `atlas db up`",
    )


def _refusal(code: str, target: Target) -> DatabaseError | None:
    """Return what to tell where the server was reached and refused."""
    if code == "Neo.ClientError.Security.AuthenticationRateLimit":
        return DatabaseError(
            f"{target.uri} has locked user {target.username} out after several wrong passwords",
            "wait a minute, then try once with the right one; end programs that go on trying",
        )
    if code == "Neo.ClientError.Security.CredentialsExpired":
        return DatabaseError(
            f"{target.uri} wants the password of user {target.username} changed first",
            "change it in Browser or cypher-shell: ALTER CURRENT USER SET PASSWORD FROM ... TO ...",
        )
    if code in ("Neo.ClientError.Security.Unauthorized", "Neo.ClientError.Security.TokenExpired"):
        where = "the managed server's password file" if target.managed else "NEO4J_USERNAME and NEO4J_PASSWORD"
        return DatabaseError(
            f"{target.uri} refuses the password of user {target.username}",
            f"check {where}; a store or Docker volume keeps its first password, whatever is set later",
        )
    if code == "Neo.ClientError.Security.Forbidden":
        return DatabaseError(
            f"{target.uri} does not let user {target.username} do this",
            "a load needs the right to write, to create labels, types and properties, constraints and indexes; "
            "questions need the right to read and to list the databases' components",
        )
    if code in ("Neo.ClientError.Cluster.NotALeader", "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase"):
        return DatabaseError(
            f"{target.uri} cannot be written to",
            "write neo4j:// in place of bolt:// where it is part of a cluster; else it is set to be read only",
        )
    if code == "Neo.ClientError.Database.DatabaseNotFound":
        return DatabaseError(
            f"{target.uri} has no database {target.database or '(home)'}",
            "set NEO4J_DATABASE to one of SHOW DATABASES, or unset it; Community Edition has one, neo4j",
        )
    return None


def _unreachable(chain: list[BaseException], target: Target) -> DatabaseError:
    """Return what to tell where no Bolt server answered."""
    said = " ".join(str(each) for each in chain)
    if any(isinstance(each, socket.gaierror) for each in chain) or "DNS resolve" in said:
        return DatabaseError(f"{target.uri}: the host's name is not known", "check NEO4J_URI and the network")
    if "looks like HTTP" in said:
        return DatabaseError(
            f"{target.uri}: this port speaks HTTP, not Bolt", "Bolt's port is 7687 unless it was changed"
        )
    if "handshake" in said and not target.uri.split(":")[0].endswith(("+s", "+ssc")):
        return DatabaseError(
            f"{target.uri}: the port is open and does not speak unencrypted Bolt",
            "if the server uses TLS, write bolt+s:// or neo4j+s:// (+ssc for a self-signed certificate); "
            "otherwise check the port, and that a tunnel's far end is up",
        )
    reason = "connection refused" if any(isinstance(each, ConnectionRefusedError) for each in chain) else "no answer"
    remedy = "is the server running (atlas db status, docker compose ps), and is this its Bolt port?"
    if target.uri.startswith("neo4j"):
        remedy += " Through a tunnel write bolt://: with neo4j:// the server names an address of its own"
    return DatabaseError(f"{target.uri}: {reason}", remedy)


def _tls(chain: list[BaseException], target: Target) -> DatabaseError:
    """Return what to tell where only one side uses TLS, or the certificate is not trusted."""
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return DatabaseError(
            f"{target.uri}: the server's certificate is not trusted",
            "write +ssc in place of +s if you know that it is self-signed, and check the host's name",
        )
    return DatabaseError(
        f"{target.uri} asks for TLS, the server does not use it",
        "write bolt:// or neo4j:// without +s, or switch TLS on in the server",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what caused it, and the members of groups among them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
