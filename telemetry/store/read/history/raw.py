"""The raw readings of many GPUs, in order of time, each with whose the GPU was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Text, cast, desc, select, true

from telemetry.store.models import Gpu, Metric, Series
from telemetry.store.read.history.latest import is_owned, owner_at
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.history.stored import page_of
from telemetry.store.read.places import Order, Place


@dataclass(frozen=True, slots=True)
class FleetReadings:
    """Raw readings of some series: of which span, in which order of time, after which place."""

    filter: SeriesFilter
    span: Span
    order: Order = "asc"
    after: Place | None = None


def readings(asked: FleetReadings, rows_needed: int | None = None) -> Select[Any]:
    """Readings in order of time, then of `series`. `owner` has the labels of one who used the GPU then, {} where nobody did.

    `rows_needed` is how many rows the caller takes, those that it skips included; None means all.
    """
    some, span = asked.filter, asked.span

    def in_order(ts: Any) -> Any:
        return desc(ts) if asked.order == "desc" else ts

    # Of what others had, no number of rows is enough.
    sample = page_of(Series.id, span, asked.order, asked.after, rows_needed if some.owners.is_open else None)
    passed = [asked.after.passed_by(sample.c.ts, [Series.id], asked.order)] if asked.after else []
    about = (Gpu.identity.label("gpu"), Gpu.host, Gpu.index.label("index"), Metric.name.label("metric"), Metric.unit)
    rows = select(Series.id.label("series"), sample.c.ts, sample.c.value, *about).select_from(Series).join(Gpu).join(Metric)
    rows = rows.join(sample, true()).where(
        *some.conditions(), some.owners.had(span.start, span.end), *is_owned(some.owners, sample.c.ts), *passed
    )
    page = rows.order_by(in_order(sample.c.ts), Series.id).limit(rows_needed).subquery().c
    of = owner_at(page.ts, some.owners)
    said = (cast(Series.labels.op("||")(of), Text).label("labels"), cast(of, Text).label("owner"))
    shown = (
        page.ts.label("timestamp"),
        *(page[name] for name in ("gpu", "host", "index", "metric", "value", "unit", "series")),
    )
    return select(*shown, *said).join(Series, Series.id == page.series).order_by(in_order(page.ts), page.series)
