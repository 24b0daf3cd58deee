"""What a stage took: wall time, peak memory, and the versions of the tools that made it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

TOOLS = (
    "feature-atlas",
    "numpy",
    "scipy",
    "numba",
    "igraph",
    "leidenalg",
    "pyarrow",
    "torch",
    "sae-lens",
    "transformer-lens",
    "transformers",
    "neo4j",
)


@contextlib.contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Yield a dict that holds wall time, peak memory and tool versions once the block ends."""
    made: dict[str, Any] = {}
    reset = reset_peak()
    started = time.time()
    yield made
    made["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
    made["wall_seconds"] = round(time.time() - started, 3)
    made["peak_memory_mib"] = round(peak_memory() / 2**20, 1)
    made["peak_memory_of"] = "stage" if reset else "process"
    made["tools"] = {"python": sys.version.split()[0], **_tool_versions()}


def reset_peak() -> bool:
    """Start the kernel's high-water mark of this process anew; False where it cannot be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # no Linux, or not allowed: the mark is then the whole process's
        return False
    return True


def peak_memory(pid: int | None = None) -> int:
    """Return the most memory that a process (this one) had, in bytes; what it has now where the system keeps no peak.

    Of that process alone: what `getrusage` says starts at the peak of the process that started it.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)


def _tool_versions() -> dict[str, str]:
    found = {}
    for tool in TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[tool] = metadata.version(tool)
    return found
