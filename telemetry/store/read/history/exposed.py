"""Series and samples as Prometheus would have them, had it scraped the GPUs: one for each owner, which ends when that one goes.

`matched` finds the series of a selector, `read` their samples. A sample is of the owner that the list of readings shows: of
several the one that has the GPU longest. Where another owner's begin, a series gets Prometheus' mark of staleness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import psycopg
from sqlalchemy import BigInteger, Connection, Text, cast, desc, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from telemetry.readings import prometheus_labels
from telemetry.readings.arrays import Float64s, Int64s
from telemetry.readings.matchers import Matcher, matching
from telemetry.readings.prometheus_labels import OF_GPU
from telemetry.store import sealed_rows
from telemetry.store.engine import driver
from telemetry.store.models import Allocation, Gpu, Metric, Owner, Series
from telemetry.store.read.history.selection import Span
from telemetry.store.read.owned import IS_SOMEBODY, between, instance, is_told, names_owner
from telemetry.store.sealed_rows import Samples

METRIC = "__name__"
# As Prometheus' scrapes have it where a file does not say it: the place that was scraped.
INSTANCE = "instance"
# The value that says that a series has ended (model/value/value.go of Prometheus), as bits: it is a NaN of its own.
STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]
# How long after an owner's time the sample is looked for that ends its series. PromQL looks back for 5 minutes.
AFTER = timedelta(minutes=10)
# Rows of the database that are in memory at once before they are points.
PIECE = 1 << 16

Labels = tuple[tuple[str, str], ...]
Key = tuple[int, str]


class TooManyError(Exception):
    """More of something than one answer has; the text says what, and how many it may have."""

    def __init__(self, most: int, what: str) -> None:
        super().__init__(f"more than {most} {what}")


class Bounds(NamedTuple):
    """How much one answer has at most."""

    series: int
    # A series has one for each owner.
    sets: int
    samples: int
    windows: int


class Window(NamedTuple):
    """A stretch of time that an owner had a GPU, in microseconds: [low, high). A later one of a list hides those before."""

    owner: int
    low: int
    high: int


class Chosen(NamedTuple):
    """A series: the windows of its GPU, and its labels by owner (None: nobody) as far as they match."""

    id: int
    windows: Sequence[Window]
    labels: Mapping[int | None, Labels]


class Points(NamedTuple):
    """Samples of one set of labels, in order: times in milliseconds, each once."""

    ts_ms: Int64s
    values: Float64s


def matched(connection: Connection, matchers: Sequence[Matcher], span: Span, bounds: Bounds) -> list[Chosen]:
    """The series that a selector means within a span. Raises TooManyError, and ValueError for a bad regular expression."""
    metrics = connection.execute(select(Metric.id, Metric.name)).all()
    names = {row.id: prometheus_labels.metric(row.name) for row in metrics}
    is_metric = matching(matchers, [{METRIC: name} for name in names.values()], {METRIC})
    metric_ids = [number for number, fits in zip(names, is_metric, strict=True) if fits]
    gpus = connection.execute(select(Gpu.__table__).where(*_on_gpus(matchers))).all()
    is_gpu = matching(matchers, [prometheus_labels.labels(row, {}) for row in gpus], OF_GPU)
    gpu_of = {row.id: row for row, fits in zip(gpus, is_gpu, strict=True) if fits}
    columns = (Series.id, Series.gpu_id, Series.metric_id, Series.labels, instance().label("part"), names_owner().label("own"))
    rows = select(*columns).where(Series.metric_id.in_(metric_ids), Series.gpu_id.in_(gpu_of)).limit(bounds.series + 1)
    series = connection.execute(rows).all() if metric_ids and gpu_of else []
    if len(series) > bounds.series:
        raise TooManyError(bounds.series, "series")
    windows, owners = _windows(connection, {(row.gpu_id, row.part) for row in series if not row.own}, span, bounds)
    pairs: list[tuple[Any, int | None]] = []
    sets: list[dict[str, str]] = []
    for row in series:
        held = [] if row.own else windows.get((row.gpu_id, row.part), [])
        for owner in dict.fromkeys([None, *(window.owner for window in held)]):
            labels = prometheus_labels.labels(gpu_of[row.gpu_id], {**row.labels, **({} if owner is None else owners[owner])})
            if len(sets) == bounds.sets:
                raise TooManyError(bounds.sets, "series of owners")
            pairs.append((row, owner))
            sets.append({**labels, METRIC: names[row.metric_id], INSTANCE: labels.get(INSTANCE) or labels["Hostname"]})
    by_series: dict[int, dict[int | None, Labels]] = defaultdict(dict)
    for (row, owner), labels, fits in zip(pairs, sets, matching(matchers, sets), strict=True):
        if fits:
            by_series[row.id][owner] = tuple(sorted((name, value) for name, value in labels.items() if value))
    return [
        Chosen(row.id, [] if row.own else windows.get((row.gpu_id, row.part), []), by_series[row.id])
        for row in series
        if row.id in by_series
    ]


def read(
    connection: Connection, chosen: Sequence[Chosen], span: Span, bounds: Bounds, *, first: bool = False
) -> dict[Labels, Points]:
    """The samples of series within a span (both ends are given), by their labels and in their order. Raises TooManyError.

    `first`: one sample of each series, under all labels that it has in the span; for who asks which labels there are.
    """
    if not chosen:
        return {}
    # What is sealed while a COPY waits for a lock would be missing.
    connection.execute(text("LOCK TABLE ONLY samples IN ACCESS SHARE MODE"))
    by_series = _copied(driver(connection), _query(chosen, span, bounds.samples + 1, first=first), bounds.samples)
    parts: dict[Labels, list[Points]] = defaultdict(list)
    for one in chosen:
        # What has become points need not be there twice.
        ts_us, values = _in_order(by_series.pop(one.id, []))
        every = ((labels, Points(ts_us // 1000, values)) for labels in one.labels.values() if len(ts_us))
        for labels, points in every if first else by_owner(one, ts_us, values):
            parts[labels].append(points)
    return {labels: _joined(parts.pop(labels)) for labels in sorted(parts)}


def by_owner(chosen: Chosen, ts_us: Int64s, values: Float64s) -> Iterator[tuple[Labels, Points]]:
    """A series' samples, parted among its owners. Where the next sample is another owner's, a part ends with a mark there."""
    owners = np.full(len(ts_us), -1, np.int64)
    for window in chosen.windows:
        low, high = np.searchsorted(ts_us, (window.low, window.high))
        owners[low:high] = window.owner
    for owner, labels in chosen.labels.items():
        own = owners == (-1 if owner is None else owner)
        if not own.any():
            continue
        ends = np.zeros_like(own)
        ends[1:] = own[:-1] & ~own[1:]
        shown = own | ends
        yield labels, Points(ts_us[shown] // 1000, np.where(own, values, STALE)[shown])


def _on_gpus(matchers: Sequence[Matcher]) -> list[Any]:
    """Conditions on GPUs that follow from matchers, for those that are indexed."""
    # Postgres has no text with a NUL, and refuses one.
    equal = {name: value for name, operator, value in matchers if operator == "=" and value and "\0" not in value}
    host = [Gpu.host == equal["Hostname"]] if "Hostname" in equal else []
    uuid = [or_(Gpu.uuid == equal["UUID"], Gpu.identity == equal["UUID"])] if "UUID" in equal else []
    return [*host, *uuid]


def _windows(
    connection: Connection, keys: Collection[Key], span: Span, bounds: Bounds
) -> tuple[dict[Key, list[Window]], dict[int, Mapping[str, str]]]:
    """Who had GPUs or instances within a span, the one that counts last, and those owners' labels. Raises TooManyError."""
    gpu_ids = literal([gpu for gpu, _ in keys], ARRAY(BigInteger))
    parts = literal([part for _, part in keys], ARRAY(Text))
    key = func.unnest(gpu_ids, parts).table_valued("gpu_id", "part", name="key").render_derived()
    stretch = func.unnest(Allocation.held).table_valued("stretch", name="stretch").render_derived()
    low, high = (
        cast(func.extract("epoch", end(stretch.c.stretch)) * 1_000_000, BigInteger) for end in (func.lower, func.upper)
    )
    rows = (
        select(Allocation.gpu_id, Allocation.instance, Allocation.owner_id, low, high)
        .join(key, (key.c.gpu_id == Allocation.gpu_id) & (key.c.part == Allocation.instance))
        .join(Owner, Owner.id == Allocation.owner_id)
        .join(stretch, literal(value=True))
        .where(IS_SOMEBODY, *between(span.start, span.end))
        .order_by(desc(is_told(Owner.labels)), func.upper(Allocation.held), func.lower(Allocation.held), Allocation.owner_id)
        .limit(bounds.windows + 1)
    )
    windows: dict[Key, list[Window]] = defaultdict(list)
    number = 0
    for gpu_id, part, *window in connection.execute(rows) if keys else []:
        windows[gpu_id, part].append(Window(*window))
        number += 1
    if number > bounds.windows:
        raise TooManyError(bounds.windows, "stretches of owners")
    ids = {window.owner for held in windows.values() for window in held}
    owners = connection.execute(select(Owner.id, Owner.labels).where(Owner.id.in_(ids)))
    return windows, {row.id: row.labels for row in owners}


