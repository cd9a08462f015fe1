"""Answers of arrays are those of SQL: counts, minima, maxima, last values and percentiles exactly, sums to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Double, Engine, Select, text

from telemetry.collector.writer import BatchWriter
from telemetry.readings.aggregates import Aggregate, FleetAggregate, OverTime
from telemetry.readings.derived import Formula
from telemetry.settings import Settings
from telemetry.store import hours, sealed_rows
from telemetry.store.models import Time
from telemetry.store.read.history import fleet, raw, readings
from telemetry.store.read.history.chosen import Aggregation, Condition
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.places import Place
from telemetry.store.read.sealed import columns, hourly, parts, paths, portions, quotas, runs, windows
from telemetry.store.read.sealed.paths import Reader
from telemetry.store.upkeep import sealing
from tests.batches import T0_US, batch, key
from tests.batches import readings as content
from tests.examples import examples
from tests.store.upkeep.test_sealing import seal_all

DAY_S = 86_400
# A day in a month that is not sealed.
OPEN = 40
T0 = datetime.fromtimestamp(T0_US / 1e6, UTC)
SERIES = [
    *(key(metric, gpu, pod=pod) for metric in ("power", "temp") for gpu, pod in (("GPU-1", "p"), ("GPU-2", "q"))),
    key("power", "GPU-3", GPU_I_ID="1", mig_instance="1"),
    key("power", "GPU-1", pod="q"),
    key("temp", "GPU-1", team="vision"),
]
ODD = [float("nan"), float("inf"), -0.0, 1e-310, 2.0**60, 0.1]
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
OF_FLEET: tuple[FleetAggregate, ...] = (*AGGREGATES, *get_args(OverTime), "histogram")
SUMS = {"avg", "sum", "increase", "rate", "integral", "hours"}
FORMULAS = (Formula(("power",), ("power", "temp")), Formula(("temp",), ("power",)), Formula(("temp", "power")))

SECONDS = st.one_of(st.integers(-DAY_S, 4 * DAY_S), st.just(OPEN * DAY_S + DAY_S // 2))
# Also beside the times of readings, which are whole seconds, and at the ends of days.
EDGES = st.builds(timedelta, seconds=SECONDS, microseconds=st.sampled_from([0, 0, 1, -1]))
TIMES = st.one_of(st.none(), EDGES.map(lambda since: T0 + since))
SPANS = st.tuples(TIMES, TIMES).map(
    lambda ends: Span(*(ends if None in ends else sorted(end for end in ends if end is not None)))
)
STEPS = st.sampled_from([timedelta(seconds=7), timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=1)])
CONDITIONS = st.lists(
    st.builds(Condition, st.just("value"), st.sampled_from(["<", ">=", "=", "!="]), st.sampled_from([0.0, 50.0])), max_size=1
)


# Bounds on what is in memory at once, as they are and so small that everything is cut.
BOUNDS = (
    (parts, "MOST", 30),
    (parts, "SIZES_ROWS", 9),
    (quotas, "LEAST", 1),
    (portions, "FEW", 5),
    (hourly, "ROWS_AT_ONCE", 9),
    (windows, "MOST", 2000),
    (runs, "MOST", 90),
    (runs, "MOST_RUNS", 90),
    (paths, "ROWS", 3),
)
VIEW = text("""
    SELECT time, metric, value, series FROM readings(CAST(:since AS timestamptz), CAST(:until AS timestamptz))
    WHERE gpu = 'GPU-1' ORDER BY time, metric, series
""").columns(time=Time, value=Double)


@contextmanager
def bounds(*, small: bool) -> Iterator[None]:
    """Answers are made in the pieces that they are made in, or in many small ones."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, most in BOUNDS if small else ():
            patch.setattr(module, name, most)
        yield


