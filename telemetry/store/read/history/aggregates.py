"""How the values of samples become one: aggregates, and the steps of time that they are taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Double, and_, case, cast, func, literal
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, array

from telemetry.readings.aggregates import Aggregate, OverTime
from telemetry.store.models import Sample

# Steps begin at multiples of their length since then.
ORIGIN = literal("1970-01-01T00:00:00Z")


class Values(NamedTuple):
    """The columns of what is aggregated: time, value, and the number of the series."""

    ts: Any = Sample.ts
    value: Any = Sample.value
    series: Any = Sample.series_id


class Transitions(NamedTuple):
    """The columns of a reading and of the one before it: its value, and how many seconds ago it was (null: there is none)."""

    value: Any
    before: Any
    length_s: Any


SAMPLES = Values()


def aggregated(aggregate: Aggregate, values: Values = SAMPLES) -> ColumnElement[Any]:
    """An aggregate of sample values."""
    match aggregate:
        case "avg":
            # Postgres' own avg adds up squares too, so it overflows on values whose mean is well in range.
            return func.sum(values.value) / func.count()
        case "min" | "max" | "sum":
            return getattr(func, aggregate)(values.value)  # type: ignore[no-any-return]
        case "count":
            return cast(func.count(), Double)
        case "last":
            # The largest (time, series, value) needs the memory of one. A float has room for microseconds.
            sample = array([func.date_part("epoch", values.ts), cast(values.series, Double), values.value])
            return func.max(sample, type_=ARRAY(Double))[3]
    return func.percentile_cont(int(aggregate[1:]) / 100).within_group(values.value)


def over_time(aggregate: OverTime, readings: Transitions, bridge: timedelta) -> ColumnElement[Any]:
    """An aggregate of what happened between readings. Null where no reading has one before it.

    Time that is longer than `bridge` between two readings is a gap: it is no part of hours and integrals.
    """
    value, before, length_s = readings
    # A counter that counts backwards was reset, and has counted from 0 since.
    increase = func.sum(case((value >= before, value - before), (before.is_not(None), value)))
    together = length_s <= bridge.total_seconds()
    match aggregate:
        case "increase":
            return increase
        case "rate":
            return increase / func.nullif(func.sum(length_s), 0.0, type_=Double)
        case "integral":
            return func.sum((value + before) / 2 * length_s).filter(together)
        case "hours":
            return func.sum(length_s).filter(together) / 3600
        case "changes":
            return cast(func.count().filter(and_(before.is_not(None), value != before)), Double)


def step_start(step: timedelta, ts: Any = Sample.ts) -> Any:
    """The start of the step that a sample lies in, as the column `timestamp`."""
    return func.date_bin(step, ts, cast(ORIGIN, TIMESTAMP(timezone=True))).label("timestamp")
