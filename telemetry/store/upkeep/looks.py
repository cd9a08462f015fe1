"""What the health of GPUs is judged by: the readings near a span of time, their extremes, and the minutes a GPU was read in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, text

from telemetry.readings.arrays import Float64s, Int64s
from telemetry.store.told import IS_READ

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A time of a GPU, both ends included."""

    gpu_id: int
    since: datetime
    until: datetime


# Between which values the readings of each series lie, of which nearly all tell of no fault: one pass over an index.
EXTREMES = text("""
    SELECT s.gpu_id, s.id AS series_id, m.name AS metric, g.model, x.low, x.high
    FROM unnest(CAST(:gpu_ids AS bigint[]), CAST(:sinces AS timestamptz[]), CAST(:untils AS timestamptz[]))
         AS w (gpu_id, since, until)
    JOIN series s ON s.gpu_id = w.gpu_id
    JOIN unnest(CAST(:metrics AS text[]), CAST(:reaches AS double precision[])) AS r (name, reach_s) ON true
    JOIN metrics m ON m.id = s.metric_id AND m.name = r.name
    JOIN gpus g ON g.id = s.gpu_id
    CROSS JOIN LATERAL (
        SELECT min(value) AS low, max(value) AS high
        FROM samples_of(s.id, w.since - make_interval(secs => r.reach_s), w.until + make_interval(secs => r.reach_s))
        WHERE ts BETWEEN :first AND :last
    ) x
    WHERE x.low IS NOT NULL
""")
# The readings of a span, and one more at each side.
READINGS = text("""
    SELECT w.n, (extract(epoch FROM x.ts) * 1000000)::bigint, x.value
    FROM unnest(CAST(:ns AS integer[]), CAST(:ids AS bigint[]), CAST(:sinces AS timestamptz[]), CAST(:untils AS timestamptz[]))
         AS w (n, series_id, since, until)
    CROSS JOIN LATERAL (
        SELECT ts, value FROM samples_last(w.series_id, '-infinity', w.since - interval '1 microsecond', 1)
        UNION ALL
        SELECT ts, value FROM samples_of(w.series_id, w.since, w.until)
        UNION ALL
        SELECT ts, value FROM samples_first(w.series_id, w.until + interval '1 microsecond', 'infinity', 1)
    ) x
    ORDER BY w.n, x.ts
""")
NEXT = text("""
    SELECT w.n, (SELECT ts FROM samples_first(w.series_id, w.until + interval '1 microsecond', 'infinity', 1))
    FROM unnest(CAST(:ns AS integer[]), CAST(:ids AS bigint[]), CAST(:untils AS timestamptz[])) AS w (n, series_id, until)
""")
# The minutes of the days of a span, of the last day before it that has some, and of the first behind it; and when it was read
# next after those.
READ = text(f"""
    SELECT w.gpu_id, range_agg(minutes.span) AS read, (
        SELECT lower(held) FROM allocations a WHERE a.gpu_id = w.gpu_id AND a.day > w.high AND {IS_READ}
        ORDER BY a.day, lower(held) LIMIT 1
    ) AS next
    FROM (
        SELECT gpu_id,
               coalesce((SELECT max(day) FROM allocations a
                         WHERE a.gpu_id = d.gpu_id AND a.day < d.first AND {IS_READ}), d.first) AS low,
               coalesce((SELECT min(day) FROM allocations a
                         WHERE a.gpu_id = d.gpu_id AND a.day > d.last AND {IS_READ}), d.last) AS high
        FROM (
            SELECT gpu_id, (since AT TIME ZONE 'UTC')::date AS first, (until AT TIME ZONE 'UTC')::date AS last
            FROM unnest(CAST(:gpu_ids AS bigint[]), CAST(:sinces AS timestamptz[]), CAST(:untils AS timestamptz[]))
                 AS given (gpu_id, since, until)
        ) d
    ) w
    CROSS JOIN LATERAL (
        SELECT unnest(held) AS span FROM allocations a
        WHERE a.gpu_id = w.gpu_id AND a.day BETWEEN w.low AND w.high AND {IS_READ}
    ) minutes
    GROUP BY w.gpu_id, w.high
""")  # noqa: S608 - a condition of ours
ALIVE = text(f"""
    SELECT DISTINCT gpu_id FROM allocations a
    WHERE day >= (CAST(:since AS timestamptz) AT TIME ZONE 'UTC')::date AND upper(held) > :since AND {IS_READ}
""")  # noqa: S608 - a condition of ours
# GPUs that fell silent of late, and are not known to be.
FALLEN_SILENT = text(f"""
    SELECT a.gpu_id FROM allocations a
    WHERE a.day >= (CAST(:since AS timestamptz) AT TIME ZONE 'UTC')::date AND {IS_READ}
    GROUP BY a.gpu_id
    HAVING max(upper(a.held)) <= :until AND NOT EXISTS (
        SELECT FROM findings f WHERE f.gpu_id = a.gpu_id AND f.rule = 'silent' AND f.ended_at IS NULL
    )
""")  # noqa: S608 - a condition of ours
# The mean of a metric of each GPU of a job in each step in which the job had it all the time.
MEANS = text("""
    SELECT b.step, o.job, a.gpu_id, avg(x.value) AS mean
    FROM generate_series(CAST(:first AS timestamptz), CAST(:last AS timestamptz), make_interval(secs => :step_s)) AS b (step)
    JOIN allocations a ON a.day = (b.step AT TIME ZONE 'UTC')::date AND a.instance = ''
        AND a.held @> tstzrange(b.step, b.step + make_interval(secs => :step_s))
    JOIN owners o ON o.id = a.owner_id AND o.job IS NOT NULL
    JOIN series s ON s.gpu_id = a.gpu_id AND NOT s.of_owner AND s.mig_instance IS NULL
    JOIN metrics m ON m.id = s.metric_id AND m.name = :metric
    CROSS JOIN LATERAL (
        SELECT value FROM samples_of(s.id, b.step, b.step + make_interval(secs => :step_s))
        WHERE ts < b.step + make_interval(secs => :step_s)
            AND ts BETWEEN :first AND CAST(:last AS timestamptz) + make_interval(secs => :step_s)
    ) x
    GROUP BY 1, 2, 3
""")


