"""What is asked of samples has the same answer before and after their days are sealed, and reads no days that it need not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, Row, Select, text

from telemetry.collector.writer import BatchWriter
from telemetry.readings.aggregates import Aggregate
from telemetry.readings.derived import Formula
from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD
from telemetry.settings import Settings
from telemetry.store.read import inventory, totals
from telemetry.store.read.history import fleet, latest, raw, readings
from telemetry.store.read.history.chosen import Aggregation, Condition
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.places import Order, Place
from telemetry.store.upkeep import looks, sealing
from tests.batches import T0_US, batch, key
from tests.batches import readings as content
from tests.store.upkeep.test_sealing import seal_all

DAY_S = 86_400
T0 = datetime.fromtimestamp(T0_US / 1e6, UTC)
NAMES = ("power", "temp")
# Of whole numbers, of decimals, and of floats that are none.
DIGITS = (0, 3, 16, 16)
VALUES = np.random.default_rng(1)
Answers = dict[str, Any]
ABOVE = Condition("value", ">", 40.0)
RATIO = Formula(("power",), ("temp",))


@pytest.fixture
def days(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Four days of two metrics of two GPUs, at odd times; the settings seal them."""
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    writer = BatchWriter(settings, engine)
    for day in range(4):
        rows = [
            (key(metric, gpu, pod="p"), day * DAY_S + 1000 * second + place, round(float(value), DIGITS[place]))
            for place, (metric, gpu) in enumerate((metric, gpu) for metric in NAMES for gpu in ("GPU-1", "GPU-2"))
            for second, value in enumerate(VALUES.normal(50, 20, 20))
        ]
        # For hours of it a scheduler names another owner: readings are told of theirs all the same.
        rows.append((key(KUBERNETES_HELD, "GPU-1", pod="other", told_by=KUBERNETES), day * DAY_S + 12_345, 12_000.0))
        writer.write([batch(content(*rows), f"b{day}")])
    return replace(settings, seal_after_days=1)


def asked(gpu_id: int) -> Iterator[tuple[str, Select[Any]]]:
    """Questions of each kind, by name."""
    some = Span(T0 + timedelta(hours=20), T0 + timedelta(days=2, hours=3))
    for span in (Span(), some):
        yield f"all {span}", readings.readings(GpuReadings(gpu_id, "GPU-1", span))
        orders: tuple[Order, ...] = ("asc", "desc")
        for order in orders:
            yield f"page {order} {span}", readings.readings(GpuReadings(gpu_id, "GPU-1", span, order=order), 25)
            after = Place(T0 + timedelta(days=1, seconds=3000), ("power", 1))
            yield f"rest {order} {span}", readings.readings(GpuReadings(gpu_id, "GPU-1", span, order=order, after=after), 25)
        aggregates: tuple[Aggregate, ...] = ("avg", "last", "p95")
        for aggregate in aggregates:
            step = timedelta(hours=5)
            yield f"steps {aggregate} {span}", readings.steps(GpuReadings(gpu_id, "GPU-1", span), step, aggregate)
            fleets = Aggregation(SeriesFilter(), span, ("gpu",), aggregate, step, 1)
            yield f"fleet {aggregate} {span}", fleet.aggregate(fleets)
            owners = Aggregation(SeriesFilter(pod="p"), span, ("pod",), aggregate)
            yield f"owners {aggregate} {span}", fleet.aggregate(owners)
        over_time = Aggregation(SeriesFilter(), span, ("gpu",), "increase", timedelta(hours=5), where=[ABOVE])
        yield f"over time {span}", fleet.aggregate(over_time)
        yield f"ratio {span}", fleet.aggregate(Aggregation(SeriesFilter(), span, ("gpu",), formula=RATIO))
        yield f"raw {span}", raw.readings(FleetReadings(SeriesFilter(), span))
        for order in orders:
            after = Place(T0 + timedelta(days=1, seconds=3000), (1,))
            yield f"raw rest {order} {span}", raw.readings(FleetReadings(SeriesFilter(), span, order, after), 25)
        yield f"raw owners {span}", raw.readings(FleetReadings(SeriesFilter(pod="p"), span), 25)
    yield "latest", latest.latest(SeriesFilter(), timedelta(days=99_999))
    yield "newer", latest.newer({1: T0, 2: T0 + timedelta(days=9)})
    yield "metrics", inventory.gpu_metrics(gpu_id)
    yield "seen", inventory.gpus_counted(inventory.GpuFilter(seen_since=T0 + timedelta(days=3)))


