"""Keeps readings whose key is stored with another value: both values, and the source that brought the other one.

The readings are those that `samples` left in the temporary table `staging`. All runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import psycopg


class Origin(NamedTuple):
    """Where the readings of a batch come from: the id of its source, and its own."""

    source_id: int
    batch_id: str


def keep(connection: psycopg.Connection, table: str, origins: Sequence[Origin]) -> None:
    """Keep what is staged and differs from what a partition holds; `origins` are of the batches by their numbers.

    What a source brought before is kept once, however often it is read.
    """
    sources, batches = [origin.source_id for origin in origins], [origin.batch_id for origin in origins]
    # In order, so that two transactions cannot wait for each other.
    connection.execute(
        "INSERT INTO conflicts (source_id, batch_id, series_id, ts, value, stored)"  # noqa: S608
        " SELECT o.source_id, o.batch_id, s.series_id, s.ts, s.value, t.value"
        f" FROM staging s JOIN {table} t USING (series_id, ts)"
        " JOIN unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS o (source_id, batch_id, number) ON o.number = s.batch + 1"
        " WHERE t.value <> s.value ORDER BY s.series_id, s.ts, s.value, o.source_id ON CONFLICT DO NOTHING".encode(),
        (sources, batches),
    )
