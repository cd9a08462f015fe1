"""What readers ask of the database. Each function takes a connection and returns plain values; the SQL stays here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select, text

from telemetry.store.models import Batch, DeadLetter, Gpu, Metric, Quarantined, Sample, Series

# Above this many rows the planner's estimate is told instead of a count: a count reads everything.
EXACT_COUNT_ROWS = 1_000_000

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
            text("true"),
        )


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
    # The series first, as an array: the planner then walks the primary key (series_id, ts) of each partition.
    series = select(Series.id).where(Series.gpu_id == gpu_id)
    if metrics:
        series = series.join(Metric).where(Metric.name.in_(metrics))
    ids = list(connection.scalars(series))
    ts = Sample.ts.asc() if order == "asc" else Sample.ts.desc()
    wanted: Select[Any] = (
        select(Sample.ts, Metric.name, Metric.unit, Sample.value, Series.labels)
        .join(Series, Series.id == Sample.series_id)
        .join(Metric, Metric.id == Series.metric_id)
        .where(Sample.series_id == func.any(ids), span.holds(Sample.ts))
        .order_by(ts, Metric.name, Sample.series_id)
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
    """How many samples there are, and whether that is a count or the planner's estimate."""
    estimate = connection.scalar(
        text(
            "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'samples'::regclass"
        )
    )
    if int(estimate or 0) > EXACT_COUNT_ROWS:
        return int(estimate or 0), False
    return int(connection.scalar(select(func.count()).select_from(Sample)) or 0), True


def _bounds(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """The first and the last time of a sample, each from the outermost partition that holds any."""
    names = connection.scalars(
        text("SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent = 'samples'::regclass ORDER BY 1")
    ).all()
    return _outermost(connection, names, "min"), _outermost(connection, names[::-1], "max")


def _outermost(connection: Connection, partitions: Sequence[str], aggregate: str) -> datetime | None:
    for partition in partitions:
        found: datetime | None = connection.scalar(text(f"SELECT {aggregate}(ts) FROM {partition}"))  # noqa: S608 - our own names
        if found is not None:
            return found
    return None
