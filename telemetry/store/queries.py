"""What readers ask of the database. Each function takes a connection and returns plain values; the SQL stays here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select, text, true

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


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: so many rows after so many others."""

    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included; None is open."""

    start: datetime | None
    end: datetime | None

    def holds(self, column: Any) -> ColumnElement[bool]:
        """The condition that a time lies in it."""
        return and_(
            *([column >= self.start] if self.start else []),
            *([column <= self.end] if self.end else []),
            true(),
        )


def revision(connection: Connection, patience_s: int) -> str | None:
    """The migration that the database stands at. Raises ProgrammingError where there never was one."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{patience_s}s'"))
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def gpus(connection: Connection, page: Page, *, host: str | None, model: str | None) -> tuple[Sequence[Record], int]:
    """GPUs by host and index, and how many there are in all."""
    wanted = [Gpu.host == host] if host is not None else []
    wanted += [Gpu.model == model] if model is not None else []
    found = select(Gpu.__table__).where(*wanted).order_by(Gpu.host, Gpu.index, Gpu.identity)
    total = connection.scalar(select(func.count()).select_from(Gpu).where(*wanted))
    return connection.execute(found.limit(page.limit).offset(page.offset)).all(), int(total or 0)


def gpu(connection: Connection, name: str) -> Record | None:
    """A GPU by its UUID, or by host:index."""
    by_identity = connection.execute(select(Gpu.__table__).where(Gpu.identity == name)).first()
    host, colon, index = name.rpartition(":")
    if by_identity is not None or not colon or not (index.isascii() and index.isdigit() and len(index) < 10):  # noqa: PLR2004
        return by_identity
    return connection.execute(
        select(Gpu.__table__).where(Gpu.host == host, Gpu.index == int(index)).order_by(Gpu.id.desc())
    ).first()


def telemetry(
    connection: Connection, gpu_id: int, page: Page, *, span: Span, metrics: Sequence[str], order: Literal["asc", "desc"]
) -> Sequence[Record]:
    """Readings of a GPU in order of time, ties in order of metric and series; one more than asked for if there is one."""
    ts = Sample.ts.asc() if order == "asc" else Sample.ts.desc()
    # Each series gives no more rows than the page can take, read off the primary key (series_id, ts): a page costs the
    # same however long the history is.
    nearest = (
        select(Sample.ts, Sample.value)
        .where(Sample.series_id == Series.id, span.holds(Sample.ts))
        .order_by(ts)
        .limit(page.offset + page.limit + 1)
        .lateral()
    )
    wanted: Select[Any] = (
        select(nearest.c.ts, Metric.name, Metric.unit, nearest.c.value, Series.labels)
        .select_from(Series)
        .join(Metric)
        .join(nearest, true())
        .where(Series.gpu_id == gpu_id, *([Metric.name.in_(metrics)] if metrics else []))
        .order_by(nearest.c.ts.asc() if order == "asc" else nearest.c.ts.desc(), Metric.name, Series.id)
    )
    return connection.execute(wanted.limit(page.limit + 1).offset(page.offset)).all()


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
