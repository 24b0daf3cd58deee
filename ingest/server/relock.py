"""For maintainers: `python -m atlas.ingest.server.relock [LINE]` writes locks from what Maven itself resolves."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from atlas.errors import BackendError, ServiceError
from atlas.ingest.server.lockfile import Jar, format_lock, sha256_of
from atlas.ingest.server.version import BROWSER_VERSION, LINES, Line, find_line

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>atlas</groupId>
  <artifactId>relock</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
DEPENDENCY = """\
    <dependency>
      <groupId>{}</groupId>
      <artifactId>{}</artifactId>
      <version>{}</version>
      <type>{}</type>
    </dependency>"""


def pom(line: Line) -> str:
    """Return the project whose runtime class path is that of a line of the server, with Browser."""
    asked = [(*artifact.split(":"), line.version) for artifact in line.artifacts]
    asked.append(("org.neo4j.client", "neo4j-browser", BROWSER_VERSION))
    dependencies = [
        DEPENDENCY.format(group, artifact, version, *(packaging or ["jar"]))
        for group, artifact, *packaging, version in asked
    ]
    return POM.format(dependencies="\n".join(dependencies))


def resolved(line: Line) -> list[Jar]:
    """Return the jars that Maven puts on the server's runtime class path, with their sums.

    Maven and not jgo resolves here: jgo's own resolution differs from it in about ten versions.

    Raises
    ------
    BackendError
        Maven is not installed.
    ServiceError
        Maven could not resolve the server.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise BackendError("mvn is not on PATH", "install Maven 3.8 or later to write the lock anew")
    with tempfile.TemporaryDirectory() as folder:
        project, listing = Path(folder, "pom.xml"), Path(folder, "list.txt")
        project.write_text(pom(line), "utf-8")
        command = [
            maven, "-B", "-q", "-f", str(project), "dependency:list", "-DincludeScope=runtime",
            f"-DoutputFile={listing}", "-DoutputAbsoluteArtifactFilename=true",
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ServiceError(
                f"mvn ended with {done.returncode}: {done.stdout[-500:]}",
                "run it again, or check pom and network",
            )
        return [jar for line in listing.read_text("utf-8").splitlines() if (jar := _parse(line)) is not None]


def _parse(line: str) -> Jar | None:
    """Return the jar of a line `group:artifact:packaging[:classifier]:version:scope:file`, else None."""
    head, _, file = line.strip().partition(":/")
    fields = head.split(":")
    if not file or len(fields) not in (5, 6):
        return None
    group, artifact, packaging, *classifier, version, _scope = fields
    if packaging == "pom":
        return None
    path = Path("/" + file.split(" -- ")[0])  # Maven may add the Java module's name behind
    coordinates = ":".join([group, artifact, version, *classifier, packaging])
    return Jar(coordinates, sha256_of(path), path.stat().st_size)


def main() -> None:
    """Write the locks of the lines that are named, else of all, and say what they hold."""
    for line in map(find_line, sys.argv[1:] or LINES):
        jars = resolved(line)
        line.lock_file.write_text(format_lock(line, jars), "utf-8")
        total = sum(jar.size for jar in jars)
        sys.stderr.write(f"{line.lock_file.name}: {len(jars)} jars, {total / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main()