def _query(some: Sequence[Chosen], span: Span, most: int, *, first: bool) -> str:
    """The samples of series, each within the time of those owners that are asked for: numbers and times, no texts."""
    spans = [_span(one, span) for one in some]
    since, until = min(start for start, _ in spans), max(end for _, end in spans)
    arrays = (
        ("bigint", (str(one.id) for one in some)),
        ("timestamptz", (start.isoformat() for start, _ in spans)),
        ("timestamptz", (end.isoformat() for _, end in spans)),
    )
    listed = ", ".join(f"'{{{','.join(values)}}}'::{kind}[]" for kind, values in arrays)
    # The whole time as constants, so that Postgres leaves out days before it begins.
    whole = f"samples_of(k.id, '{since.isoformat()}', '{until.isoformat()}')"
    samples = "samples_first(k.id, k.since, k.until, 1)" if first else whole
    return (
        f"SELECT k.id, n.ts, n.value FROM unnest({listed}) AS k (id, since, until)"  # noqa: S608 - as above
        f" CROSS JOIN LATERAL {samples} n WHERE n.ts BETWEEN k.since AND k.until LIMIT {most}"
    )


def _copied(connection: psycopg.Connection, query: str, most: int) -> dict[int, list[Samples]]:
    """The samples that a query gives, by their series. Raises TooManyError."""
    by_series: dict[int, list[Samples]] = defaultdict(list)
    number = 0
    with closing(sealed_rows.copied_in_pieces(connection, query, PIECE)) as pieces:
        for piece in pieces:
            number += len(piece.series)
            if number > most:
                raise TooManyError(most, "samples")
            begins = np.flatnonzero(np.diff(piece.series, prepend=-1))
            for begin, end in pairwise([*begins.tolist(), len(piece.series)]):
                some = Samples(piece.series[begin:end], piece.ts_us[begin:end], piece.values[begin:end])
                by_series[int(some.series[0])].append(some)
    return by_series


