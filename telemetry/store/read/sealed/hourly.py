"""Runs of the sums that stand beside the arrays of sealed days, an hour each, for steps of whole hours.

Rows that have none, or such as do not fit their samples, are read from the arrays: `read` says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from telemetry.readings.aggregates import Aggregate
from telemetry.readings.arrays import Int64s
from telemetry.store import sealed_rows
from telemetry.store.hours import FIGURES, HOUR_US, HOURS, SIZE
from telemetry.store.partitions import DAY_US
from telemetry.store.read.sealed import runs
from telemetry.store.read.sealed.fetched import Bounds, Days, parted
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.parts import Size
from telemetry.store.read.sealed.runs import Runs
from telemetry.store.sealed_rows import EPOCH_DAY

HOUR = timedelta(hours=1)
EPOCH_DATE = date(1970, 1, 1)
# Rows that are in memory at once, each of 700 bytes.
ROWS_AT_ONCE = 8192
# The figure that an aggregate is made of, beside the count.
OF = {"avg": "sum", "sum": "sum", "min": "min", "max": "max", "count": "count"}
# A row without hours has none of its samples in them: so one statement finds all rows.
QUERY = """
    SELECT series_id, day, n, times_id, (coalesce(hours, {none}))[1:{hours}], (coalesce(hours, {none}))[{first}:{last}]
    FROM sealed WHERE series_id = ANY ('{{{series}}}'::bigint[]) AND day >= '{begin}' AND day < '{end}'
"""
NONE = f"array_fill(0::float8, ARRAY[{SIZE}])"
# A field of a COPY with the array of a figure: see `sealed_rows`.
ARRAY = np.dtype([("head", "S24"), ("elements", [("size", ">i4"), ("value", ">f8")], HOURS)])
ROW = np.dtype(
    [
        *(("fields", ">i2"), ("n1", ">i4"), ("series", ">i8"), ("n2", ">i4"), ("day", ">i4"), ("n3", ">i4"), ("n", ">i4")),
        *(("n4", ">i4"), ("times_id", ">i8")),
        *(("count", ARRAY), ("figure", ARRAY)),
    ]
)


def serves(aggregate: Aggregate, step: timedelta | None) -> bool:
    """Whether an aggregate in steps can be made of hours."""
    return aggregate in OF and not (step and step % HOUR)


def whole(bounds: Bounds, days: Sequence[Days]) -> tuple[list[Days], list[Days]]:
    """The days that lie in a span wholly, and the others."""
    inside, others = list[Days](), list[Days]()
    for first, end in days:
        low = max(first, day_at(-(-bounds.start_us // DAY_US), first, end))
        high = min(end, day_at((bounds.end_us + 1) // DAY_US, first, end))
        if low >= high:
            others.append(Days(first, end))
            continue
        inside.append(Days(low, high))
        others += [part for part in (Days(first, low), Days(high, end)) if part.first < part.end]
    return inside, others


def day_at(number: int, first: date, end: date) -> date:
    """A day counted from 1970, or what is nearest to it of two days and those between them."""
    low, high = ((day - EPOCH_DATE).days for day in (first, end))
    return EPOCH_DATE + timedelta(days=min(max(number, low), high))


def read(
    seen: Moment, aggregate: Aggregate, step: timedelta | None, days: Sequence[Days], series: Int64s, group: Int64s
) -> Iterator[tuple[Runs, list[Size]]]:
    """Runs of whole days of series, in order of their ids and each with its group; and the rows that have no hours."""
    numbers = np.unique(series).tolist()
    first = 1 + HOURS * FIGURES.index(OF[aggregate])
    listed = ",".join(map(str, numbers))
    for begin, end in parted(days, max(1, ROWS_AT_ONCE // max(1, len(numbers)))):
        seen.check()
        figures = {"none": NONE, "hours": HOURS, "first": first, "last": first + HOURS - 1}
        query = QUERY.format(**figures, series=listed, begin=begin, end=end)
        rows = sealed_rows.copied_rows(seen.beneath, query, ROW)
        count = rows["count"]["elements"]["value"].astype(np.int64)
        figure = rows["figure"]["elements"]["value"].astype(np.float64)
        # Of an infinite sum only the samples tell whether it overflowed.
        fits = (count.sum(axis=1) == rows["n"]) & ~np.isinf(figure).any(axis=1)
        missing = [Size(int(row["series"]), _date(row), int(row["n"]), int(row["times_id"])) for row in rows[~fits]]
        rows, count, figure = rows[fits], count[fits], figure[fits]
        place, hour = np.nonzero(count)
        at_us = (rows["day"].astype(np.int64)[place] + EPOCH_DAY) * DAY_US + hour * HOUR_US
        number = rows["series"].astype(np.int64)[place]
        group_of = group[np.searchsorted(series, number)]
        hours = Runs(runs.step_of(at_us, step), group_of, count[place, hour], figure[place, hour], at_us, number)
        yield runs.joined(aggregate, hours, runs.starts(place, hours.step)), sorted(missing)


def _date(row: Any) -> date:
    return EPOCH_DATE + timedelta(days=int(row["day"]) + EPOCH_DAY)