def extremes(connection: Connection, spans: Sequence[Span], reaches_s: Mapping[str, float]) -> Sequence[Row[Any]]:
    """The smallest and the largest reading of each series of some metrics, near the spans as far as each metric reaches."""
    if not spans:
        return []
    most = timedelta(seconds=max(reaches_s.values()))
    ends = {"first": min(span.since for span in spans) - most, "last": max(span.until for span in spans) + most}
    given = {**_columns(spans), **ends, "metrics": list(reaches_s), "reaches": list(reaches_s.values())}
    return connection.execute(EXTREMES, given).all()


def readings(connection: Connection, asked: Sequence[tuple[int, datetime, datetime]]) -> list[tuple[Int64s, Float64s]]:
    """The readings of each (series, first time, last time), and one more at each side: times (us) and values."""
    columns: list[tuple[list[int], list[float]]] = [([], []) for _ in asked]
    if asked:
        for n, ts_us, value in connection.execute(READINGS, _asked(asked)):
            columns[n][0].append(ts_us)
            columns[n][1].append(value)
    return [(np.array(times, np.int64), np.array(values, np.float64)) for times, values in columns]


def following(connection: Connection, asked: Sequence[tuple[int, datetime, datetime]]) -> list[datetime]:
    """The time of the first reading behind each (series, first time, last time), the last time if there is none."""
    ends = [until for _, _, until in asked]
    if asked:
        given = _asked(asked)
        del given["sinces"]
        for n, ts in connection.execute(NEXT, given):
            ends[n] = ts or ends[n]
    return ends


def read(connection: Connection, spans: Sequence[Span]) -> dict[int, list[tuple[datetime, datetime]]]:
    """The stretches of minutes in which each GPU was read, near its span: at least one before and one behind it, if any.

    Where it was read later too, the last stretch is the moment at which that begins.
    """
    rows = connection.execute(READ, _columns(spans)) if spans else ()
    return {
        row.gpu_id: [*((part.lower, part.upper) for part in row.read), *([(row.next, row.next)] if row.next else [])]
        for row in rows
    }


def alive(connection: Connection, since: datetime) -> list[int]:
    """The GPUs with a reading since a time, to the minute."""
    return list(connection.scalars(ALIVE, {"since": since}))


def fallen_silent(connection: Connection, since: datetime, until: datetime) -> list[int]:
    """The GPUs whose last reading is of between two times, and that are not known to be silent."""
    return list(connection.scalars(FALLEN_SILENT, {"since": since, "until": until}))


def means(
    connection: Connection, metric: str, first: datetime, last: datetime, step_s: int
) -> dict[tuple[datetime, str], dict[int, float]]:
    """The mean of a metric of each GPU, by step and job, of the steps that begin between two times."""
    by_step: dict[tuple[datetime, str], dict[int, float]] = defaultdict(dict)
    given = {"metric": metric, "first": first, "last": last, "step_s": step_s}
    for row in connection.execute(MEANS, given):
        by_step[row.step, row.job][row.gpu_id] = row.mean
    return by_step


def us(moment: datetime) -> int:
    """A time in microseconds."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(time_us: int) -> datetime:
    """A time from microseconds."""
    return EPOCH + timedelta(microseconds=time_us)


def _columns(spans: Collection[Span]) -> dict[str, Any]:
    return {
        "gpu_ids": [span.gpu_id for span in spans],
        "sinces": [span.since for span in spans],
        "untils": [span.until for span in spans],
    }


def _asked(asked: Iterable[tuple[int, datetime, datetime]]) -> dict[str, list[Any]]:
    ids, sinces, untils = zip(*asked, strict=True)
    return {"ns": list(range(len(ids))), "ids": list(ids), "sinces": list(sinces), "untils": list(untils)}