def answers(engine: Engine) -> Answers:
    """The answers to all of them."""
    with engine.connect() as connection:
        gpu_id = connection.scalar(text("SELECT id FROM gpus WHERE identity = 'GPU-1'"))
        given: Answers = {name: rounded(connection.execute(statement)) for name, statement in asked(gpu_id or 0)}
        return given | {"totals": totals.stats(connection)} | looked_at(connection, gpu_id or 0)


def looked_at(connection: Connection, gpu_id: int) -> Answers:
    """What the health of a GPU is judged by, on the second of the days."""
    since, until = T0 + timedelta(days=1), T0 + timedelta(days=1, hours=3)
    near = looks.extremes(connection, [looks.Span(gpu_id, since, until)], {"power": 600.0})
    series = [(row.series_id, since, until) for row in near]
    assert series
    return {
        "extremes": [(row.low, row.high) for row in near],
        "looks": [(times.tolist(), values.tolist()) for times, values in looks.readings(connection, series)],
        "following": looks.following(connection, series),
    }


def rounded(rows: Iterable[Row[Any]]) -> list[list[Any]]:
    """Rows without the last digits of floats: a sum depends on the order of what is summed."""
    return [[round(cell, 9) if isinstance(cell, float) else cell for cell in row] for row in rows]


def test_the_answers_are_the_same_before_meanwhile_and_after(engine: Engine, days: Settings) -> None:
    before = answers(engine)
    assert len(before["all Span(start=None, end=None)"]) == 164
    for _ in range(2):
        with engine.begin() as connection:
            assert sealing.step(connection, days, 100)
        assert answers(engine) == before
    seal_all(engine, days, 100)
    assert answers(engine) == before
    late = batch(content((key("power", "GPU-1", pod="p"), DAY_S + 7, 1.25), (key("power", "GPU-2", pod="p"), 7, 0.1)), "late")
    BatchWriter(days, engine).write([late])
    with_late = answers(engine)
    assert with_late != before
    seal_all(engine, days)
    assert answers(engine) == with_late


def test_people_read_the_same_in_the_view(engine: Engine, days: Settings) -> None:
    statement = text("SELECT * FROM readings ORDER BY time, series")
    ranged = text("SELECT * FROM readings(:since, :until) ORDER BY time, series")
    span = {"since": T0 + timedelta(hours=20), "until": T0 + timedelta(days=2)}
    with engine.connect() as connection:
        before = connection.execute(statement).all()
        some = connection.execute(ranged, span).all()
    seal_all(engine, days)
    with engine.connect() as connection:
        assert connection.execute(statement).all() == before
        assert connection.execute(ranged, span).all() == some
    assert len(before) == 324
    assert some == [row for row in before if span["since"] <= row.time <= span["until"]]
    row = next(row for row in before if row.metric == "power" and row.gpu == "GPU-1")
    assert (row.time, row.host, row.model, row.labels, row.owner) == (T0, "host-1", "H100", {}, {"pod": "p"})


def test_only_the_days_asked_for_are_read(engine: Engine, days: Settings) -> None:
    seal_all(engine, days)
    BatchWriter(days, engine).write([batch(content((key("power", "GPU-1"), 40 * DAY_S, 1.0)), "other")])
    statement = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM readings(:since, :until) WHERE gpu = 'GPU-1' AND metric = 'power'"
    with engine.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        span = {"since": T0 + timedelta(days=1, hours=6), "until": T0 + timedelta(days=1, hours=7)}
        (plan,) = connection.execute(text(statement), span).scalar_one()
        tables = {node["Relation Name"]: node for node in nodes(plan["Plan"]) if "Relation Name" in node}
    assert not [name for name in tables if name.startswith("samples")]
    (sealed,) = [node for name, node in tables.items() if name.startswith("sealed_2")]
    assert sealed["Actual Rows"] * sealed["Actual Loops"] <= 8


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
