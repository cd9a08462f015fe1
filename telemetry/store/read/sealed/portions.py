"""Samples of some series in order of time across all of them, in portions of bounded size.

Of each source (rows, late ones, arrays) a portion takes the first samples of each series, as many as its quota. It ends where
the first series reaches its quota: up to there nothing is missing. What lies behind that place is the next portion's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from telemetry.readings.arrays import Int64s
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order
from telemetry.store.read.sealed import parts
from telemetry.store.read.sealed.chunks import Chunk, chunks, span_of
from telemetry.store.read.sealed.cut_days import NONE, CutDay, WholeDays, grouped, of_group
from telemetry.store.read.sealed.fetched import Days, first_rows
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.quotas import counts, quotas, reached, up_to
from telemetry.store.sealed_rows import Samples, ordered, time_of

MICROSECOND = timedelta(microseconds=1)
# What a series has on a day at least, for the number of days that a page asks for.
OF_DAY = 100
# A day of not many more samples than a page needs is read as a whole.
FEW = 10_000


def portions(
    seen: Moment, series: Sequence[int], span: Span, sealed: Sequence[Days], order: Order, needed: int | None
) -> Iterator[Samples]:
    """All samples in a span whose days `sealed` are sealed. Each portion is in (series, ts) order.

    `needed`: how many the caller takes at most; None means all.
    """
    rows = parts.SIZES_ROWS if needed is None else min(parts.SIZES_ROWS, needed // OF_DAY)
    all_chunks = list(chunks(seen, span, sealed, max(1, rows // len(series))))
    for chunk in all_chunks if order == "asc" else reversed(all_chunks):
        for inside, arrays in _sources(seen, series, chunk, order, needed):
            yield from _portions(seen, series, inside, arrays, order, needed)


def _sources(
    seen: Moment, series: Sequence[int], chunk: Chunk, order: Order, needed: int | None
) -> Iterator[tuple[Span, CutDay | WholeDays]]:
    """The parts of a chunk in order, each with its arrays."""
    if chunk.days is None:
        yield chunk.span, WholeDays(NONE, order)
        return
    most = parts.MOST if needed is None else min(parts.MOST, max(FEW, needed))
    groups = list(grouped(chunk.days, parts.sizes(seen.beneath, series, *chunk.days), most))
    for group in groups if order == "asc" else reversed(groups):
        inside = chunk.span.within(span_of(group.days))
        if inside.start is not None and inside.end is not None and inside.start > inside.end:
            continue
        if group.samples > most:
            yield inside, CutDay(seen.beneath, group.rows, inside, order, needed)
        else:
            yield inside, of_group(seen.beneath, group, inside, order)


def _portions(
    seen: Moment, series: Sequence[int], span: Span, arrays: CutDay | WholeDays, order: Order, needed: int | None
) -> Iterator[Samples]:
    numbers: Int64s = np.array(series, np.int64)
    weights = np.ones_like(numbers)
    while True:
        seen.check()
        most = quotas(weights, parts.MOST, needed)
        loose = first_rows(seen.beneath, series, span, order, most)
        taken, taken_us = arrays.take()
        ends = [end for end in (taken_us, reached(loose, numbers, most, order)) if end is not None]
        if not ends:
            yield _merged(taken, loose)
            return
        end_us = min(ends) if order == "asc" else max(ends)
        yield up_to(_merged(taken, loose), end_us, order)
        arrays.leave(end_us)
        # Series that had many samples have many further ones.
        weights = 1 + counts(up_to(loose, end_us, order), numbers)
        at = time_of(end_us)
        span = span.within(Span(start=at + MICROSECOND) if order == "asc" else Span(end=at - MICROSECOND))


def _merged(sealed: Samples, loose: Samples) -> Samples:
    if not len(loose.series) or not len(sealed.series):
        return sealed if len(sealed.series) else loose
    return ordered(Samples(*(np.concatenate(pair) for pair in zip(sealed, loose, strict=True))))
