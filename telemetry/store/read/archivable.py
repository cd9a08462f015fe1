"""What `telemetry archive` reads: which days are sealed and not archived as they are, and all that is known of their samples.

A day is read in one transaction that `begin` has begun, so that it is as of one moment: its arrays, and what came late for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from telemetry.readings.arrays import Int64s
from telemetry.store import locks, sealed_rows
from telemetry.store.engine import driver
from telemetry.store.sealed_rows import Samples, microseconds, ordered

# The locks come before the first snapshot: a month that is dropped is seen at once, its rows by younger snapshots alone. They
# keep neither collectors nor the sealer out. Between two statements a day is sent to a store that may be far away.
BEGIN = (
    text("SET LOCAL statement_timeout = 0"),
    text("SET LOCAL idle_in_transaction_session_timeout = '2h'"),
    text("LOCK TABLE sealed, sealed_times, late IN ACCESS SHARE MODE"),
)
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
# Spans, which are days nearly always, that have another number of samples than what is archived of them.
CHANGED = text("""
    WITH spans AS (
        SELECT first_day, least(end_day, CAST(:before AS date)) AS end_day, samples FROM sealed_spans
        WHERE sealed_at IS NOT NULL AND first_day < :before
    ), late_days AS (SELECT (ts AT TIME ZONE 'UTC')::date AS day, count(*) AS number FROM late GROUP BY 1)
    SELECT s.first_day, s.end_day FROM spans s
    WHERE s.samples + coalesce((SELECT sum(number) FROM late_days WHERE day >= s.first_day AND day < s.end_day), 0)
        <> coalesce((
            SELECT sum(a.samples) FROM archived_days a WHERE a.place = :place AND a.day >= s.first_day AND a.day < s.end_day
        ), 0)
    ORDER BY 1
""")
COUNTED = """
    SELECT day, sum(number)::bigint AS samples FROM (
        SELECT day, n AS number FROM sealed WHERE day >= :first AND day < :end
        UNION ALL
        SELECT (ts AT TIME ZONE 'UTC')::date, 1 FROM late
        WHERE ts >= CAST(:first AS timestamp) AT TIME ZONE 'UTC' AND ts < CAST(:end AS timestamp) AT TIME ZONE 'UTC'
    ) AS parts GROUP BY day
"""
DAYS = text(f"""
    SELECT c.day, c.samples FROM ({COUNTED}) AS c
    WHERE NOT EXISTS (SELECT FROM archived_days a WHERE a.place = :place AND a.day = c.day AND a.samples = c.samples)
    ORDER BY 1
""")  # noqa: S608 - the text above
IS_SEALED = text("""
    SELECT EXISTS (SELECT FROM sealed_spans WHERE sealed_at IS NOT NULL AND first_day <= :day AND end_day > :day)
""")
# A series that another name of its GPU was told under is archived under that name (`telemetry.store.upkeep.joining`), which
# stays the same whether the two are joined or parted later.
SERIES = text("""
    WITH counted AS (
        SELECT series_id, sum(number)::bigint AS samples FROM (
            SELECT series_id, n AS number FROM sealed WHERE day = :day
            UNION ALL
            SELECT series_id, 1 FROM late
            WHERE ts >= CAST(:day AS timestamp) AT TIME ZONE 'UTC' AND ts < CAST(:day + 1 AS timestamp) AT TIME ZONE 'UTC'
        ) AS parts GROUP BY series_id
    ), edges AS (
        SELECT gpu_id, string_agg(DISTINCT edge, ' ' ORDER BY edge) AS edges FROM gpu_places GROUP BY gpu_id
    )
    SELECT c.series_id AS id, c.samples, m.name AS metric, t.identity AS told_as,
           encode(substr(s.labels_digest, 1, 16), 'hex') AS series, m.unit, g.identity AS gpu, t.uuid, t.host,
           t.gpu_index AS index, t.device, coalesce(t.model, g.model) AS model, coalesce(t.driver_version, g.driver_version)
           AS driver_version, s.labels, e.edges, g.id AS gpu_id, CASE WHEN s.of_owner THEN NULL ELSE
           coalesce(s.mig_instance, '') END AS instance
    FROM counted c JOIN series s ON s.id = c.series_id JOIN metrics m ON m.id = s.metric_id JOIN gpus g ON g.id = s.gpu_id
    JOIN gpus t ON t.id = CASE WHEN length(s.labels_digest) > 16 THEN
        ('x' || encode(substr(s.labels_digest, 17), 'hex'))::bit(64)::bigint ELSE g.id END
    LEFT JOIN edges e ON e.gpu_id = t.id
