"""The latest reading of each series, and those that came since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, Text, cast, desc, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from telemetry.store.models import Gpu, Metric, Sample, Series
from telemetry.store.read.history.selection import SeriesFilter


def latest(some: SeriesFilter) -> Select[Any]:
    """The latest reading of each series, by host, index and metric."""
    last = select(Sample.ts, Sample.value).where(Sample.series_id == Series.id).order_by(desc(Sample.ts)).limit(1).lateral()
    return series(some).add_columns(last.c.ts.label("timestamp"), last.c.value).join(last, true())


def series(some: SeriesFilter) -> Select[Any]:
    """Series by host, index and metric, with all that a reading of each says except its time and value."""
    columns: list[Any] = [
        Series.id.label("series"),
        Gpu.identity.label("gpu"),
        Gpu.host,
        Gpu.index.label("index"),
        Metric.name.label("metric"),
        Metric.unit,
        cast(Series.labels, Text).label("labels"),
    ]
    rows = select(*columns).select_from(Series).join(Gpu).join(Metric).where(*some.conditions())
    return rows.order_by(Gpu.host, Gpu.index, Gpu.identity, Metric.name, Series.id)


def newer(seen: Mapping[int, datetime]) -> Select[Any]:
    """The latest reading of each series that has one after the time given for it: `series`, `timestamp`, `value`."""
    ids, times = literal(list(seen), ARRAY(BigInteger)), literal(list(seen.values()), ARRAY(Sample.ts.type))
    before = func.unnest(ids, times).table_valued("id", "since", name="seen").render_derived()
    later = select(Sample.ts, Sample.value).where(Sample.series_id == before.c.id, Sample.ts > before.c.since)
    last = later.order_by(desc(Sample.ts)).limit(1).lateral()
    return select(before.c.id.label("series"), last.c.ts.label("timestamp"), last.c.value).join_from(before, last, true())
