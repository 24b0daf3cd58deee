"""Reaching a database: what is resolved from the environment, and faults 58 to 61 and 66 on a real server."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from neo4j.exceptions import ClientError, Neo4jError

from atlas.errors import DatabaseError
from atlas.ingest.connection import Target, open_driver, parse_version, resolve_target, translate
from atlas.ingest.server.home import ServerInfo

pytestmark = pytest.mark.neo4j


def refused(target: Target, **options: tuple[int, int]) -> DatabaseError:
    """Return the error of opening a target, held to what every such error has."""
    with pytest.raises(DatabaseError) as caught, open_driver(target, **options):
        pytest.fail("a driver was opened")
    error = caught.value
    assert error.exit_code == 4
    assert error.remedy
    assert "\n" not in error.cause
    if target.password:
        assert target.password not in f"{error.cause} {error.remedy}" + "".join(traceback.format_exception(error))
    return error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_managed_server_is_reached(server: ServerInfo, target: Target) -> None:
    """Without NEO4J_URI the managed server is meant; its driver gives notifications."""
    assert resolve_target({}, home=server.home) == target
    assert target.managed
    assert target.password not in repr(target) + str(target)
    with open_driver(target) as driver:
        summary = driver.execute_query("MATCH (n:NoSuchLabel) RETURN n LIMIT 1", database_="neo4j").summary
    assert any("NoSuchLabel" in each.status_description for each in summary.gql_status_objects)


def test_environment_names_another_server(server: ServerInfo, target: Target) -> None:
    """All four variables are read; a user's home database is meant where none is named."""
    environ = {"NEO4J_URI": target.uri, "NEO4J_PASSWORD": str(target.password)}
    found = resolve_target(environ)
    assert found == Target(target.uri, "neo4j", target.password, None, managed=False)
    with open_driver(found) as driver:
        driver.verify_connectivity()
    full = environ | {"NEO4J_USERNAME": "ada", "NEO4J_DATABASE": "atlases"}
    assert (resolve_target(full).username, resolve_target(full).database) == ("ada", "atlases")
    with open_driver(replace(found, uri=found.uri.replace("bolt://", "neo4j://"))) as driver:
        driver.verify_connectivity()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"NEO4J_URI": "bolt://h:7687"}, "NEO4J_PASSWORD is not"),
        ({"NEO4J_URI": "http://h:7474", "NEO4J_PASSWORD": "p"}, "expected neo4j"),
        ({"NEO4J_URI": "bolt://", "NEO4J_PASSWORD": "p"}, "expected neo4j"),
        ({"NEO4J_URI": "bolt:127.0.0.1", "NEO4J_PASSWORD": "p"}, "expected neo4j"),
        ({"NEO4J_URI": "bolt://neo4j:hunter2@h:7687", "NEO4J_PASSWORD": "p"}, "holds a user or password"),
        ({"NEO4J_URI": "bolt://neo4j:hunter2@[::1", "NEO4J_PASSWORD": "p"}, "holds a user or password"),
        ({"NEO4J_URI": "neo4j:hunter2@h:7687", "NEO4J_PASSWORD": "p"}, "holds a user or password"),
    ],
)
def test_unusable_environment_is_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(DatabaseError, match=said) as caught:
        resolve_target(environ)
    assert caught.value.remedy
    assert "hunter2" not in caught.value.cause + caught.value.remedy


@pytest.mark.parametrize(
    "uri",
    [
        "bolt://[::1", "bolt://[zz]:7687", "bolt://127.0.0.1:abc", "bolt://127.0.0.1:7687:1", "bolt://127.0.0.1:-5",
        "bolt://127.0.0.1:99999", "bolt://", "bolt://:7687", "127.0.0.1:7687", "bolt://a..b:7687",
        f"bolt://{'x' * 70}.invalid", "bolt://127.0.0.1?x=1", "neo4j://127.0.0.1?x",
    ],
)  # fmt: skip
def test_malformed_address_is_refused(uri: str) -> None:
    """What is no address is said to be none, by the program, by its parser or by the driver: one line, exit 4."""
    with pytest.raises(DatabaseError) as caught, open_driver(resolve_target({"NEO4J_URI": uri, "NEO4J_PASSWORD": ""})):
        pytest.fail("a driver was opened")
    assert caught.value.exit_code == 4
    assert uri in caught.value.cause
    assert "\n" not in caught.value.cause
    assert "NEO4J_URI" in caught.value.cause + caught.value.remedy
    assert "bolt://127.0.0.1:7687" in caught.value.remedy or "check NEO4J_URI" in caught.value.remedy
    with pytest.raises(DatabaseError) as direct, open_driver(Target(uri, "neo4j", None, None, managed=False)):
        pytest.fail("a driver was opened")
    assert direct.value.remedy


def test_errors_of_the_body_are_not_the_address(target: Target) -> None:
    """A ValueError of the work itself is passed on as it is."""
    with pytest.raises(ValueError, match="mine"), open_driver(target):
        raise ValueError("mine")


def test_no_server_is_answered_with_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="not up") as caught:
        resolve_target({}, home=tmp_path / "none")
    assert caught.value.remedy.startswith("atlas db up")


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_fault_58_refused(target: Target, scheme: str) -> None:
    """A closed port: is the server running, which port, and no routing through a tunnel."""
    error = refused(replace(target, uri=f"{scheme}://127.0.0.1:{free_port()}"))
    assert "connection refused" in error.cause
    assert "is the server running" in error.remedy
    assert ("tunnel" in error.remedy) == (scheme == "neo4j")