def _in_order(pieces: Sequence[Samples]) -> tuple[Int64s, Float64s]:
    """The times and values of a series, of which rows and arrays come one after the other."""
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0)
    whole = Samples(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))
    if (np.diff(whole.ts_us) <= 0).any():
        whole = sealed_rows.ordered(whole)
    return whole.ts_us, whole.values


def _span(one: Chosen, span: Span) -> tuple[datetime, datetime]:
    if span.start is None or span.end is None:
        raise TypeError("a span of Prometheus has two ends")
    held = [window for window in one.windows if window.owner in one.labels]
    if None in one.labels or not held:
        return span.start, span.end
    low = sealed_rows.time_of(min(window.low for window in held))
    high = sealed_rows.time_of(max(window.high for window in held)) + AFTER
    return max(low, span.start), min(high, span.end)


def _joined(parts: Sequence[Points]) -> Points:
    """Parts as one, in order; of a millisecond the last sample."""
    ts_ms, values = np.concatenate([part.ts_ms for part in parts]), np.concatenate([part.values for part in parts])
    if len(parts) > 1:
        order = np.argsort(ts_ms, kind="stable")
        ts_ms, values = ts_ms[order], values[order]
    last = np.ones(len(ts_ms), np.bool_)
    last[:-1] = ts_ms[1:] != ts_ms[:-1]
    return Points(ts_ms[last], values[last])
