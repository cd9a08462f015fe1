"""Marks readings that came late, so that the health of their GPUs is judged anew. Readings in time need no mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, text

from telemetry.readings.arrays import Int64s
from telemetry.store.write.series_ids import Resolved

# What is younger when it is stored is judged by the next look at the last minutes, which reaches back further than this and the
# longest transaction: `telemetry.store.upkeep.judging`.
LATE_US = 120_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DAY_US = 86_400_000_000

# A row a day: what lies between two days of one transaction may be years.
MARK = text("""
    INSERT INTO unjudged (gpu_ids, since, until)
    SELECT CAST(:gpu_ids AS bigint[]), since, until
    FROM unnest(CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[])) AS d (since, until)
""")


def mark(connection: Connection, resolved: Resolved, ts_us: Int64s, now_us: int) -> None:
    """Mark the late ones among readings of some times, inside the transaction that stores them."""
    late_us = ts_us[ts_us < now_us - LATE_US]
    if not len(late_us):
        return
    uses = np.flatnonzero(np.bincount(np.concatenate(resolved.of))).tolist()
    gpu_ids = sorted({resolved.uses[use].gpu_id for use in uses})
    days = late_us // DAY_US
    parts = [late_us] if days.min() == days.max() else [late_us[days == day] for day in np.unique(days)]
    ends = [[EPOCH + timedelta(microseconds=int(end(part))) for part in parts] for end in (np.min, np.max)]
    connection.execute(MARK, {"gpu_ids": gpu_ids, "since": ends[0], "until": ends[1]})
