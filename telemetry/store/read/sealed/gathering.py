"""Gathers what an aggregate is made of: samples of a span, each with its step, and the group that its series is of then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from telemetry.readings.aggregates import Aggregate
from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.readings.derived import Formula
from telemetry.store.read.history.chosen import OPERATORS, Condition
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import derived, hourly, runs
from telemetry.store.read.sealed.derived import Sources
from telemetry.store.read.sealed.fetched import Bounds, Days, clipped, of_rows, pieces
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.runs import Gathered, Runs, TooManyError, step_of
from telemetry.store.read.sealed.windows import halves, steps_of
from telemetry.store.sealed_rows import Samples


class Members(NamedTuple):
    """Series in order of their ids, each with the number of its group, and the time [low, high) that it is of that group.

    The times are None where a series is of one group only, at all times.
    """

    series: Int64s
    group: Int64s
    low_us: Int64s | None = None
    high_us: Int64s | None = None


@dataclass(frozen=True, slots=True)
class Gathering:
    """Which samples are gathered: of a span whose `days` are sealed, in steps (None: one), those that conditions hold for.

    With a formula its values are, which it makes of `sources`. Between the edges of `buckets` a group is one for each bucket.
    """

    aggregate: Aggregate
    span: Span
    days: Sequence[Days]
    step: timedelta | None
    where: Sequence[Condition] = ()
    buckets: Sequence[float] = ()
    formula: Formula | None = None
    sources: Sequence[Sources] = ()

    @property
    def is_of_hours(self) -> bool:
        """Whether sums of hours are enough for it."""
        return hourly.serves(self.aggregate, self.step) and not (self.where or self.buckets or self.formula)


def figures(seen: Moment, asked: Gathering, members: Members) -> Runs:
    """One run a step and group, in that order. Steps are times in microseconds; without steps all are 0.

    Raises TooManyError where a percentile of one step and group has too many values.
    """
    try:
        return _gathered(seen, asked, members).together()
    except TooManyError:
        parts = _halves(asked, members)
        if len(parts) == 1:
            raise
    return runs.together(asked.aggregate, [figures(seen, *part) for part in parts])


def _gathered(seen: Moment, asked: Gathering, members: Members) -> Gathered:
    gathered, days = Gathered(asked.aggregate), clipped(asked.days, asked.span)
    if asked.formula:
        for samples in derived.values(seen, asked.formula, asked.sources, asked.span, days):
            _add(gathered, samples.taken(np.isin(samples.series, members.series)), asked, members)
        return gathered
    if asked.is_of_hours and members.low_us is None:
        whole, days = hourly.whole(Bounds.of(asked.span), days)
        for of_hours, missing in hourly.read(seen, asked.aggregate, asked.step, whole, members.series, members.group):
            gathered.add_runs(of_hours)
            for samples in of_rows(seen, missing, Bounds.of(asked.span)):
                _add(gathered, samples, asked, members)
    for samples in pieces(seen, np.unique(members.series).tolist(), asked.span, days):
        _add(gathered, samples, asked, members)
    return gathered


def _halves(asked: Gathering, members: Members) -> list[tuple[Gathering, Members]]:
    """The same question in two, by steps or by groups; as it is where it has one of both."""
    if asked.step and asked.span.start and asked.span.end and steps_of(asked.span, asked.step) > 1:
        return [(replace(asked, span=span), members) for span in halves(asked.span, asked.step)]
    is_first: Bools = members.group <= np.median(members.group)
    if is_first.all():
        is_first = members.group < members.group.max()
    sides = [side for side in (is_first, ~is_first) if side.any()]
    return [(asked, Members(*(None if column is None else column[side] for column in members))) for side in sides]  # type: ignore[arg-type]


def _add(gathered: Gathered, samples: Samples, asked: Gathering, members: Members) -> None:
    group, places = placed(samples, members, asked.where)
    some = samples.taken(places)
    if asked.buckets:
        group = group * (len(asked.buckets) + 1) + np.searchsorted(np.asarray(asked.buckets), some.values, "right")
    gathered.add(step_of(some.ts_us, asked.step), group, some)


def condition_holds(condition: Condition, numbers: Float64s | Int64s) -> Bools:
    """Where a condition holds. NaN is equal to itself and greater than all, as in Postgres."""
    holds: Bools = OPERATORS[condition.operator](np.where(np.isnan(numbers), np.inf, numbers), condition.number)
    nan = np.isnan(numbers)
    holds[nan] = condition.operator in {">", ">=", "!="}
    return holds


def placed(samples: Samples, members: Members, where: Sequence[Condition]) -> tuple[Int64s, Int64s | slice]:
    """The groups of samples that conditions hold for, and where those are: each as often as it is of a group."""
    group, places = _grouped(samples, members)
    for condition in where:
        holds = condition_holds(condition, samples.values[places])
        group, places = group[holds], np.flatnonzero(holds) if isinstance(places, slice) else places[holds]
    return group, places


def _grouped(samples: Samples, members: Members) -> tuple[Int64s, Int64s | slice]:
    """The groups of samples, and where those are."""
    if members.low_us is None or members.high_us is None:
        return members.group[np.searchsorted(members.series, samples.series)], slice(None)
    begin = np.searchsorted(samples.series, members.series, "left")
    end = np.searchsorted(samples.series, members.series, "right")
    places: list[Any] = [np.zeros(0, np.int64)]
    groups: list[Any] = [np.zeros(0, np.int64)]
    for number in np.flatnonzero(end > begin).tolist():
        times = samples.ts_us[begin[number] : end[number]]
        low, high = np.searchsorted(times, [members.low_us[number], members.high_us[number]])
        places.append(np.arange(begin[number] + low, begin[number] + high))
        groups.append(np.full(max(0, high - low), members.group[number]))
    return np.concatenate(groups), np.concatenate(places)