@pytest.fixture
def stored(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Three sealed days, late readings for one, and a day in rows. Some hours are not there, some do not fit."""
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    monkeypatch.setattr(hours, "MIN_SAMPLES", 1)
    chance, writer = np.random.default_rng(3), BatchWriter(settings, engine)

    def day(number: int, size: int) -> None:
        rows = []
        # Formulas are of series that were read at the same time.
        together = chance.integers(0, DAY_S - 1, size // 2)
        for place, series in enumerate(SERIES):
            seconds = np.unique(np.append(together, chance.integers(0, DAY_S - 1, size - len(together))))
            values = chance.normal(50, 20, size).round(int(chance.choice([0, 3, 16])))
            # Infinite sums are the same in any order, sums of infinity and NaN too.
            odd = [ODD[(place + number) % len(ODD)]] if place % 2 else []
            rows += [(series, number * DAY_S + int(at), float(v)) for at, v in zip(seconds, [*odd, *values], strict=False)]
        writer.write([batch(content(*rows), f"b{number}-{size}")])

    for number in range(3):
        day(number, 40)
    sealer = replace(settings, seal_after_days=1)
    seal_all(engine, sealer)
    day(2, 5)
    seal_all(engine, sealer)
    day(1, 7)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed SET hours = NULL WHERE series_id = 1 AND day = (SELECT min(day) FROM sealed)"))
        connection.execute(text("UPDATE sealed SET hours[3] = hours[3] + 1 WHERE series_id = 2"))
    day(OPEN, 30)
    return engine


def of_arrays(connection: Connection, reader: Reader | None, names: list[str]) -> list[tuple[Any, ...]] | None:
    """The answer by arrays; None if it is not made so."""
    pieces = reader(connection, 60.0) if reader else None
    if pieces is None:
        return None
    lists = [[columns.values(piece[name]) for name in names] for piece in pieces]
    return [row for piece in lists for row in zip(*piece, strict=True)]


def of_sql(connection: Connection, statement: Select[Any], names: list[str]) -> list[tuple[Any, ...]]:
    """The answer by SQL."""
    return [tuple(row._mapping[name] for name in names) for row in connection.execute(statement)]


def bits(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose floats are texts, none of which is that of another float; NaN has one."""
    return tuple(cell.hex() if isinstance(cell, float) else cell for cell in row)


def same(one: Any, other: Any, *, exact: bool) -> bool:
    """Whether two cells are the same."""
    if not isinstance(one, float) or not isinstance(other, float):
        return bool(one == other)
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other if exact else math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


def compare(
    engine: Engine,
    reader: Reader | None,
    statement: Select[Any],
    names: list[str],
    *,
    exact: bool,
    most: int | None = None,
) -> int:
    """Compare both, at most so many rows; how many rows there are."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        fast = of_arrays(connection, reader, names)
        slow = of_sql(connection, statement, names)
    if fast is None:
        return 0
    fast = fast[:most]
    assert len(fast) == len(slow)
    for one, other in zip(fast, slow, strict=True):
        assert all(same(a, b, exact=exact) for a, b in zip(one, other, strict=True)), (one, other)
    return len(fast)


def gpu_id(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT id FROM gpus WHERE identity = 'GPU-1'")) or 0)


@hypothesis_settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_aggregates_of_the_fleet_are_the_same(stored: Engine, data: st.DataObject) -> None:
    aggregate = data.draw(st.sampled_from(OF_FLEET))
    formula = data.draw(st.sampled_from([None, None, *FORMULAS]))
    some = SeriesFilter(
        metrics=formula.metrics if formula else data.draw(st.sampled_from([("power",), ("temp",), ("power", "temp")])),
        pod=data.draw(st.sampled_from([None, None, "p"])),
        labels=data.draw(st.sampled_from([(), (), (("team", "vision"),)])),
    )
    groups = data.draw(st.sampled_from([(), ("gpu",), ("host",), ("pod",), ("gpu", "label.team")]))
    # Which groups are best depends on the rounding of sums, and of histograms all are asked for.
    is_exact = aggregate not in SUMS
    ranks = [(None, None), (1, None), (None, 2)] if is_exact and aggregate != "histogram" else [(None, None)]
    best = data.draw(st.sampled_from(ranks))
    sorts = [None, None, "readings", "-readings", *(("value", "-value") if is_exact else ())]
    sorts += [f"{sign}{name}" for name in groups for sign in ("", "-")]
    sorts += ["low", "-high"] if aggregate == "histogram" else []
    asked = Aggregation(
        some,
        data.draw(SPANS),
        groups,
        aggregate,
        data.draw(st.one_of(st.none(), STEPS)),
        formula=formula,
        where=data.draw(CONDITIONS),
        having=data.draw(CONDITIONS) if is_exact else (),
        buckets=data.draw(st.sampled_from([(50.0,), (0.0, 30.0, 60.0)])),
        sort=data.draw(st.sampled_from(sorts)),
        top=best[0],
        bottom=best[1],
        bridge=data.draw(st.sampled_from([timedelta(minutes=10), timedelta(hours=3)])),
    )
    names = list(asked.columns)
    needed = data.draw(st.one_of(st.none(), st.integers(1, 9)))
    statement = fleet.aggregate(asked).limit(needed)
    with bounds(small=data.draw(st.booleans())):
        compare(stored, paths.of_fleet(asked, needed), statement, names, exact=aggregate not in SUMS, most=needed)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readings_of_a_gpu_are_the_same(stored: Engine, data: st.DataObject) -> None:
    metric = st.sampled_from(["power", "temp"])
    after = data.draw(st.one_of(st.none(), st.integers(0, 5 * DAY_S).map(lambda second: T0 + timedelta(seconds=second))))
    aggregate, step = data.draw(st.sampled_from(AGGREGATES)), data.draw(STEPS)
    asked = GpuReadings(
        gpu_id(stored),
        "GPU-1",
        data.draw(SPANS),
        data.draw(st.sampled_from([(), ("power",)])),
        data.draw(st.sampled_from(["asc", "desc"])),
    )
    place = None if after is None else Place(after, (data.draw(metric), data.draw(st.integers(0, 9))))
    names = ["timestamp", "gpu", "metric", "value", "unit", "labels", "series"]
    unstepped = replace(asked, after=place)
    small = data.draw(st.booleans())
    for rows_needed in (None, data.draw(st.integers(1, 60))):
        with bounds(small=small):
            compare(stored, paths.of_raw(unstepped, rows_needed), readings.readings(unstepped, rows_needed), names, exact=True)
    step_s = step.total_seconds()
    begun = None if after is None else datetime.fromtimestamp(after.timestamp() // step_s * step_s, UTC)
    stepped = replace(asked, after=None if begun is None else Place(begun, (data.draw(metric), 0)))
    statement = readings.steps(stepped, step, aggregate)
    for some in (None, data.draw(st.integers(1, 60))):
        reader = paths.of_steps(stepped, step, aggregate, some)
        with bounds(small=small):
            compare(stored, reader, statement.limit(some), names, exact=aggregate not in SUMS, most=some)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readings_of_many_gpus_are_the_same(stored: Engine, data: st.DataObject) -> None:
    some = SeriesFilter(
        metrics=data.draw(st.sampled_from([(), ("power",)])), host=data.draw(st.sampled_from([None, ("host-1",)]))
    )
    after = data.draw(st.one_of(st.none(), st.integers(0, 5 * DAY_S).map(lambda second: T0 + timedelta(seconds=second))))
    place = None if after is None else Place(after, (data.draw(st.integers(0, 9)),))
    asked = FleetReadings(some, data.draw(SPANS), data.draw(st.sampled_from(["asc", "desc"])), place)
    names = ["timestamp", "gpu", "host", "index", "metric", "value", "unit", "series", "labels", "owner"]
    for rows_needed in (None, data.draw(st.integers(1, 60))):
        with bounds(small=data.draw(st.booleans())):
            reader = paths.of_raw_fleet(asked, rows_needed)
            compare(stored, reader, raw.readings(asked, rows_needed), names, exact=True)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(span=SPANS, small=st.booleans())
def test_readings_of_arrays_are_those_of_the_view_bit_for_bit(stored: Engine, span: Span, small: bool) -> None:
    asked = GpuReadings(gpu_id(stored), "GPU-1", span)
    with stored.connect().execution_options(isolation_level="AUTOCOMMIT") as connection, bounds(small=small):
        found = of_arrays(connection, paths.of_raw(asked, None), ["timestamp", "metric", "value", "series"])
        if found is not None:
            view = connection.execute(VIEW, {"since": span.start or "-infinity", "until": span.end or "infinity"}).all()
            assert [bits(row) for row in found] == [bits(tuple(row)) for row in view]


def test_sealed_days_are_answered_by_arrays_and_others_by_sql(stored: Engine) -> None:
    asked = GpuReadings(gpu_id(stored), "GPU-1")
    names = ["timestamp", "metric", "value", "labels"]
    assert compare(stored, paths.of_raw(asked, None), readings.readings(asked), names, exact=True) > 400
    in_rows = replace(asked, span=Span(T0 + timedelta(days=OPEN - 1)))
    with stored.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert paths.of_raw(in_rows, None)(connection, 9.0) is None


def test_no_more_days_are_read_than_a_page_needs(stored: Engine) -> None:
    asked = GpuReadings(gpu_id(stored), "GPU-1", order="desc")
    with stored.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        pieces = paths.of_raw(asked, 10)(connection, 9.0)
        assert pieces is not None
        assert [columns.length(piece) for piece in pieces] == [10]
        assert connection.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NULL"))


def test_long_spans_are_answered_without_the_arrays(stored: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []

    def fetch(connection: Any, series: Any, days: Any) -> Any:
        fetched.append(len(days))
        return whole(connection, series, days)

    whole = sealed_rows.fetch
    monkeypatch.setattr(sealed_rows, "fetch", fetch)
    for aggregate in ("avg", "min", "max", "sum", "count"):
        asked = Aggregation(SeriesFilter(), Span(), ("gpu",), aggregate, timedelta(days=1))
        exact = aggregate not in SUMS
        assert compare(stored, paths.of_fleet(asked), fleet.aggregate(asked), list(asked.columns), exact=exact)
    # Series 1 has no hours on one day, those of series 2 do not fit, and infinite sums do not tell.
    assert 0 < max(fetched) < len(SERIES) * 3
