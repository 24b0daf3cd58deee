"""Progress of a long stage on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

logger = logging.getLogger("atlas")

Advance = Callable[[int], None]


@contextlib.contextmanager
def progress(label: str, *, total: int, unit: str, done: int = 0, every: float = 5.0) -> Iterator[Advance]:
    """Show how far a stage is while the block runs; yields the function that adds to what is done.

    Nothing is shown unless the logger `atlas` lets INFO pass.

    Parameters
    ----------
    label
        What is being done: `activations`.
    total, unit
        How much there is, and of what: tokens, rows, pairs.
    done
        What an earlier run had done; it does not count into the rate.
    every
        Seconds between plain lines where stderr is no terminal.
    """
    if not logger.isEnabledFor(logging.INFO):
        yield lambda amount: None
    elif sys.stderr.isatty():
        with _bar(label, total, unit, done) as advance:
            yield advance
    else:
        yield _Lines(label, total, unit, done, every).advance


class _Lines:
    """Plain lines through the log: `activations: 4096 of 118000 tokens, 1950 tokens/s, 58 s left`."""

    def __init__(self, label: str, total: int, unit: str, done: int, every: float) -> None:
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.done = self.first = done
        self.started = self.shown = time.monotonic()

    def advance(self, amount: int) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.shown < self.every and self.done < self.total:
            return
        self.shown = now
        rate = (self.done - self.first) / max(now - self.started, 1e-9)
        left = duration((self.total - self.done) / rate) if rate > 0 else "unknown time"
        logger.info(
            "%s: %d of %d %s, %.0f %s/s, %s left",
            self.label,
            self.done,
            self.total,
            self.unit,
            rate,
            self.unit,
            left,
        )


def duration(seconds: float) -> str:
    """Return a time for people: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def _bar(label: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, {{task.fields[rate]:.0f}} {unit}/s,"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, completed=done, rate=0.0)
        since = 0

        def advance(amount: int) -> None:
            nonlocal since
            since += amount
            bar.update(task, advance=amount, rate=since / max(time.monotonic() - started, 1e-9))

        yield advance