""")
# Of several owners at one time the last row counts, as in the view `readings`.
OWNERS = text("""
    SELECT a.gpu_id, a.instance, o.labels, lower(r) AS low, upper(r) AS high
    FROM allocations a JOIN owners o ON o.id = a.owner_id CROSS JOIN LATERAL unnest(a.held) AS r
    WHERE a.day = :day ORDER BY upper(a.held), lower(a.held), o.id
""")
LATE = """
    SELECT series_id, ts, value FROM late
    WHERE series_id = ANY('{{{ids}}}'::bigint[]) AND ts >= '{day} 00:00:00+00' AND ts < '{end} 00:00:00+00'
"""


class Day(NamedTuple):
    """A sealed day, and how many samples it has."""

    day: date
    samples: int


@dataclass(frozen=True, slots=True)
class Series:
    """A series on a day: what the archive says of it, and where its owner is found; no `instance` if it names its own."""

    id: int
    samples: int
    metric: str
    told_as: str
    series: str
    unit: str | None
    gpu: str
    uuid: str | None
    host: str | None
    index: int | None
    device: str | None
    model: str | None
    driver_version: str | None
    labels: str
    edges: str | None
    gpu_id: int
    instance: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """By which series are told apart, and ordered, in each database."""
        return self.metric, self.told_as, self.series


class Stretch(NamedTuple):
    """A time [low, high) in microseconds from 1970 in which an owner had a GPU or instance, by its labels as JSON."""

    low_us: int
    high_us: int
    labels: str


def begin(connection: Connection) -> bool:
    """Make the transaction, which must be REPEATABLE READ, see one moment. False if another process archives."""
    for statement in BEGIN:
        connection.execute(statement)
    return bool(connection.scalar(TRY_LOCK, {"key": locks.ARCHIVE}))


def days(connection: Connection, place: str, before: date) -> list[Day]:
    """The sealed days before one that are not archived at a place as they stand, in order."""
    spans = connection.execute(CHANGED, {"place": place, "before": before}).all()
    return [
        Day(*row)
        for span in spans
        for row in connection.execute(DAYS, {"place": place, "first": span.first_day, "end": span.end_day})
    ]


def is_sealed(connection: Connection, day: date) -> bool:
    """Whether a day is sealed."""
    return bool(connection.scalar(IS_SEALED, {"day": day}))


def series_of(connection: Connection, day: date) -> list[Series]:
    """The series that have samples on a sealed day, in order of their keys."""
    rows = connection.execute(SERIES, {"day": day})
    return sorted((Series(**{**row, "labels": _json(row["labels"])}) for row in rows.mappings()), key=lambda one: one.key)


def samples_of(connection: Connection, series: Sequence[Series], day: date) -> list[Samples]:
    """The samples of some series on a sealed day, of each in order of time."""
    ids, end = [one.id for one in series], day + timedelta(days=1)
    psycopg = driver(connection)
    rows = sealed_rows.fetch_days(psycopg, ids, day, end)
    late = sealed_rows.copied(psycopg, LATE.format(ids=",".join(map(str, ids)), day=day, end=end))
    parts = [Samples(np.full(len(row.ts_us), row.series), row.ts_us, row.values) for row in rows]
    # The sealed one of a key comes first, as it was stored first.
    columns: list[Any] = [np.concatenate(pieces) for pieces in zip(*parts, late, strict=True)]
    samples: Any = ordered(Samples(*columns))
    begins, ends = (np.searchsorted(samples.series, ids, side).tolist() for side in ("left", "right"))
    return [Samples(*(column[low:high] for column in samples)) for low, high in zip(begins, ends, strict=True)]


def owners_of(connection: Connection, day: date) -> dict[tuple[int, str], list[Stretch]]:
    """When who had the GPUs and instances on a day; of stretches that overlap the last one counts."""
    stretches: dict[tuple[int, str], list[Stretch]] = {}
    for gpu_id, instance, labels, low, high in connection.execute(OWNERS, {"day": day}):
        stretch = Stretch(microseconds(low), microseconds(high), _json(labels))
        stretches.setdefault((gpu_id, instance), []).append(stretch)
    return stretches


def held(stretches: Sequence[Stretch], ts_us: Int64s) -> tuple[Int64s, list[str]]:
    """For each of some times, in order, the place of its owner among the labels; -1 where none is known."""
    labels = sorted({stretch.labels for stretch in stretches})
    codes = np.full(len(ts_us), -1, np.int64)
    for stretch in stretches:
        low, high = np.searchsorted(ts_us, [stretch.low_us, stretch.high_us])
        codes[low:high] = labels.index(stretch.labels)
    return codes, labels


def _json(labels: dict[str, Any]) -> str:
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
