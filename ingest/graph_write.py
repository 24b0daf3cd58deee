"""Writes rows to the database: one writer, bounded batches, returned counts compared with rows sent."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from atlas.errors import DatabaseError
from atlas.ingest.progress import progress
from atlas.queries.run import MEMORY_CODES, explain

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")


_CONSTRAINT = "Neo.ClientError.Schema.ConstraintValidationFailed"
_LOG_ERRORS = "Neo.DatabaseError.Transaction."  # of a transaction that could not be kept (fault 64)


class _TooLarge(Exception):  # noqa: N818 - a signal between two functions
    """The database has too little memory for the batch."""


class _There(Exception):  # noqa: N818 - a signal between two functions
    """A row of the batch is in the database already; nothing of the batch was written."""


class Writer:
    """The one writer of a load, over one session.

    Parameters
    ----------
    batch
        Rows of a transaction; halved, and left so, when the database has too little memory (fault 62).
    """

    def __init__(self, session: neo4j.Session, *, batch: int) -> None:
        self.session = session
        self.batch = batch
        self.rates: dict[str, float] = {}

    def write(
        self, what: str, statement: str, rows: Iterable[Any], *, total: int, again: str | None = None
    ) -> int:
        """Return the number of rows written, after each was answered for.

        Parameters
        ----------
        what
            Label or type, for the progress and the errors.
        statement
            One that takes `$rows` and returns `written`.
        total
            How many rows there are, for the progress.
        again
            The statement that goes on from the first batch of which a row is there already, where `statement` only
            creates: what a load has left that did not reach its end, or of other artifacts.

        Raises
        ------
        DatabaseError
            The database wrote another number of rows than it was sent, cannot be reached, or has too
            little memory for a single row.
        """
        statements = [statement] if again is None else [statement, again]
        started, done = time.monotonic(), 0
        with progress(what, total=total, unit="rows", done=0) as advance:
            for chunk in chunks(rows, lambda: self.batch):
                self._write_chunk(what, statements, chunk, advance)
                done += len(chunk)
        seconds = max(time.monotonic() - started, 1e-9)
        self.rates[what] = done / seconds
        logger.debug("%s: %d rows in %.1f s, %.0f rows/s", what, done, seconds, done / seconds)
        return done

    def remove(self, what: str, statement: str, **parameters: Any) -> int:
        """Return how many were removed by a statement that removes at most `$batch` at a time."""
        removed = 0
        while True:
            try:
                count = self._send(what, statement, {"batch": self.batch, **parameters}, "removed")
            except _TooLarge as error:
                self._halve(what, self.batch, error)
                continue
            removed += count
            if not count:
                return removed

    def one(self, what: str, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows that a statement in a transaction of its own answers."""
        from neo4j.exceptions import Neo4jError

        try:
            answered: list[dict[str, Any]] = self.session.execute_write(
                lambda transaction: transaction.run(statement, parameters).data()
            )
        except Neo4jError as error:
            raise explain(error, what) or error from error
        return answered

    def _write_chunk(
        self, what: str, statements: list[str], chunk: list[Any], advance: Callable[[int], None]
    ) -> None:
        """Write a chunk by the first of the statements; it is taken away where a row is there that it would create."""
        position = 0
        while position < len(chunk):
            part = chunk[position : position + self.batch]
            try:
                written = self._send(what, statements[0], {"rows": part}, "written")
            except _TooLarge as error:
                self._halve(what, len(part), error)
                continue
            except _There as error:
                if len(statements) == 1:
                    raise DatabaseError(f"{what}: {error.__cause__}", "load again; if it stays, report it") from error
                logger.debug("%s: some are there already", what)
                del statements[0]
                continue
            if written != len(part):
                raise DatabaseError(
                    f"{what}: {len(part)} rows were sent and {written} written",
                    "a node that they start or end at is missing: load again; if it stays, report it",
                )
            position += len(part)
            advance(len(part))

    def _send(self, what: str, statement: str, parameters: dict[str, Any], answer: str) -> int:
        from neo4j.exceptions import Neo4jError

        def work(transaction: neo4j.ManagedTransaction) -> int:
            try:
                return int(transaction.run(statement, parameters).single(strict=True)[answer])
            except Neo4jError as error:
                if error.code in MEMORY_CODES:  # the driver would send the same batch again for 30 s
                    raise _TooLarge from error
                raise

        try:
            return int(self.session.execute_write(work))
        except Neo4jError as error:
            if error.code in MEMORY_CODES:  # at the commit
                raise _TooLarge from error
            if error.code == _CONSTRAINT:
                raise _There from error
            if (error.code or "").startswith(_LOG_ERRORS):
                raise DatabaseError(
                    f"{what}: the database can write no more: {error.message} ({error.code})",
                    "if its disk is full, free room; start the server again, then load again: what is there is kept",
                ) from error
            raise explain(error, what) or error from error

    def _halve(self, what: str, size: int, error: _TooLarge) -> None:
        if size <= 1:
            raise DatabaseError(
                f"{what}: a single row needs more memory than the database gives a transaction",
                "raise db.memory.transaction.max, dbms.memory.transaction.total.max or server.memory.heap.max_size",
            ) from error.__cause__
        self.batch = size // 2
        logger.warning("%s: too much for the database's memory; going on with %d rows", what, self.batch)


def chunks(rows: Iterable[Any], size: Callable[[], int]) -> Iterator[list[Any]]:
    """Yield the rows in lists of `size()` rows, asked anew for each list; the last may be shorter.

    The next list is read while the caller has the database write the one before.
    """
    stream = iter(rows)

    def take() -> list[Any]:
        return list(itertools.islice(stream, size()))

    with ThreadPoolExecutor(1, "rows") as ahead:
        following = ahead.submit(take)
        while chunk := following.result():
            following = ahead.submit(take)
            yield chunk
