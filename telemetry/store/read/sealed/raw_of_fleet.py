"""The raw readings of many GPUs, as `history.raw` has them, of arrays: portion by portion, until there are enough."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, Text, cast, func, select

from telemetry.readings.arrays import Bools
from telemetry.readings.owners import OWNER_LABELS
from telemetry.store.models import Gpu, Metric, Series
from telemetry.store.read.history.latest import NO_LABELS
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import columns
from telemetry.store.read.sealed.columns import Coded, Columns, Times, taken
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.owners import held
from telemetry.store.read.sealed.portions import portions
from telemetry.store.sealed_rows import Samples, microseconds

# What is the same in all readings of a series.
SAME = ("gpu", "host", "index", "metric", "unit")


def readings(seen: Moment, asked: FleetReadings, sealed: Sequence[Days], rows_needed: int | None = None) -> Generator[Columns]:
    """The answer in pieces, of a span whose days `sealed` are sealed. None needed means all. All owners are asked for."""
    of: dict[int, Row[Any]] = {row.id: row for row in seen.connection.execute(_series(asked))}
    if not of:
        return
    span, left = asked.span, rows_needed
    if asked.after:
        # As far as the place, whose other readings `_page` leaves out.
        span = span.within(Span(start=asked.after.time) if asked.order == "asc" else Span(end=asked.after.time))
    # A reading at the place itself is none of the page.
    needed = None if rows_needed is None else rows_needed + (asked.after is not None)
    for samples in portions(seen, sorted(of), span, sealed, asked.order, needed):
        piece = _page(seen, asked, of, samples, left)
        if piece is None:
            continue
        yield piece
        if left is not None and (left := left - columns.length(piece)) <= 0:
            return


def _series(asked: FleetReadings) -> Select[Any]:
    """The series: what each is of, and as texts its labels and those of an owner that it names."""
    pair = func.jsonb_each(Series.labels).table_valued("key", "value")
    own = select(func.jsonb_object_agg(pair.c.key, pair.c.value)).where(pair.c.key.in_(OWNER_LABELS)).scalar_subquery()
    about: list[Any] = [Gpu.identity.label("gpu"), Gpu.host, Gpu.index.label("index"), Metric.name.label("metric"), Metric.unit]
    said: list[Any] = [cast(Series.labels, Text).label("labels"), own.is_not(None).label("own")]
    owner = cast(func.coalesce(own, NO_LABELS), Text).label("owner")
    rows = select(Series.id, Series.gpu_id, *about, *said, owner).select_from(Series).join(Gpu).join(Metric)
    return rows.where(*asked.filter.conditions())


def _page(
    seen: Moment, asked: FleetReadings, of: Mapping[int, Row[Any]], samples: Samples, rows_needed: int | None
) -> Columns | None:
    """The readings of samples in order, those that are needed; None if there are none."""
    order = np.lexsort((samples.series, -samples.ts_us if asked.order == "desc" else samples.ts_us))
    if asked.after:
        order = order[_is_after(asked, samples)[order]]
    order = order[:rows_needed]
    if not len(order):
        return None
    # Whose they were is asked of these alone.
    kept = np.sort(order)
    some = samples.taken(kept)
    ids, place = np.unique(some.series, return_inverse=True)
    known = [of[number] for number in ids.tolist()]
    gpu_ids = sorted({row.gpu_id for row in known})
    codes, rows = held(seen, some, gpu_ids, [row.id for row in known if not row.own])
    labels, owner = (Coded(codes, [getattr(row, name) for row in (*known, *rows)]) for name in ("labels", "owner"))
    answer: Columns = {
        "timestamp": Times(some.ts_us),
        **{name: Coded(place, [getattr(row, name) for row in known]) for name in SAME},
        "value": some.values,
        "series": some.series,
        "labels": labels,
        "owner": owner,
    }
    return taken(answer, np.searchsorted(kept, order))


def _is_after(asked: FleetReadings, samples: Samples) -> Bools:
    """Which samples come after the place that the page before ended at."""
    assert asked.after is not None, "without a place all are asked for"  # noqa: S101
    end_us, (series,) = microseconds(asked.after.time), asked.after.ties
    beyond = samples.ts_us < end_us if asked.order == "desc" else samples.ts_us > end_us
    is_after: Bools = beyond | ((samples.ts_us == end_us) & (samples.series > int(series)))
    return is_after
