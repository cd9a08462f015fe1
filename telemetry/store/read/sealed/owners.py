"""The labels of the readings of a GPU: those of the series, and of the owner at that time, as `history.readings` has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import CTE, Row, Text, and_, cast, desc, func, select

from telemetry.readings.arrays import Int64s
from telemetry.store.models import Time
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import holders, is_told
from telemetry.store.read.sealed.columns import Coded
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import Samples, microseconds, time_of


def labels(seen: Moment, gpu_id: int, series: CTE, samples: Samples, own: Mapping[int, str]) -> Coded:
    """The labels of samples in (series, ts) order, as texts of JSON; `own` are those of each series."""
    ids = np.unique(samples.series)
    places = np.searchsorted(ids, samples.series)
    names = [own[number] for number in ids.tolist()]
    codes: Int64s = places.astype(np.int64)
    for row in _held(seen, gpu_id, series, samples):
        begin, end = np.searchsorted(samples.series, row.id, "left"), np.searchsorted(samples.series, row.id, "right")
        low, high = np.searchsorted(samples.ts_us[begin:end], [microseconds(row.low), microseconds(row.high)])
        codes[begin + low : begin + high] = len(names)
        names.append(row.labels)
    return Coded(codes, names)


def _held(seen: Moment, gpu_id: int, series: CTE, samples: Samples) -> Sequence[Row[Any]]:
    """When somebody had the GPU or instance of a series, and the labels then; of several at one time the last row counts."""
    span = Span(time_of(int(samples.ts_us.min())), time_of(int(samples.ts_us.max())))
    held = holders(gpu_id, span.start, span.end)
    stretch = func.unnest(held.c.held).label("stretch")
    parts = select(held.c.instance, held.c.day, held.c.held, held.c.owner_id, held.c.labels, stretch).subquery()
    part = parts.c
    # Sessions are in UTC: see `telemetry.store.engine`.
    begin, end = cast(part.day, Time), cast(part.day + 1, Time)
    return seen.connection.execute(
        select(
            series.c.id,
            func.greatest(func.lower(part.stretch), begin, type_=Time).label("low"),
            func.least(func.upper(part.stretch), end, type_=Time).label("high"),
            cast(series.c.said.op("||")(part.labels), Text).label("labels"),
        )
        .join_from(series, parts, and_(~series.c.own, part.instance == series.c.instance))
        .order_by(desc(is_told(part.labels)), func.upper(part.held), func.lower(part.held), part.owner_id)
    ).all()
