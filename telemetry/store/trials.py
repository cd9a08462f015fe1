"""Removes what trials leave: rows of the ledger, and dead letters. A trial stores no sample.

As with foreign sources, one row of `sources` stays for each edge, as collectors keep its id; without a batch no list shows it.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.readings.names import TRIAL, TRIAL_PATH

OF_TRIALS = "source_id IN (SELECT id FROM sources WHERE fingerprint = :trial AND path = :path)"
# What calls itself a trial and has brought readings is none: the account of them stays.
EMPTY = "stored = 0 AND duplicate = 0 AND conflict = 0 AND quarantined = 0"
BATCHES = text(f"""
    DELETE FROM batches WHERE {OF_TRIALS} AND {EMPTY}
    RETURNING edge, batch_id, extract(epoch FROM committed_at - published_at) AS latency_s
""")  # noqa: S608 - the texts above
RANGES = text(f"DELETE FROM ledger_ranges WHERE {OF_TRIALS} AND {EMPTY}")  # noqa: S608 - the texts above
LETTERS = text("DELETE FROM dead_letters WHERE header -> 'source' ->> 'fingerprint' = :trial AND starts_with(batch_id, :trial)")


class Removed(NamedTuple):
    """A batch of a trial that the ledger had, and how long it took from its publication to its commit."""

    edge: str
    batch_id: str
    latency_s: float


def forget(connection: Connection) -> list[Removed]:
    """Remove it all; the batches whose ids the ledger still had."""
    named = {"trial": TRIAL, "path": TRIAL_PATH}
    connection.execute(RANGES, named)
    connection.execute(LETTERS, {"trial": TRIAL})
    rows = connection.execute(BATCHES, named)
    return [Removed(row.edge, row.batch_id, round(float(row.latency_s), 4)) for row in rows]
