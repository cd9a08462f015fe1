"""Aggregates of samples by step and group, as SQL has them. Pure functions over arrays.

A run is what lies together in one step and group. Runs are made of samples piece by piece, and then put together: so no more
than a piece is in memory, and sums that stand in the database are runs too. Of two NaN is the greater, as in Postgres.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from telemetry.readings.aggregates import Aggregate
from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.sealed_rows import Samples

# How figures of two runs become one. Of the others the last counts, in order of time and series.
JOINED: dict[str, Any] = {"avg": np.add, "sum": np.add, "min": np.fmin, "max": np.maximum}

MICROSECOND = timedelta(microseconds=1)
# Values of percentiles that are kept at once, and runs.
MOST = 1 << 19
MOST_RUNS = 1 << 18


class Runs(NamedTuple):
    """Runs: their step and group, how many samples (`size`), the figure, and the time and the series of the last sample."""

    step: Int64s
    group: Int64s
    size: Int64s
    figure: Float64s
    last_us: Int64s
    series: Int64s


def starts(*columns: Int64s) -> Int64s:
    """Where one of the columns differs from the row before; the first row too, if there is one."""
    differs: Bools = np.zeros(len(columns[0]), np.bool_)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def step_of(ts_us: Int64s, step: timedelta | None) -> Int64s:
    """The start of the step that each time lies in; 0 where there are no steps."""
    return ts_us - ts_us % (step // MICROSECOND) if step else np.zeros_like(ts_us)


def of_samples(aggregate: Aggregate, step: Int64s, group: Int64s, samples: Samples) -> Runs:
    """Runs of samples, in an order in which those of a series and group lie together, each owner's in order of time."""
    series, ts_us, values = samples
    # Another owner's time may begin before the last one's ends.
    turn: list[Int64s] = [np.cumsum(np.diff(ts_us, prepend=ts_us[:1]) < 0)] if aggregate == "last" else []
    begins = starts(series, group, step, *turn)
    return joined(aggregate, Runs(step, group, np.ones(len(step), np.int64), values, ts_us, series), begins)


def joined(aggregate: Aggregate, runs: Runs, begins: Int64s) -> Runs:
    """Neighbours as one: all from each of `begins` to the one before the next."""
    if not len(begins):
        return runs
    ends = np.append(begins[1:], len(runs.step)) - 1
    ufunc = JOINED.get(aggregate)
    # A sum that overflows is an error in SQL, and one of infinite values is not.
    with np.errstate(over="raise", invalid="ignore"):
        figure = runs.figure[ends] if ufunc is None else ufunc.reduceat(runs.figure, begins)
    count = np.add.reduceat(runs.size, begins)
    return Runs(runs.step[begins], runs.group[begins], count, figure, runs.last_us[ends], runs.series[ends])


def together(aggregate: Aggregate, parts: Sequence[Runs]) -> Runs:
    """All runs, one a step and group, in that order."""
    columns: list[Any] = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    runs = Runs(*columns)
    order = np.lexsort((runs.series, runs.last_us, runs.group, runs.step))
    runs = Runs(*(column[order] for column in columns))
    return joined(aggregate, runs, starts(runs.step, runs.group))


def result(aggregate: Aggregate, runs: Runs) -> Float64s:
    """The aggregate of each run."""
    if aggregate == "count":
        return runs.size.astype(np.float64)
    return runs.figure / runs.size if aggregate == "avg" else runs.figure


class Counted(NamedTuple):
    """Values of steps and groups, each with how often it is there."""

    step: Int64s
    group: Int64s
    value: Float64s
    often: Int64s


def counted(parts: list[Counted]) -> Counted:
    """All of them, in order of step, group and value. Values of the same bits that lie together become one.

    The list is empty then: they are most of what is in memory.
    """
    columns: list[Any] = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    parts.clear()
    order = np.lexsort((columns[2], columns[1], columns[0]))
    for place in range(len(columns)):
        columns[place] = columns[place][order]
    step, group, value, often = columns
    begins = starts(step, group, value.view(np.int64))
    return Counted(step[begins], group[begins], value[begins], np.add.reduceat(often, begins) if len(begins) else often)


def percentile(share: float, values: Counted) -> Runs:
    """Runs whose figure is a percentile, between two values in proportion. The values are in order."""
    begins = starts(values.step, values.group)
    ends = np.append(begins[1:], len(values.often))
    up_to = np.append(0, np.cumsum(values.often))
    count = up_to[ends] - up_to[begins]
    place = share * (count - 1)
    low = np.floor(place).astype(np.int64)
    below, above = (
        values.value[np.searchsorted(up_to, up_to[begins] + rank, "right") - 1]
        for rank in (low, np.ceil(place).astype(np.int64))
    )
    with np.errstate(all="ignore"):
        figure = np.where(low == place, below, below + (place - low) * (above - below))
    return Runs(values.step[begins], values.group[begins], count, figure, np.zeros_like(count), np.zeros_like(count))


class TooManyError(Exception):
    """More values than are kept at once, of which a percentile needs all."""


class Gathered:
    """Samples and runs, added in pieces, to be aggregated together. Of percentiles all values are kept, each once."""

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        none, no_values = np.zeros(0, np.int64), np.zeros(0)
        self._runs = [Runs(none, none, none, no_values, none, none)]
        self._values = [Counted(none, none, no_values, none)]
        self._kept = 0

    def add(self, step: Int64s, group: Int64s, samples: Samples) -> None:
        """Add samples, each of a step and a group. Raises TooManyError."""
        if not self._aggregate.startswith("p"):
            self.add_runs(of_samples(self._aggregate, step, group, samples))
            return
        self._values.append(Counted(step, group, samples.values, np.ones_like(step)))
        self._kept += len(step)
        if self._kept > MOST:
            self._values = [counted(self._values)]
            self._kept = len(self._values[0].step)
            if self._kept > MOST // 2:
                raise TooManyError

    def add_runs(self, runs: Runs) -> None:
        """Add runs, whose figures are those of the aggregate."""
        self._runs.append(runs)
        self._kept += len(runs.step)
        if self._kept > MOST_RUNS:
            self._runs = [together(self._aggregate, self._runs)]
            self._kept = len(self._runs[0].step)

    def together(self) -> Runs:
        """All of it, one run a step and group, in that order."""
        if self._aggregate.startswith("p"):
            return percentile(int(self._aggregate[1:]) / 100, counted(self._values))
        return together(self._aggregate, self._runs)


def overall(aggregate: Aggregate, runs: Runs) -> Runs:
    """Runs, one a step and group, without their steps. Of percentiles there is no such thing."""
    return together(aggregate, [runs._replace(step=np.zeros_like(runs.step))])
