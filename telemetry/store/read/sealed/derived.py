"""Values in order of time: samples of series, or what a formula makes of the samples that a GPU has at one time.

`derived_from` cuts series into some at a time, of which a day fits into memory, and keeps those of a GPU together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import NamedTuple

import numpy as np

from telemetry.readings.arrays import Float64s, Int64s
from telemetry.readings.derived import Formula
from telemetry.store.read.history.selection import Span
from telemetry.store.read.sealed import parts
from telemetry.store.read.sealed.cut_days import NONE
from telemetry.store.read.sealed.fetched import Days, clipped, parted
from telemetry.store.read.sealed.moment import Moment
from telemetry.store.read.sealed.portions import portions
from telemetry.store.read.sealed.runs import starts
from telemetry.store.sealed_rows import Samples


class Sources(NamedTuple):
    """Series in order of their ids, each with the number that its values go under, and the place of its metric in a formula."""

    series: Int64s
    of: Int64s
    metric: Int64s


class Line(NamedTuple):
    """Times in order, and a value for each."""

    ts_us: Int64s
    values: Float64s


def derived_from(seen: Moment, sources: Sources, days: Sequence[Days]) -> list[Sources]:
    """The same series, some at a time. Those of one number stay together."""
    some = next(parted(days, max(1, parts.SIZES_ROWS // max(1, len(sources.series)))), None)
    sizes = parts.sizes(seen.beneath, sources.series.tolist(), *some) if some else []
    most = max(1, parts.MOST // max((row.n for row in sizes), default=1))
    order = np.sort(sources.of)
    _, begins, inverse = np.unique(order, return_index=True, return_inverse=True)
    batch = (begins // most)[inverse][np.searchsorted(order, sources.of)]
    return [Sources(*(column[batch == number] for column in sources)) for number in np.unique(batch)]


def values(
    seen: Moment, formula: Formula | None, sources: Sequence[Sources], span: Span, sealed: Sequence[Days]
) -> Iterator[Samples]:
    """Values in a span whose days `sealed` are sealed. A piece is in (number, time) order, and so are all of a number."""
    days = clipped(sealed, span)
    for some in sources:
        for samples in portions(seen, some.series.tolist(), span, days, "asc", None):
            yield samples if formula is None else _made(samples, some, formula)


def _made(samples: Samples, sources: Sources, formula: Formula) -> Samples:
    """What a formula makes of samples in (series, ts) order."""
    lines: dict[int, dict[int, list[Line]]] = {}
    begins = starts(samples.series)
    for begin, end in pairwise([*begins.tolist(), len(samples.series)]):
        place = np.searchsorted(sources.series, samples.series[begin])
        of, metric = int(sources.of[place]), int(sources.metric[place])
        line = Line(samples.ts_us[begin:end], samples.values[begin:end])
        lines.setdefault(of, {}).setdefault(metric, []).append(line)
    made = [NONE]
    for of, by_metric in sorted(lines.items()):
        if len(by_metric) == len(formula.metrics):
            ts_us, columns = at_same_times([_largest(by_metric[place]) for place in range(len(formula.metrics))])
            line = of_formula(formula, ts_us, dict(zip(formula.metrics, columns, strict=True)))
            made.append(Samples(np.full(len(line.ts_us), of), *line))
    return Samples(*(np.concatenate(columns) for columns in zip(*made, strict=True)))


def _largest(lines: Sequence[Line]) -> Line:
    """Several lines as one: of one time the largest value."""
    if len(lines) == 1:
        return lines[0]
    ts_us, values = (np.concatenate(columns) for columns in zip(*lines, strict=True))
    order = np.argsort(ts_us, kind="stable")
    begins = starts(ts_us[order])
    return Line(ts_us[order][begins], np.maximum.reduceat(values[order], begins))


def at_same_times(lines: Sequence[Line]) -> tuple[Int64s, list[Float64s]]:
    """The times that all lines have, and the values of each then."""
    times = lines[0].ts_us
    if not all(np.array_equal(times, line.ts_us) for line in lines[1:]):
        times = reduce(np.intersect1d, (line.ts_us for line in lines))
    return times, [line.values[np.searchsorted(line.ts_us, times)] for line in lines]


def of_formula(formula: Formula, ts_us: Int64s, columns: Mapping[str, Float64s]) -> Line:
    """The values of a formula; a time at which it divides by 0 has none. Raises FloatingPointError where SQL has an error."""
    # What overflows is an error in SQL, and what is infinite is not.
    with np.errstate(over="raise", invalid="ignore"):
        over = reduce(add, (columns[name] for name in formula.over))
        if not formula.under:
            return Line(ts_us, over)
        under = reduce(add, (columns[name] for name in formula.under))
        some = under != 0
        ts_us, over, under = ts_us[some], over[some], under[some]
        value = over / under
    if ((value == 0) & (over != 0) & ~np.isinf(under)).any():
        raise FloatingPointError
    return Line(ts_us, value)
