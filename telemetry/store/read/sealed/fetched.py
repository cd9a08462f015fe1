"""Samples of some series in a span, as arrays: of sealed days, and rows of open days with those that came late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import psycopg

from telemetry.readings.arrays import Bools, Int64s
from telemetry.store import sealed_rows
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import day
from telemetry.store.read.places import Order
from telemetry.store.read.sealed import parts
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.parts import Size
from telemetry.store.sealed_rows import Samples, SealedRow, microseconds

ROWS = """
    SELECT series_id, ts, value FROM samples WHERE {condition} UNION ALL SELECT series_id, ts, value FROM late WHERE {condition}
"""
FIRST_ROWS = """
    SELECT r.* FROM unnest('{{{series}}}'::bigint[], '{{{most}}}'::bigint[]) AS s (id, most) CROSS JOIN LATERAL (
        (SELECT series_id, ts, value FROM samples WHERE series_id = s.id AND {times} ORDER BY ts {order} LIMIT s.most)
        UNION ALL
        (SELECT series_id, ts, value FROM late WHERE series_id = s.id AND {times} ORDER BY ts {order} LIMIT s.most)
    ) AS r
"""


class Bounds(NamedTuple):
    """A span in microseconds from 1970, both ends included."""

    start_us: int
    end_us: int

    @classmethod
    def of(cls, span: Span) -> Bounds:
        """A span's; an open end is one that no time reaches."""
        ends = np.iinfo(np.int64)
        start, end = (None if end is None else microseconds(end) for end in (span.start, span.end))
        return cls(ends.min if start is None else start, ends.max if end is None else end)


class Days(NamedTuple):
    """Days [first, end)."""

    first: date
    end: date


def pieces(seen: Moment, series: Sequence[int], span: Span, days: Sequence[Days]) -> Iterator[Samples]:
    """All samples of series in a span, of which `days` are sealed, in pieces of bounded size. Each is in (series, ts) order."""
    condition = f"series_id = ANY ('{{{_listed(series)}}}'::bigint[]) AND {_times(span)}"
    yield from sealed_rows.copied_in_pieces(seen.beneath, ROWS.format(condition=condition), parts.MOST)
    for some in parted(days, max(1, parts.SIZES_ROWS // max(1, len(series)))):
        yield from of_rows(seen, parts.sizes(seen.beneath, series, *some), Bounds.of(span))


def of_rows(seen: Moment, rows: Sequence[Size], bounds: Bounds) -> Iterator[Samples]:
    """The samples of rows of sealed days that lie in a span, in the same way."""
    for batch in parts.batches(rows):
        seen.check()
        yield together(parts.fetch(seen.beneath, batch), bounds)


def first_rows(connection: psycopg.Connection, series: Sequence[int], span: Span, order: Order, most: Int64s) -> Samples:
    """Samples that are not in arrays, the first of each series in an order of time: so many, or some more."""
    listed = {"series": _listed(series), "most": _listed(most.tolist())}
    return sealed_rows.copied(connection, FIRST_ROWS.format(times=_times(span), order=order, **listed))


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _times(span: Span) -> str:
    after_start = [f"ts >= '{span.start.isoformat()}'"] if span.start else []
    before_end = [f"ts <= '{span.end.isoformat()}'"] if span.end else []
    return " AND ".join([*after_start, *before_end]) or "true"


def together(sealed: Sequence[SealedRow], bounds: Bounds) -> Samples:
    """The samples of sealed rows that lie in a span, in the order of the rows."""
    inside_of = list[SealedRow]()
    for row in sealed:
        ts_us = row.ts_us
        if ts_us[0] < bounds.start_us or ts_us[-1] > bounds.end_us:
            inside: Bools = (ts_us >= bounds.start_us) & (ts_us <= bounds.end_us)
            row = row._replace(ts_us=ts_us[inside], values=row.values[inside])  # noqa: PLW2901 - the rest is not asked for
        inside_of.append(row)
    if not inside_of:
        return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    series = np.repeat([row.series for row in inside_of], [len(row.ts_us) for row in inside_of])
    columns = (np.concatenate([getattr(row, name) for row in inside_of]) for name in ("ts_us", "values"))
    return Samples(series, *columns)


def parted(days: Sequence[Days], size: int) -> Iterator[Days]:
    """The same days in order, at most so many at once."""
    for first, end in days:
        for number in range(0, (end - first).days, size):
            yield Days(first + timedelta(days=number), min(end, first + timedelta(days=number + size)))


def clipped(days: Sequence[Days], span: Span) -> list[Days]:
    """Days as far as they lie in a span, at least in part."""
    first, last = day(span.start) if span.start else date.min, day(span.end) if span.end else date.max - timedelta(days=1)
    inside = [Days(max(one.first, first), min(one.end, last + timedelta(days=1))) for one in days]
    return [one for one in inside if one.first < one.end]
