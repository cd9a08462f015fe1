"""The raw readings of one GPU, as `history.readings` has them, of arrays: portion by portion, until there are enough."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, literal, select, true, tuple_

from telemetry.readings.arrays import Bools, Int64s
from telemetry.store.read.history.readings import GpuReadings, series_of
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import columns
from telemetry.store.read.sealed.columns import Coded, Columns, Times, taken
from telemetry.store.read.sealed.fetched import Days
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.owners import held
from telemetry.store.read.sealed.portions import portions
from telemetry.store.sealed_rows import Samples, microseconds


def readings(seen: Moment, asked: GpuReadings, sealed: Sequence[Days], rows_needed: int | None = None) -> Generator[Columns]:
    """The answer in pieces, of a span whose days `sealed` are sealed. None needed means all."""
    known = _known(seen, asked)
    if not known:
        return
    span, left = asked.span, rows_needed
    if asked.after:
        # As far as the place, whose other readings `_page` leaves out.
        span = span.within(Span(start=asked.after.time) if asked.order == "asc" else Span(end=asked.after.time))
    # A reading at the place itself is none of the page.
    needed = None if rows_needed is None else rows_needed + (asked.after is not None)
    for samples in portions(seen, sorted(row.id for row in known), span, sealed, asked.order, needed):
        piece = _page(seen, asked, known, samples, left)
        if piece is None:
            continue
        yield piece
        if left is not None and (left := left - columns.length(piece)) <= 0:
            return


def _known(seen: Moment, asked: GpuReadings) -> Sequence[Row[Any]]:
    """The series of the GPU, in order of metric and id."""
    of = series_of(asked).c
    is_past = tuple_(of.metric, of.id) > tuple_(*map(literal, asked.after.ties)) if asked.after else true()
    columns = of.id, of.metric, of.unit, of.labels, of.own, is_past.label("is_past")
    return seen.connection.execute(select(*columns).order_by(of.metric, of.id)).all()


def _page(
    seen: Moment, asked: GpuReadings, known: Sequence[Row[Any]], samples: Samples, rows_needed: int | None
) -> Columns | None:
    """The readings of samples in order, those that are needed; None if there are none."""
    if not len(samples.series):
        return None
    place_of: dict[int, int] = {row.id: place for place, row in enumerate(known)}
    ids, inverse = np.unique(samples.series, return_inverse=True)
    place = np.array([place_of[number] for number in ids.tolist()], np.int64)[inverse]
    of_id = {row.id: row.labels for row in known}
    codes, rows = held(seen, samples, [asked.gpu_id], [row.id for row in known if not row.own])
    labels = Coded(codes, [*(of_id[number] for number in ids.tolist()), *(row.labels for row in rows)])
    order = np.lexsort((place, -samples.ts_us if asked.order == "desc" else samples.ts_us))
    answer: Columns = {
        "timestamp": Times(samples.ts_us),
        "gpu": Coded(np.zeros_like(place), [asked.gpu]),
        "metric": Coded(place, [row.metric for row in known]),
        "value": samples.values,
        "unit": Coded(place, [row.unit for row in known]),
        "labels": labels,
        "series": samples.series,
    }
    if asked.after:
        order = order[_is_after(asked, known, samples.ts_us, place)[order]]
    return taken(answer, order[:rows_needed])


def _is_after(asked: GpuReadings, known: Sequence[Row[Any]], ts_us: Int64s, place: Int64s) -> Bools:
    """Which samples come after the place that the page before ended at."""
    assert asked.after is not None, "without a place all are asked for"  # noqa: S101
    end_us = microseconds(asked.after.time)
    beyond = ts_us < end_us if asked.order == "desc" else ts_us > end_us
    ties = np.array([row.is_past for row in known], np.bool_)[place]
    is_after: Bools = beyond | ((ts_us == end_us) & ties)
    return is_after
