"""Samples of some series in a span, as arrays: of sealed days, and rows of open days with those that came late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import psycopg

from telemetry.readings.arrays import Bools
from telemetry.store import sealed_rows
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import Samples, SealedRow, microseconds

# Sealed rows that are in memory at once: of 1 s each is 86,400 samples.
PIECE_ROWS = 64
ROWS = """
    SELECT series_id, ts, value FROM samples WHERE {condition} UNION ALL SELECT series_id, ts, value FROM late WHERE {condition}
"""
FIRST_ROWS = """
    SELECT r.* FROM unnest('{{{series}}}'::bigint[]) AS s (id) CROSS JOIN LATERAL (
        (SELECT series_id, ts, value FROM samples WHERE series_id = s.id AND {times} ORDER BY ts {order} LIMIT {limit})
        UNION ALL
        (SELECT series_id, ts, value FROM late WHERE series_id = s.id AND {times} ORDER BY ts {order} LIMIT {limit})
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
    """All samples of series in a span, of which `days` are sealed, in pieces. Each is in (series, ts) order."""
    connection, bounds = seen.beneath, Bounds.of(span)
    for start in range(0, len(series), PIECE_ROWS):
        some = series[start : start + PIECE_ROWS]
        yield rows(connection, some, span)
        for days_of in parted(days, max(1, PIECE_ROWS // len(some))):
            seen.check()
            yield together(sealed_rows.fetch_days(connection, some, days_of.first, days_of.end), bounds)


def of_keys(seen: Moment, series: Sequence[int], days: Sequence[date]) -> Iterator[Samples]:
    """All samples of rows of sealed days, given by series and day, in pieces. None has two pieces of one series and day."""
    order = sorted(range(len(series)), key=lambda place: (series[place], days[place]))
    for start in range(0, len(order), PIECE_ROWS):
        some = order[start : start + PIECE_ROWS]
        seen.check()
        found = sealed_rows.fetch(seen.beneath, [series[place] for place in some], [days[place] for place in some])
        yield together(sorted(found, key=lambda row: (row.series, row.day)), Bounds.of(Span()))


def rows(
    connection: psycopg.Connection, series: Sequence[int], span: Span, order: Order = "asc", limit: int | None = None
) -> Samples:
    """Samples that are not in arrays, in (series, ts) order; with a limit only the first so many of each series, or more."""
    times = " AND ".join(
        [
            *([f"ts >= '{span.start.isoformat()}'"] if span.start else []),
            *([f"ts <= '{span.end.isoformat()}'"] if span.end else []),
        ]
    )
    numbers = ",".join(map(str, series))
    if limit is None:
        condition = f"series_id = ANY ('{{{numbers}}}'::bigint[]) AND {times or 'true'}"
        return sealed_rows.copied(connection, ROWS.format(condition=condition))
    query = FIRST_ROWS.format(series=numbers, times=times or "true", order=order, limit=limit)
    return sealed_rows.copied(connection, query)


def together(sealed: Sequence[SealedRow], bounds: Bounds) -> Samples:
    """The samples of sealed rows that lie in a span, in the order of the rows."""
    parts = []
    for row in sealed:
        ts_us = row.ts_us
        if ts_us[0] < bounds.start_us or ts_us[-1] > bounds.end_us:
            inside: Bools = (ts_us >= bounds.start_us) & (ts_us <= bounds.end_us)
            row = row._replace(ts_us=ts_us[inside], values=row.values[inside])  # noqa: PLW2901 - the rest is not asked for
        parts.append(row)
    if not parts:
        return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    series = np.repeat([row.series for row in parts], [len(row.ts_us) for row in parts])
    return Samples(series, np.concatenate([row.ts_us for row in parts]), np.concatenate([row.values for row in parts]))


def parted(days: Sequence[Days], size: int) -> Iterator[Days]:
    """The same days in order, at most so many at once."""
    for first, end in days:
        for number in range(0, (end - first).days, size):
            yield Days(first + timedelta(days=number), min(end, first + timedelta(days=number + size)))
