"""What happened between the readings of a series, by step and group, as SQL has it. Pure functions over arrays.

Readings come in pieces, in order of time for each series. So the last of each is kept, for the next piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from telemetry.readings.aggregates import OverTime
from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.read.sealed.columns import Partial
from telemetry.store.read.sealed.runs import MOST_RUNS, starts
from telemetry.store.sealed_rows import Samples

NEVER = np.iinfo(np.int64).min
SECOND_US = 1e6
HOUR_S = 3600


class Readings(NamedTuple):
    """Readings, each with the value of the one before it, and how many seconds ago that was (NaN: there is none)."""

    value: Float64s
    before: Float64s
    length_s: Float64s


class Sums(NamedTuple):
    """Readings by step and group: how many, how many of them count, and what those add up to, also in seconds."""

    step: Int64s
    group: Int64s
    size: Int64s
    counted: Int64s
    amount: Float64s
    length_s: Float64s


class Last:
    """The last reading so far of each series, or of what else has a number."""

    def __init__(self, numbers: Int64s) -> None:
        self._numbers = np.unique(numbers)
        self._us = np.full(len(self._numbers), NEVER)
        self._values = np.zeros(len(self._numbers))

    def passed_by(self, samples: Samples) -> Readings:
        """The next samples of some series, in order, with what came before them."""
        series, ts_us, values = samples
        begins = starts(series)
        ends = np.append(begins[1:], len(series))[: len(begins)] - 1
        places = np.searchsorted(self._numbers, series[begins])
        before_us, before = np.roll(ts_us, 1), np.roll(values, 1)
        before_us[begins], before[begins] = self._us[places], self._values[places]
        self._us[places], self._values[places] = ts_us[ends], values[ends]
        length_s = np.where(before_us == NEVER, np.nan, (ts_us - before_us) / SECOND_US)
        return Readings(values, before, length_s)


def counted(aggregate: OverTime, readings: Readings, bridge: timedelta) -> tuple[Bools, Float64s]:
    """Which readings an aggregate counts, and what each adds to it. Raises FloatingPointError where SQL has an error."""
    value, before, length_s = readings
    counts: Bools = ~np.isnan(length_s)
    if aggregate in {"integral", "hours"}:
        counts = length_s <= bridge.total_seconds()
    value, before, length_s = value[counts], before[counts], length_s[counts]
    with np.errstate(over="raise", invalid="ignore"):
        match aggregate:
            case "increase" | "rate":
                # A counter that counts backwards was reset, and has counted from 0 since. NaN is greater than all.
                rises = (value >= before) | np.isnan(value)
                added = value.copy()
                added[rises] -= before[rises]
            case "integral":
                twice = value + before
                added = twice / 2 * length_s
                if ((added == 0) & (twice != 0)).any():
                    raise FloatingPointError
            case "hours":
                added = length_s
            case "changes":
                added = ((value != before) & ~(np.isnan(value) & np.isnan(before))).astype(np.float64)
    return counts, added


class Between:
    """An aggregate of readings that are added in pieces."""

    def __init__(self, aggregate: OverTime, bridge: timedelta) -> None:
        self._aggregate, self._bridge = aggregate, bridge
        none, no_values = np.zeros(0, np.int64), np.zeros(0)
        self._sums = [Sums(none, none, none, none, no_values, no_values)]
        self._kept = 0

    def add(self, step: Int64s, group: Int64s, readings: Readings) -> None:
        """Add readings, each of a step and group."""
        counts, added = counted(self._aggregate, readings, self._bridge)
        amount, length_s = np.zeros(len(step)), np.zeros(len(step))
        amount[counts], length_s[counts] = added, readings.length_s[counts]
        one = np.ones(len(step), np.int64)
        self._sums.append(together([Sums(step, group, one, counts.astype(np.int64), amount, length_s)]))
        self._kept += len(self._sums[-1].step)
        if self._kept > MOST_RUNS:
            self._sums = [self.together()]
            self._kept = len(self._sums[0].step)

    def together(self) -> Sums:
        """All of it, one row a step and group, in that order."""
        return together(self._sums)


def together(parts: Sequence[Sums]) -> Sums:
    """All rows, one a step and group, in that order."""
    columns: list[Any] = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    step, group = columns[:2]
    if not len(step):
        return Sums(*columns)
    order = np.lexsort((group, step))
    step, group = step[order], group[order]
    begins = starts(step, group)
    with np.errstate(over="raise", invalid="ignore"):
        added: list[Any] = [np.add.reduceat(column[order], begins) for column in columns[2:]]
    return Sums(step[begins], group[begins], *added)


def overall(sums: Sums) -> Sums:
    """The same without steps."""
    return together([sums._replace(step=np.zeros_like(sums.step))])


def result(aggregate: OverTime, sums: Sums) -> Partial:
    """The aggregate of each step and group; null where no reading counts, unless changes are counted."""
    known: Bools = sums.counted > 0
    match aggregate:
        case "rate":
            return Partial(sums.amount / np.where(known, sums.length_s, 1.0), known)
        case "hours":
            return Partial(sums.amount / HOUR_S, known)
        case "changes":
            return Partial(sums.amount, np.ones_like(known))
    return Partial(sums.amount, known)
