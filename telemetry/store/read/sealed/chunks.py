"""A span in chunks that are read one after the other: sealed days, and partitions of days that are not sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from telemetry.store import partitions
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import day
from telemetry.store.read.sealed.fetched import Days, parted
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.sealed_rows import time_of

DAY_US = partitions.DAY_US
EPOCH = date(1970, 1, 1)
LAST = timedelta(microseconds=1)


class Chunk(NamedTuple):
    """Some of a span: the times, and the sealed days that lie in it, if there are any."""

    span: Span
    days: Days | None


def chunks(seen: Moment, span: Span, sealed: Sequence[Days], a_chunk: int) -> Iterator[Chunk]:
    """The chunks of a span in order of time, at most so many sealed days in each. Nothing is stored between them."""
    spans = [(days, days) for days in parted(sealed, a_chunk)]
    open_: list[tuple[Days, None]] = []
    if not _is_covered(span, sealed):
        open_ = [(_days(*row), None) for _, *row in seen.connection.execute(partitions.EXISTING)]
    for days, of_arrays in sorted([*spans, *open_], key=lambda one: one[0]):
        inside = span.within(span_of(days))
        if inside.start is None or inside.end is None or inside.start <= inside.end:
            yield Chunk(inside, of_arrays)


def _is_covered(span: Span, sealed: Sequence[Days]) -> bool:
    """Whether all days of a span are sealed."""
    if span.start is None or span.end is None:
        return False
    return any(one.first <= day(span.start) and day(span.end) < one.end for one in sealed)


def _days(first: int, end: int) -> Days:
    return Days(*(EPOCH + timedelta(days=day) for day in (first, end)))


def span_of(days: Days) -> Span:
    """All the time of days."""
    first, end = (time_of((day - EPOCH).days * DAY_US) for day in days)
    return Span(first, end - LAST)