def test_fault_58_wrong_port_and_wrong_name(server: ServerInfo, target: Target) -> None:
    """Browser's port and an unknown host are told apart from a server that is down."""
    assert "HTTP, not Bolt" in refused(replace(target, uri=f"bolt://127.0.0.1:{server.http_port}")).cause
    assert "not known" in refused(replace(target, uri="bolt://no-such-host.invalid:7687")).cause


def test_fault_59_wrong_password_is_tried_once(target: Target) -> None:
    """The remedy tells of volumes, and the right password works at once: nothing was tried in a loop."""
    error = refused(replace(target, password="not-the-password"))
    assert "refuses the password of user neo4j" in error.cause
    assert "first password" in error.remedy
    with open_driver(target) as driver:
        driver.verify_connectivity()


def test_fault_59_locked_out(target: Target) -> None:
    """A server that has locked a user out says so, and the remedy is to wait."""
    with open_driver(target) as driver:
        driver.execute_query("CREATE USER stranger SET PASSWORD 'right-0123'", database_="system")
    stranger = replace(target, username="stranger", password="wrong-each-time")
    causes = [refused(stranger).cause for _ in range(5)]
    assert "refuses the password" in causes[0]
    assert "locked user stranger out" in causes[-1]
    with open_driver(target) as driver:
        driver.execute_query("DROP USER stranger", database_="system")


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_fault_60_missing_database(target: Target, scheme: str) -> None:
    uri = target.uri.replace("bolt", scheme)
    error = refused(replace(target, uri=uri, database="no-such-database"))
    assert "no database no-such-database" in error.cause
    assert "NEO4J_DATABASE" in error.remedy


def test_fault_61_older_server(server: ServerInfo, target: Target) -> None:
    """A server below the minimum is refused by name; here the minimum is raised above the real one."""
    error = refused(target, minimum=(9999, 0))
    assert f"is Neo4j {server.version}, the atlas needs 9999.0 or later" in error.cause


@pytest.mark.parametrize(("text", "version"), [("5.26.30", (5, 26)), ("5.27-aura", (5, 27)), ("2026.08.1", (2026, 8))])
def test_versions_of_both_lines_and_of_aura(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("handshake", [b"\0\0\0\0", b"\0\0\0\3", b"\0\0\4\4"], ids=["none", "3.5", "4.4"])
def test_fault_61_server_of_an_old_bolt(target: Target, handshake: bytes) -> None:
    """The driver refuses it before it could say its version: it is old, and the address is not at fault."""
    with answering(lambda plain: (plain.recv(20), plain.sendall(handshake), plain.recv(1000))) as port:
        error = refused(replace(target, uri=f"bolt://127.0.0.1:{port}"))
    assert "is no Neo4j or an old one: the atlas needs 5.26 or later" in error.cause
    assert "upgrade that server" in error.remedy


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("Neo.ClientError.Security.Forbidden", "does not let user neo4j do this"),
        ("Neo.ClientError.Cluster.NotALeader", "cannot be written to"),
        ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", "cannot be written to"),
        ("Neo.ClientError.Security.TokenExpired", "refuses the password of user neo4j"),
    ],
)
def test_refusals_of_servers_with_roles_and_clusters(target: Target, code: str, said: str) -> None:
    """Community Edition gives none of these: only the answer's code is taken, from the driver's own error."""
    refusal = translate(Neo4jError._hydrate_neo4j(code=code, message="no"), target)
    assert refusal is not None
    assert said in refusal.cause
    assert refusal.remedy


def test_version_that_is_none() -> None:
    with pytest.raises(DatabaseError, match="gives its version"):
        parse_version("Memgraph")


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
def test_fault_66_tls_asked_of_a_plain_server(target: Target, scheme: str) -> None:
    error = refused(replace(target, uri=target.uri.replace("bolt", scheme)))
    assert "asks for TLS, the server does not use it" in error.cause


def test_fault_66_plain_asked_of_a_tls_server(target: Target, tls_port: int) -> None:
    error = refused(replace(target, uri=f"bolt://127.0.0.1:{tls_port}"))
    assert "does not speak unencrypted Bolt" in error.cause
    assert "bolt+s://" in error.remedy


def test_fault_66_certificate_not_trusted(target: Target, tls_port: int) -> None:
    error = refused(replace(target, uri=f"bolt+s://127.0.0.1:{tls_port}"))
    assert "certificate is not trusted" in error.cause
    assert "+ssc" in error.remedy


def test_fault_59_first_password_must_be_changed(target: Target) -> None:
    """A user whose password is to be changed first is told so, by the server's answer to the query."""
    with open_driver(target) as driver:
        driver.execute_query("CREATE USER fresh SET PASSWORD 'first-0123' CHANGE REQUIRED", database_="system")
    error = refused(replace(target, username="fresh", password="first-0123"))
    assert "wants the password of user fresh changed" in error.cause
    with open_driver(target) as driver:
        driver.execute_query("DROP USER fresh", database_="system")


def test_errors_of_the_work_itself_pass(target: Target) -> None:
    """Only reaching the database is translated: a mistake in a query keeps its own error."""
    with pytest.raises(ClientError, match="Invalid input"), open_driver(target) as driver:
        driver.execute_query("RETURM 1", database_="neo4j")


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """A port on which TLS, and only TLS, is spoken, with a self-signed certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    with answering(lambda plain: context.wrap_socket(plain, server_side=True).close()) as port:
        yield port


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """Yield a port on which each connection is answered so, and closed."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:  # closed: the test has ended
                return
            with plain, contextlib.suppress(OSError):
                answer(plain)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
