"""The database as a whole: how much there is of everything, from when to when, and the revision of the schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, Connection, cast, func, select, text
from sqlalchemy.exc import ProgrammingError

from telemetry.store.models import LEDGER, DeadLetter, Gpu, Metric, Quarantined, Series
from telemetry.store.read.inventory import GpuFilter, gpus_counted

# Above this many rows the planner's estimate is given instead of a count, which would read everything.
EXACT_COUNT_ROWS = 1_000_000
# As the planner reckons: the density of rows at the last ANALYZE times the size now. A partition that was never analysed is
# taken for full of rows of 52 bytes (an item pointer of 4, a header of 24, three columns of 8).
ESTIMATE = text("""
    SELECT sum(pg_relation_size(oid) * CASE WHEN relpages > 0 AND reltuples >= 0
               THEN reltuples / (relpages * current_setting('block_size')::float8) ELSE 1 / 52.0 END)::bigint
    FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'samples'::regclass
""")
# In order of time: the text of a bound sorts as its time does. Names do not once partitions are merged.
PARTITIONS = text("""
    SELECT oid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'samples'::regclass ORDER BY pg_get_expr(relpartbound, oid)
""")

# Of spans that are not finished the partition has the samples.
SEALED = "(SELECT coalesce(sum(samples), 0) FROM sealed_spans) + (SELECT count(*) FROM late)"
# In one statement, as a day may be sealed between two.
COUNT = text(f"SELECT (SELECT count(*) FROM samples) + {SEALED}")  # noqa: S608 - the text above
SEALED_BOUNDS = text("""
    SELECT (SELECT min(times[1]) FROM sealed_times WHERE day = (SELECT min(day) FROM sealed_times)),
           (SELECT max(times[cardinality(times)]) FROM sealed_times WHERE day = (SELECT max(day) FROM sealed_times)),
           (SELECT min(ts) FROM late), (SELECT max(ts) FROM late)
""")


def revision(connection: Connection, timeout_s: float) -> str | None:
    """The revision of the database's schema. Raises ProgrammingError if it was never migrated."""
    connection.execute(text(f"SET LOCAL statement_timeout = {round(1000 * timeout_s)}"))
    number: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return number


def stats(connection: Connection) -> dict[str, Any]:
    """The document of /stats: how many there are of everything, and the first and the last time of a sample."""
    # The sum of a bigint is numeric.
    batches = select(LEDGER.c.status, cast(func.sum(LEDGER.c.batches), BigInteger).label("batches")).group_by(LEDGER.c.status)
    status: dict[str, int] = {row.status: row.batches for row in connection.execute(batches)}
    samples, exact = _samples(connection)
    earliest, latest = _bounds(connection)
    return {
        "gpus": connection.scalar(gpus_counted(GpuFilter())),
        "hosts": connection.scalar(select(func.count(Gpu.host.distinct()))),
        "metrics": connection.scalar(select(func.count()).select_from(Metric)),
        "series": connection.scalar(select(func.count()).select_from(Series)),
        "samples": samples,
        "samples_exact": exact,
        "earliest": earliest,
        "latest": latest,
        "batches": {"stored": status.get("stored", 0), "dead": status.get("dead", 0)},
        "quarantined": connection.scalar(select(func.count()).select_from(Quarantined)),
        "dead_letters": connection.scalar(select(func.count()).select_from(DeadLetter)),
    }


def _samples(connection: Connection) -> tuple[int, bool]:
    """How many samples there are, and whether that is a count or an estimate."""
    estimate = int(connection.scalar(ESTIMATE) or 0)
    if estimate > EXACT_COUNT_ROWS:
        return estimate + int(connection.scalar(text(f"SELECT {SEALED}")) or 0), False
    return int(connection.scalar(COUNT) or 0), True


def _bounds(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """The first and the last time of a sample: of the outermost partition that has one, of sealed days, and of late ones."""
    try:
        return _bounds_now(connection)
    except ProgrammingError:
        # A partition was sealed after it was listed.
        return _bounds_now(connection)


def _bounds_now(connection: Connection) -> tuple[datetime | None, datetime | None]:
    names = connection.scalars(PARTITIONS).all()
    first, last, first_late, last_late = connection.execute(SEALED_BOUNDS).one()
    earliest = (_outermost(connection, names, "ASC"), first, first_late)
    latest = (_outermost(connection, names[::-1], "DESC"), last, last_late)
    return min(filter(None, earliest), default=None), max(filter(None, latest), default=None)


def _outermost(connection: Connection, partitions: Sequence[str], direction: Literal["ASC", "DESC"]) -> datetime | None:
    for partition in partitions:
        # By series, as no index is on the time alone: min(ts) would read the whole day.
        time: datetime | None = connection.scalar(
            text(
                f"SELECT ts FROM series CROSS JOIN LATERAL (SELECT ts FROM {partition} WHERE series_id = series.id"  # noqa: S608
                f" ORDER BY ts {direction} LIMIT 1) outermost ORDER BY ts {direction} LIMIT 1"
            )
        )
        if time is not None:
            return time
    return None
