"""The versions of Neo4j that the managed server, docker-compose.yml and the documentation name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import InputError

NEO4J_VERSION = "5.26.30"  # of the default line
BROWSER_VERSION = "5.24.0"  # the newest Browser on Maven Central; both lines serve it


@dataclass(frozen=True)
class Line:
    """A line of the server that Neo4j maintains, and the one version of it that is used.

    Parameters
    ----------
    name
        What `--server` and `ATLAS_SERVER` take.
    version
        The version that is installed.
    main_class
        Java class that serves.
    java_majors
        Versions of Java that Neo4j supports for it.
    artifacts
        `group:artifact[:packaging]`: what Maven is asked for, each at `version`.
    settings
        What its neo4j.conf holds beside what both have.
    """

    name: str
    version: str
    main_class: str
    java_majors: tuple[int, ...]
    artifacts: tuple[str, ...]
    settings: Mapping[str, str]

    @property
    def lock_file(self) -> Path:
        """Return the file of its pinned jars."""
        return Path(__file__).with_name(f"neo4j-{self.version}.lock")


_LINES = (
    Line(
        name="5.26",
        version=NEO4J_VERSION,
        main_class="org.neo4j.server.CommunityEntryPoint",
        java_majors=(17, 21),
        artifacts=("org.neo4j.assembly:neo4j-community-standalone:pom",),
        settings={},
    ),
    Line(
        name="2026",
        version="2026.08.1",
        main_class="org.neo4j.server.Neo4jCommunity",
        java_majors=(21, 25),
        artifacts=(  # no assembly of this version is on Maven Central; it is made of these
            "org.neo4j:neo4j",
            "org.neo4j.app:neo4j-server",
            "org.neo4j:neo4j-push-to-cloud",
            "org.neo4j:neo4j-slf4j-provider",
        ),
        settings={  # else it announces itself in the network, and believes any client's X-Forwarded headers
            "server.fleet_discovery.enabled": "false",
            "dbms.fleet_manager.enabled": "false",
            "server.http.x_forward.enabled": "false",
        },
    ),
)
LINES = {line.name: line for line in _LINES}
DEFAULT = "5.26"


def find_line(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Line:
    """Return the line of that name, else the one that `ATLAS_SERVER` names, else the default.

    Raises
    ------
    InputError
        There is no such line.
    """
    asked = name or environ.get("ATLAS_SERVER") or DEFAULT
    if asked not in LINES:
        where = "--server" if name else "ATLAS_SERVER"
        raise InputError(f"{where}: there is no server line {asked!r}", f"give {' or '.join(LINES)}")
    return LINES[asked]
