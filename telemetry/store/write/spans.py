"""Readings that tell of a span of time: for how long an owner has had a GPU, as schedulers say it.

Such a reading is about all minutes of its span. A job that runs is told again and again, each time with a longer span. So a
process remembers the span of each use that it has committed, and only what is new of one is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from telemetry.readings.arrays import Float64s, Int64s

MINUTE_US = 60_000_000
# Uses that a process remembers.
REMEMBERED = 200_000


class Span(NamedTuple):
    """A use by its number, and the minutes in which it was: from the first up to the end, without it."""

    use: int
    first: int
    end: int


class Spans:
    """The spans that one process has committed, the latest of each use."""

    def __init__(self) -> None:
        self._committed: dict[int, tuple[int, int]] = {}

    def new(self, spans: Iterable[Span]) -> list[Span]:
        """What of some spans is not known to be stored."""
        rest = []
        for use, first, end in spans:
            known_first, known_end = self._committed.get(use, (end, end))
            if first < known_first or first > known_end:
                rest.append(Span(use, first, end))
            elif end > known_end:
                rest.append(Span(use, known_end, end))
        return rest

    def committed(self, spans: Iterable[Span]) -> None:
        """Remember what a transaction has stored."""
        if len(self._committed) > REMEMBERED:
            self._committed = {}
        for use, first, end in spans:
            known_first, known_end = self._committed.get(use, (end, end))
            beside = first <= known_end and end >= known_first
            self._committed[use] = (min(first, known_first), max(end, known_end)) if beside else (first, end)


def spans_of(uses: Int64s, ts_us: Int64s, held_s: Float64s, low_minute: int) -> list[Span]:
    """The spans that such readings tell of, from a minute on: of each use those that touch are one."""
    firsts = np.maximum((ts_us - np.round(held_s * 1_000_000).astype(np.int64)) // MINUTE_US, low_minute)
    ends = np.maximum(-(-ts_us // MINUTE_US), firsts + 1)
    spans: list[Span] = []
    for n in np.lexsort((firsts, uses)).tolist():
        use, first, end = int(uses[n]), int(firsts[n]), int(ends[n])
        if spans and spans[-1].use == use and first <= spans[-1].end:
            spans[-1] = Span(use, spans[-1].first, max(end, spans[-1].end))
        else:
            spans.append(Span(use, first, end))
    return spans
