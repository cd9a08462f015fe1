"""What readers ask of the database as a whole: one GPU, the counts, the schema's revision.

Each function takes a connection and returns plain values. Lists are in `inventory` and `flow`, readings in `history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select, text

from telemetry.store.models import Batch, DeadLetter, Gpu, Metric, Quarantined, Sample, Series

# Above this many rows the planner's estimate is told instead of a count: a count reads everything.
EXACT_COUNT_ROWS = 1_000_000
# Rows by the density at the last ANALYZE and the size now, as the planner reckons; of a partition that never had one by
# the size of a row alone (an item pointer of 4 bytes, a header of 24, three columns of 8).
ESTIMATE = text("""
    SELECT sum(pg_relation_size(oid) * CASE WHEN relpages > 0 AND reltuples >= 0
               THEN reltuples / (relpages * current_setting('block_size')::float8) ELSE 1 / 52.0 END)::bigint
    FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'samples'::regclass
""")
# In order of time: a bound's text sorts as its time does, and names say nothing once partitions are merged.
PARTITIONS = text("""
    SELECT oid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'samples'::regclass ORDER BY pg_get_expr(relpartbound, oid)
""")

Record = Row[Any]


def revision(connection: Connection, patience_s: int) -> str | None:
    """The migration that the database stands at. Raises ProgrammingError where there never was one."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{patience_s}s'"))
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def gpu(connection: Connection, name: str) -> Record | None:
    """A GPU by its UUID, or by host:index."""
    by_identity = connection.execute(select(Gpu.__table__).where(Gpu.identity == name)).first()
    host, colon, index = name.rpartition(":")
    if by_identity is not None or not colon or not (index.isascii() and index.isdigit() and len(index) < 10):  # noqa: PLR2004
        return by_identity
    return connection.execute(
        select(Gpu.__table__).where(Gpu.host == host, Gpu.index == int(index)).order_by(Gpu.id.desc())
    ).first()


def stats(connection: Connection) -> dict[str, Any]:
    """How much there is of everything, and from when to when."""
    status = dict(connection.execute(select(Batch.status, func.count()).group_by(Batch.status)).all())
    samples, exact = _samples(connection)
    earliest, latest = _bounds(connection)
    return {
        "gpus": connection.scalar(select(func.count()).select_from(Gpu)),
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
        return estimate, False
    return int(connection.scalar(select(func.count()).select_from(Sample)) or 0), True


def _bounds(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """The first and the last time of a sample, each from the outermost partition that holds any."""
    names = connection.scalars(PARTITIONS).all()
    return _outermost(connection, names, "ASC"), _outermost(connection, names[::-1], "DESC")


def _outermost(connection: Connection, partitions: Sequence[str], direction: Literal["ASC", "DESC"]) -> datetime | None:
    for partition in partitions:
        # By series, as no index is on the time alone: min(ts) would read the whole day.
        found: datetime | None = connection.scalar(
            text(
                f"SELECT ts FROM series CROSS JOIN LATERAL (SELECT ts FROM {partition} WHERE series_id = series.id"  # noqa: S608
                f" ORDER BY ts {direction} LIMIT 1) outermost ORDER BY ts {direction} LIMIT 1"
            )
        )
        if found is not None:
            return found
    return None
