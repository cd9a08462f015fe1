"""Whose readings were: who had the GPU of a series when, as `history.readings` and `history.raw` have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, text

from telemetry.readings.arrays import Int64s
from telemetry.readings.tellers import TOLD_BY
from telemetry.store.read.owned import day
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import Samples, microseconds, time_of

# A text, as SQLAlchemy would need longer to build it than Postgres to answer it. Sessions are in UTC: see
# `telemetry.store.engine`. Of several owners at one time the last row counts.
HELD = text(f"""
    SELECT s.id, greatest(lower(h.stretch), CAST(h.day AS timestamptz)) AS low,
           least(upper(h.stretch), CAST(h.day + 1 AS timestamptz)) AS high,
           CAST(s.labels || h.labels AS text) AS labels, CAST(h.labels AS text) AS owner
    FROM (
        SELECT a.gpu_id, a.instance, a.day, a.held, a.owner_id, o.labels, unnest(a.held) AS stretch
        FROM allocations a JOIN owners o ON o.id = a.owner_id
        WHERE a.gpu_id = ANY(CAST(:gpu_ids AS bigint[])) AND o.labels <> '{{}}' AND a.day >= :first AND a.day <= :last
            AND upper(a.held) > :start AND lower(a.held) <= :end
    ) AS h JOIN series s ON s.gpu_id = h.gpu_id AND coalesce(s.mig_instance, '') = h.instance
    WHERE s.id = ANY(CAST(:ids AS bigint[]))
    ORDER BY h.labels ? '{TOLD_BY}' DESC, upper(h.held), lower(h.held), h.owner_id
""")  # noqa: S608 - a name of ours


def held(seen: Moment, samples: Samples, gpu_ids: Sequence[int], ids: Sequence[int]) -> tuple[Int64s, Sequence[Row[Any]]]:
    """Who had the GPUs of samples in (series, ts) order: `labels` of the series and the owner together, `owner` alone.

    Gives for each sample the number of its series, or that of a row, which count behind all series. `ids` are the series that
    do not name their owner.
    """
    start, end = time_of(int(samples.ts_us.min())), time_of(int(samples.ts_us.max()))
    asked = {"gpu_ids": list(gpu_ids), "ids": list(ids), "start": start, "end": end, "first": day(start), "last": day(end)}
    rows = seen.connection.execute(HELD, asked).all()
    series = np.unique(samples.series)
    codes: Int64s = np.searchsorted(series, samples.series).astype(np.int64)
    for number, row in enumerate(rows, len(series)):
        begin, end_ = np.searchsorted(samples.series, row.id, "left"), np.searchsorted(samples.series, row.id, "right")
        low, high = np.searchsorted(samples.ts_us[begin:end_], [microseconds(row.low), microseconds(row.high)])
        codes[begin + low : begin + high] = number
    return codes, rows
