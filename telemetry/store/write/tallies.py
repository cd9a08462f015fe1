"""How many samples a transaction stores, by the hour: what the audit expects to find (`telemetry.store.read.counted`).

The tally is entered with the batches, as if no key were stored yet; where some are, they are taken back. In both cases by a row
of its own, so that no transaction waits for another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import psycopg

from telemetry.readings.arrays import Int64s

HOUR_US = 3_600_000_000
# Hours that lie further apart are sorted, not counted into an array of all between them.
MAX_SPAN = 10_000
TAKE_BACK = b"""
    INSERT INTO tallies
    SELECT floor(extract(epoch FROM date_bin('1 hour', ts, TIMESTAMPTZ 'epoch')) / 3600)::integer, -count(*)
    FROM staging GROUP BY 1
"""


class Tally(NamedTuple):
    """Hours since 1970, and how many samples each has."""

    hours: list[int]
    samples: list[int]


def of(ts_us: Int64s) -> Tally:
    """The tally of samples at some times."""
    if not len(ts_us):
        return Tally([], [])
    hours = ts_us // HOUR_US
    first = int(hours.min())
    if int(hours.max()) - first > MAX_SPAN:
        which, numbers = np.unique(hours, return_counts=True)
        return Tally(which.tolist(), numbers.tolist())
    numbers = np.bincount(hours - first)
    which = np.flatnonzero(numbers)
    return Tally((which + first).tolist(), numbers[which].tolist())


def take_back_staged(connection: psycopg.Connection) -> None:
    """Take back the samples in the staging table: their keys were stored before."""
    connection.execute(TAKE_BACK)
