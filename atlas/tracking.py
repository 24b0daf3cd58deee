"""How a stage says how far it is, without knowing who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

Advance = Callable[[int], None]


class Track(Protocol):
    """Opens a piece of work of known size, and yields the function that adds to what is done."""

    def __call__(self, label: str, *, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Return a context that lasts as long as the work."""
        ...


@contextlib.contextmanager
def untracked(label: str, *, total: int, unit: str) -> Iterator[Advance]:
    """Listen to nothing."""
    yield lambda amount: None
