"""Fault 62 on a real server: a batch that needs more memory than a transaction may have is halved until it fits."""

from __future__ import annotations

import logging

import pytest
from graph_checks import empty, values

from atlas.ingest.graph import open_session
from atlas.ingest.graph_write import Writer

pytestmark = pytest.mark.neo4j

# The texts are made by the server from their length, as a power of two: no batch of them has to be sent.
LARGE = """
UNWIND $rows AS row
CREATE (:Large {place: row[0], text: reduce(text = 'x', _ IN range(1, row[1]) | text + text)})
RETURN count(*) AS written
"""


def test_a_batch_too_large_for_a_transaction_is_halved(driver, caplog):
    """540 MiB in one batch are refused by the server; every row is written in the end, and once."""
    empty(driver)
    caplog.set_level(logging.WARNING, "atlas")
    rows = [[place, 20] for place in range(270)]
    try:
        with open_session(driver, None) as session:
            writer = Writer(session, batch=len(rows))
            assert writer.write("Large", LARGE, rows, total=len(rows)) == len(rows)
        assert 1 <= writer.batch < len(rows)
        assert f"Large: too much for the database's memory; going on with {len(rows) // 2} rows" in caplog.messages
        asked = "MATCH (n:Large) RETURN count(n), count(DISTINCT n.place), min(size(n.text)), max(size(n.text))"
        assert values(driver, asked) == [(len(rows), len(rows), 2**20, 2**20)]
    finally:
        with driver.session() as session:  # deleting all of it at once would be too much, too
            session.run("MATCH (n:Large) CALL (n) { DELETE n } IN TRANSACTIONS OF 20 ROWS").consume()
