"""The raw readings of one GPU, as `history.readings` has them, of arrays: chunk by chunk, until there are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import CTE, Row, literal, select, true, tuple_

from telemetry.readings.arrays import Bools, Int64s
from telemetry.store import sealed_rows
from telemetry.store.read.history.readings import GpuReadings, series_of
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import columns
from telemetry.store.read.sealed.chunks import Chunk, chunks
from telemetry.store.read.sealed.columns import Coded, Columns, Times, taken
from telemetry.store.read.sealed.fetched import PIECE_ROWS, Bounds, Days, rows, together
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.owners import labels
from telemetry.store.sealed_rows import Samples, microseconds, ordered

# What a series has on a day at least, for the number of days that are read at once.
OF_DAY = 1000


class Known(NamedTuple):
    """The series of a GPU, in order of metric and id, and the query that gives them."""

    query: CTE
    rows: Sequence[Row[Any]]


def readings(seen: Moment, asked: GpuReadings, sealed: Sequence[Days], rows_needed: int | None = None) -> Iterator[Columns]:
    """The answer in pieces, of a span whose days `sealed` are sealed. None needed means all."""
    query = series_of(asked)
    is_past = tuple_(query.c.metric, query.c.id) > tuple_(*map(literal, asked.after.ties)) if asked.after else true()
    known = Known(
        query,
        seen.connection.execute(
            select(query.c.id, query.c.metric, query.c.unit, query.c.labels, is_past.label("is_past")).order_by(
                query.c.metric, query.c.id
            )
        ).all(),
    )
    if not known.rows:
        return
    a_chunk = PIECE_ROWS // len(known.rows)
    if rows_needed is not None:
        a_chunk = min(a_chunk, rows_needed // OF_DAY // len(known.rows))
    span, left = asked.span, rows_needed
    if asked.after:
        # As far as the place, whose other readings `_page` leaves out.
        span = span.within(Span(start=asked.after.time) if asked.order == "asc" else Span(end=asked.after.time))
    parts = list(chunks(seen, span, sealed, max(1, a_chunk)))
    for chunk in parts if asked.order == "asc" else reversed(parts):
        piece = _page(seen, asked, known, chunk, left)
        if piece is None:
            continue
        yield piece
        if left is not None and (left := left - columns.length(piece)) <= 0:
            return


def _page(seen: Moment, asked: GpuReadings, known: Known, chunk: Chunk, rows_needed: int | None) -> Columns | None:
    """The readings of a chunk in order, those that are needed; None if there are none."""
    samples = _samples(seen, asked, known, chunk, rows_needed)
    if not len(samples.series):
        return None
    place_of: dict[int, int] = {row.id: place for place, row in enumerate(known.rows)}
    ids, inverse = np.unique(samples.series, return_inverse=True)
    place = np.array([place_of[number] for number in ids.tolist()], np.int64)[inverse]
    of = labels(seen, asked.gpu_id, known.query, samples, {row.id: row.labels for row in known.rows})
    order = np.lexsort((place, -samples.ts_us if asked.order == "desc" else samples.ts_us))
    answer: Columns = {
        "timestamp": Times(samples.ts_us),
        "gpu": Coded(np.zeros_like(place), [asked.gpu]),
        "metric": Coded(place, [row.metric for row in known.rows]),
        "value": samples.values,
        "unit": Coded(place, [row.unit for row in known.rows]),
        "labels": of,
        "series": samples.series,
    }
    if asked.after:
        order = order[_is_after(asked, known, samples.ts_us, place)[order]]
    return taken(answer, order[:rows_needed])


def _is_after(asked: GpuReadings, known: Known, ts_us: Int64s, place: Int64s) -> Bools:
    """Which samples come after the place that the page before ended at."""
    assert asked.after is not None, "without a place all are asked for"  # noqa: S101
    end_us = microseconds(asked.after.time)
    beyond = ts_us < end_us if asked.order == "desc" else ts_us > end_us
    ties = np.array([row.is_past for row in known.rows], np.bool_)[place]
    is_after: Bools = beyond | ((ts_us == end_us) & ties)
    return is_after


def _samples(seen: Moment, asked: GpuReadings, known: Known, chunk: Chunk, rows_needed: int | None) -> Samples:
    """The samples of a chunk in (series, ts) order; of rows no more than are needed of each series."""
    series = sorted(row.id for row in known.rows)
    # A reading at the place itself is none of the page.
    limit = None if rows_needed is None else rows_needed + (asked.after is not None)
    loose = rows(seen.beneath, series, chunk.span, asked.order, limit)
    if chunk.days is None:
        return loose
    sealed = together(sealed_rows.fetch_days(seen.beneath, series, *chunk.days), Bounds.of(chunk.span))
    if not len(loose.series):
        return sealed
    return ordered(Samples(*(np.concatenate(pair) for pair in zip(sealed, loose, strict=True))))
