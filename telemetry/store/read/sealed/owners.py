"""Whose readings were: labels of series and of the owner at that time, as `history.readings` and `history.raw` have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import CTE, Row, Text, and_, cast, func, select

from telemetry.readings.arrays import Int64s
from telemetry.store.models import Time
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import holders
from telemetry.store.read.sealed.columns import Coded
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import Samples, microseconds, time_of


def labels(seen: Moment, gpu_id: int, series: CTE, samples: Samples, own: Mapping[int, str]) -> Coded:
    """The labels of samples in (series, ts) order, as texts of JSON; `own` are those of each series."""
    names = [own[number] for number in np.unique(samples.series).tolist()]
    span = _span(samples)
    rows = _held(seen, series, holders([gpu_id], span.start, span.end))
    codes = _codes(samples, rows)
    return Coded(codes, [*names, *(row.labels for row in rows)])


def owners_of(seen: Moment, series: CTE, samples: Samples, known: Sequence[Row[Any]]) -> tuple[Coded, Coded]:
    """The labels of samples in (series, ts) order, and those of their owners; `known` are their series, in order."""
    span, ids = _span(samples), [row.id for row in known]
    held = holders(sorted({row.gpu_id for row in known}), span.start, span.end)
    rows = _held(seen, series, held, ids)
    codes = _codes(samples, rows)
    labels, owners = ([*(getattr(row, name) for row in (*known, *rows))] for name in ("labels", "owner"))
    return Coded(codes, labels), Coded(codes, owners)


def _codes(samples: Samples, held: Sequence[Row[Any]]) -> Int64s:
    """The number of the series of each sample, or of who had its GPU then: those count behind all series."""
    ids = np.unique(samples.series)
    codes: Int64s = np.searchsorted(ids, samples.series).astype(np.int64)
    for number, row in enumerate(held, len(ids)):
        begin, end = np.searchsorted(samples.series, row.id, "left"), np.searchsorted(samples.series, row.id, "right")
        low, high = np.searchsorted(samples.ts_us[begin:end], [microseconds(row.low), microseconds(row.high)])
        codes[begin + low : begin + high] = number
    return codes


def _held(seen: Moment, series: CTE, held: CTE, ids: Sequence[int] | None = None) -> Sequence[Row[Any]]:
    """When somebody had the GPU or instance of a series, and the labels then; of several at one time the last row counts."""
    names = ("gpu_id", "instance", "day", "held", "owner_id", "labels")
    parts = select(*(held.c[name] for name in names), func.unnest(held.c.held).label("stretch")).subquery()
    part = parts.c
    # Sessions are in UTC: see `telemetry.store.engine`.
    begin, end = cast(part.day, Time), cast(part.day + 1, Time)
    of_many = [] if ids is None else [part.gpu_id == series.c.gpu_id, series.c.id.in_(ids)]
    return seen.connection.execute(
        select(
            series.c.id,
            func.greatest(func.lower(part.stretch), begin, type_=Time).label("low"),
            func.least(func.upper(part.stretch), end, type_=Time).label("high"),
            cast(series.c.said.op("||")(part.labels), Text).label("labels"),
            cast(part.labels, Text).label("owner"),
        )
        .join_from(series, parts, and_(~series.c.own, part.instance == series.c.instance, *of_many))
        .order_by(func.upper(part.held), func.lower(part.held), part.owner_id)
    ).all()


def _span(samples: Samples) -> Span:
    return Span(time_of(int(samples.ts_us.min())), time_of(int(samples.ts_us.max())))
