"""Cuts the span of a question in steps into windows, so that the answer to each is small, and none has half a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from telemetry.store import partitions
from telemetry.store.partitions import DAY_US
from telemetry.store.read.history.selection import Span
from telemetry.store.read.places import Order
from telemetry.store.read.sealed.chunks import EPOCH, span_of
from telemetry.store.read.sealed.fetched import Bounds, Days
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.runs import MICROSECOND
from telemetry.store.sealed_rows import time_of

# Steps of all groups together that a window has, and so many times as many where it would be less than a day: to read some of
# a day's arrays takes nearly as long as to read all.
MOST = 1 << 16
DAY_TIMES = 4


def windows(
    seen: Moment,
    span: Span,
    sealed: Sequence[Days],
    step: timedelta,
    groups: int,
    order: Order = "asc",
    needed: int | None = None,
) -> Iterator[Span]:
    """The windows of a span that may have samples, in an order of time; each has both ends.

    `needed`: how many rows the caller takes at most (None: all). A window that gives more is seldom read.
    """
    step_us, groups = step // MICROSECOND, max(1, groups)
    of_day = -(-DAY_US // step_us)
    least = of_day if of_day * groups <= DAY_TIMES * MOST else 1
    largest = max(least, MOST // groups)
    bounds = Bounds.of(span)
    if span.start and span.end and (bounds.end_us - bounds.start_us) // step_us < largest and needed is None:
        yield span
        return
    filled = _filled(seen, sealed)
    start_us = max(bounds.start_us, min((one.start_us for one in filled), default=0))
    end_us = min(bounds.end_us, max((one.end_us for one in filled), default=0))
    length = largest if needed is None else min(largest, max(least, needed // groups + 1))
    while start_us <= end_us:
        # Of whole days the sums of hours are read.
        unit_us = DAY_US if length * step_us >= DAY_US and not DAY_US % step_us else step_us
        length_us = -(-length * step_us // unit_us) * unit_us
        if order == "asc":
            window = Bounds(start_us, min(end_us, start_us - start_us % unit_us + length_us - 1))
            start_us = window.end_us + 1
        else:
            window = Bounds(max(start_us, end_us - end_us % unit_us + unit_us - length_us), end_us)
            end_us = window.start_us - 1
        if any(one.start_us <= window.end_us and window.start_us <= one.end_us for one in filled):
            yield Span(time_of(window.start_us), time_of(window.end_us))
        length = min(largest, 2 * length)


def steps_of(span: Span, step: timedelta) -> int:
    """How many steps a span with two ends has, at least in part."""
    bounds, step_us = Bounds.of(span), step // MICROSECOND
    return bounds.end_us // step_us - bounds.start_us // step_us + 1


def halves(span: Span, step: timedelta) -> tuple[Span, Span]:
    """A span of several steps in two."""
    step_us = step // MICROSECOND
    middle_us = (Bounds.of(span).start_us // step_us + steps_of(span, step) // 2) * step_us
    return Span(span.start, time_of(middle_us - 1)), Span(time_of(middle_us), span.end)


def _filled(seen: Moment, sealed: Sequence[Days]) -> list[Bounds]:
    """The time that sealed days and partitions have."""
    parts = [Days(*(EPOCH + timedelta(days=day) for day in row)) for _, *row in seen.connection.execute(partitions.EXISTING)]
    return [Bounds.of(span_of(days)) for days in (*sealed, *parts)]
