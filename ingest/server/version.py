"""The one version of Neo4j that the managed server, docker-compose.yml and the documentation name."""

from __future__ import annotations

NEO4J_VERSION = "5.26.30"
BROWSER_VERSION = "5.24.0"  # the newest Browser on Maven Central that this server line serves
JAVA_MAJORS = (17, 21)  # what the 5.26 line supports
