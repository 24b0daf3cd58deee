"""Where what can be made again (caches) and what cannot (data) are kept on this platform."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APPLICATION = "feature-atlas"


def cache_home() -> Path:
    """Return the folder of downloads and of what is made from them: removing it costs only time.

    The environment variable `ATLAS_CACHE` overrides the platform's own place. The folder need not exist.
    """
    return _overridden("ATLAS_CACHE") or platformdirs.user_cache_path(APPLICATION, appauthor=False)


def data_home() -> Path:
    """Return the folder of graph stores and passwords: removing it loses them.

    The environment variable `ATLAS_DATA` overrides the platform's own place. The folder need not exist.
    """
    return _overridden("ATLAS_DATA") or platformdirs.user_data_path(APPLICATION, appauthor=False)


def _overridden(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
