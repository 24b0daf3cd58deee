"""Writes rows to the database: bounded batches, returned counts compared with rows sent."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from atlas.errors import DatabaseError
from atlas.ingest.progress import progress
from atlas.queries.run import MEMORY_CODES, explain

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")


_CONSTRAINT = "Neo.ClientError.Schema.ConstraintValidationFailed"
_LOG_ERRORS = "Neo.DatabaseError.Transaction."  # of a transaction that could not be kept (fault 64)


Steps = tuple[tuple[str, tuple[int, ...]], ...]
"""Statements over the same rows, and the places of a row that each is sent."""


class _TooLarge(Exception):  # noqa: N818 - a signal between two functions
    """The database has too little memory for the batch."""


class _There(Exception):  # noqa: N818 - a signal between two functions
    """A row of the batch is in the database already; nothing of the batch was written."""


class Writer:
    """The writer of a load, over one session.

    Parameters
    ----------
    batch
        Rows of a transaction; halved, and left so, when the database has too little memory (fault 62).
    """

    def __init__(self, session: neo4j.Session, *, batch: int) -> None:
        self.session = session
        self.batch = batch
        self.rates: dict[str, float] = {}

    def write(self, what: str, statement: str, rows: Iterable[Any], *, total: int) -> int:
        """Return the number of rows written, after each was answered for.

        Parameters
        ----------
        what
            Label or type, for the progress and the errors.
        statement
            One that takes `$rows` and returns `written`.
        total
            How many rows there are, for the progress.

        Raises
        ------
        DatabaseError
            The database wrote another number of rows than it was sent, cannot be reached, or has too
            little memory for a single row.
        """
        done = 0
        with self._counted(what, total) as advance:
            for chunk in chunks(rows, lambda: self.batch):
                try:
                    self._write_chunk(what, statement, chunk, session=self.session)
                except _There as error:
                    raise DatabaseError(f"{what}: {error.__cause__}", "load again; if it stays, report it") from error
                advance(len(chunk))
                done += len(chunk)
        return done

    def create(
        self,
        what: str,
        statements: Steps,
        rows: Iterable[Sequence[Any]],
        *,
        total: int,
        again: str,
        beside: neo4j.Session,
    ) -> int:
        """Return the number of rows written by two statements that create, the second a batch behind the first.

        The second has a session of its own, so that both work at once: what they create must take no lock of the
        other's. From the first batch of which a row is there already, `again` writes whole rows over what is there:
        what a load has left that did not reach its end, or of other artifacts.

        Parameters
        ----------
        statements
            Each takes `$rows` and returns `written`; beside it stand the places of a row that it is sent.

        Raises
        ------
        DatabaseError
            As `write`.
        """
        (first, of_first), (second, of_second) = statements
        behind: tuple[list[Any], Future[None]] | None = None

        def settled() -> bool:
            """Wait for the second statement; return whether no row of its batch was there, and see that all are now."""
            if behind is None:
                return True
            chunk, written = behind
            try:
                written.result()
            except _There:
                self._write_chunk(what, again, chunk, session=self.session)
                return False
            finally:
                advance(len(chunk))
            return True

        with self._counted(what, total) as advance, ThreadPoolExecutor(1, "second") as ahead:
            new, done = True, 0
            for chunk in chunks(rows, lambda: self.batch):
                if new:
                    new = self._created(what, first, _some(chunk, of_first))
                    new = settled() and new
                    behind = None
                if new:
                    sent = _some(chunk, of_second)
                    behind = chunk, ahead.submit(self._write_chunk, what, second, sent, session=beside)
                else:
                    self._write_chunk(what, again, chunk, session=self.session)
                    advance(len(chunk))
                done += len(chunk)
            settled()
        return done

    def remove(self, what: str, statement: str, **parameters: Any) -> int:
        """Return how many were removed by a statement that removes at most `$batch` at a time."""
        removed = 0
        while True:
            try:
                count = self._send(
                    what, statement, {"batch": self.batch, **parameters}, "removed", session=self.session
                )
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

    @contextmanager
    def _counted(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show the progress of the rows of a step, and keep how many a second were written."""
        started, done = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            show(count)

        with progress(what, total=total, unit="rows", done=0) as show:
            yield advance
        seconds = max(time.monotonic() - started, 1e-9)
        self.rates[what] = done / seconds
        logger.debug("%s: %d rows in %.1f s, %.0f rows/s", what, done, seconds, done / seconds)

    def _created(self, what: str, statement: str, chunk: list[Any]) -> bool:
        """Return whether the rows were created; False where one was there already."""
        try:
            self._write_chunk(what, statement, chunk, session=self.session)
        except _There:
            logger.debug("%s: some are there already", what)
            return False
        return True

    def _write_chunk(self, what: str, statement: str, chunk: list[Any], *, session: neo4j.Session) -> None:
        position = 0
        while position < len(chunk):
            part = chunk[position : position + self.batch]
            try:
                written = self._send(what, statement, {"rows": part}, "written", session=session)
            except _TooLarge as error:
                self._halve(what, len(part), error)
                continue
            if written != len(part):
                raise DatabaseError(
                    f"{what}: {len(part)} rows were sent and {written} written",
                    "a node that they start or end at is missing: load again; if it stays, report it",
                )
            position += len(part)

    def _send(
        self, what: str, statement: str, parameters: dict[str, Any], answer: str, *, session: neo4j.Session
    ) -> int:
        from neo4j.exceptions import Neo4jError

        def work(transaction: neo4j.ManagedTransaction) -> int:
            try:
                return int(transaction.run(statement, parameters).single(strict=True)[answer])
            except Neo4jError as error:
                if error.code in MEMORY_CODES:  # the driver would send the same batch again for 30 s
                    raise _TooLarge from error
                raise

        try:
            return int(session.execute_write(work))
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
        self.batch = min(self.batch, size // 2)
        logger.warning("%s: too much for the database's memory; going on with %d rows", what, self.batch)


def _some(chunk: list[Any], places: tuple[int, ...]) -> list[Any]:
    return list(map(itemgetter(*places), chunk))


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
