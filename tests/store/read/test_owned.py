"""Whose a reading is, is found by its time: filters, groups, labels and what is now, on what a collector stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, Select, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.aggregates import Group
from telemetry.readings.matchers import Matcher
from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, TOLD_BY
from telemetry.settings import Settings
from telemetry.store.read import inventory
from telemetry.store.read.history import exposed, fleet, latest, readings
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.selection import SeriesFilter, Span
from tests.batches import batch, key, now_s
from tests.batches import readings as rows_of
from tests.before import series_of_before
from tests.fixtures.fleet import T0
from tests.fixtures.services import Query

UTIL = "DCGM_FI_DEV_GPU_UTIL"
MINUTE = 60
# From the minute after T0, which lies in the middle of one.
START = 26
HOUR = Span(T0, T0 + timedelta(hours=1))
A, B = {"pod": "a", "namespace": "red", "user": "ada"}, {"pod": "b", "namespace": "blue"}


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


def store(collector: Collector, rows: list[tuple[str, int, float]], name: str = "b1") -> None:
    assert collector.persist(*wire.encode(batch(rows_of(*rows), name))).status == "stored"


def run(engine: Engine, statement: Select[Any]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


@pytest.fixture
def shared(collector: Collector) -> None:
    """GPU-1: 2 minutes of a (10 and 20), 1 of a and b together (30), 1 of b (40), 2 of nobody (50, 60). GPU-2: nobody (5)."""
    owners = [(0, A, 10.0), (1, A, 20.0), (2, A, 30.0), (2, B, 30.0), (3, B, 40.0), (4, {}, 50.0), (5, {}, 60.0)]
    rows = [(key(UTIL, **of), START + MINUTE * minute, value) for minute, of, value in owners]
    store(collector, [*rows, (key(UTIL, "GPU-2"), START, 5.0)])


def by(engine: Engine, *groups: Group, top: int | None = None, **some: Any) -> dict[Any, tuple[float, int]]:
    asked = Aggregation(SeriesFilter(metrics=(UTIL,), **some), HOUR, groups, "sum", top=top)
    return {tuple(row[name] for name in groups): (row["value"], row["readings"]) for row in run(engine, fleet.aggregate(asked))}


@pytest.mark.usefixtures("shared")
def test_readings_are_grouped_by_who_had_the_gpu_at_their_time(engine: Engine) -> None:
    assert by(engine) == {(): (215, 7)}
    assert by(engine, "namespace") == {("red",): (60, 3), ("blue",): (70, 2), (None,): (115, 3)}
    assert by(engine, "gpu", "user")[("GPU-1", "ada")] == (60, 3)
    assert by(engine, "pod", top=1) == {(None,): (115, 3)}
    assert by(engine, "pod", namespace="blue") == {("b",): (70, 2)}
    assert by(engine, user="ada") == {(): (60, 3)}
    assert by(engine, account="x") == {}


@pytest.mark.usefixtures("shared")
def test_gpus_are_those_that_an_owner_had(engine: Engine) -> None:
    def gpus(**some: Any) -> list[str]:
        return [row["id"] for row in run(engine, inventory.gpus(inventory.GpuFilter(**some)))]

    assert gpus(namespace="red") == ["GPU-1"]
    assert gpus(user="ada", pod="b") == []
    assert gpus(namespace="red", seen_since=T0 + timedelta(seconds=START + 2.5 * MINUTE)) == ["GPU-1"]
    assert gpus(namespace="red", seen_since=T0 + timedelta(seconds=START + 3 * MINUTE)) == []
    assert gpus(namespace="blue", seen_since=T0 + timedelta(seconds=START + 3 * MINUTE)) == ["GPU-1"]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("rows_needed", [None, 3, 100])
def test_a_raw_reading_has_the_labels_of_its_owner_and_is_one_row(engine: Engine, rows_needed: int | None) -> None:
    with engine.connect() as connection:
        gpu_id = connection.execute(inventory.gpu("GPU-1")).one().gpu_id
    rows = run(engine, readings.readings(readings.GpuReadings(gpu_id, "GPU-1"), rows_needed))
    pods = ['"a"', '"a"', '"b"', '"b"', "{}", "{}"]
    assert all(pod in row["labels"] for pod, row in zip(pods, rows, strict=False))
    assert [row["value"] for row in rows] == [10, 20, 30, 40, 50, 60][:rows_needed]


def now(engine: Engine, max_age: timedelta = timedelta(minutes=10), **some: Any) -> list[tuple[Any, ...]]:
    rows = run(engine, latest.latest(SeriesFilter(**some), max_age))
    return [(row["gpu"], row["metric"][12:], row["value"], row["owner"]) for row in rows]


def test_now_is_one_value_a_gpu_and_metric_within_the_age(collector: Collector, engine: Engine) -> None:
    at = now_s()
    rows = [
        (key(UTIL, **A), at - 300, 1.0),
        (key(UTIL, **B), at - 100, 2.0),
        (key("DCGM_FI_DEV_GPU_TEMP", **A), at - 300, 30.0),
        (key(UTIL, "GPU-2"), at - 30, 3.0),
        (key(UTIL, "GPU-3", **A), at - 900, 4.0),
        (key(UTIL, "GPU-m", GPU_I_ID="1", **A), at - 5, 5.0),
        (key(UTIL, "GPU-m", GPU_I_ID="2"), at - 5, 6.0),
    ]
    store(collector, rows)
    blue, red = '{"pod": "b", "namespace": "blue"}', '{"pod": "a", "user": "ada", "namespace": "red"}'
    assert now(engine) == [
        ("GPU-1", "GPU_TEMP", 30.0, red),
        ("GPU-1", "GPU_UTIL", 2.0, blue),
        ("GPU-2", "GPU_UTIL", 3.0, "{}"),
        ("GPU-m", "GPU_UTIL", 5.0, red),
        ("GPU-m", "GPU_UTIL", 6.0, "{}"),
    ]
    assert now(engine, timedelta(minutes=1), namespace="red") == [("GPU-m", "GPU_UTIL", 5.0, red)]
    assert [row[0] for row in now(engine, timedelta(hours=1), user="ada")] == ["GPU-1", "GPU-3", "GPU-m"]


def test_series_of_before_go_on_and_the_newest_of_two_is_shown(collector: Collector, engine: Engine, query: Query) -> None:
    at = now_s()
    series_of_before(engine, key(UTIL, **A), key(UTIL, **B), key(UTIL, "GPU-2", hpc_job="7"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE series SET of_owner = true"))
    store(collector, [(key(UTIL, **A), at - 200, 1.0), (key(UTIL, "GPU-2", hpc_job="7"), at, 7.0)])
    red = '{"pod": "a", "user": "ada", "namespace": "red"}'
    assert now(engine) == [("GPU-1", "GPU_UTIL", 1.0, red), ("GPU-2", "GPU_UTIL", 7.0, '{"hpc_job": "7"}')]
    assert now(engine, namespace="red") == [("GPU-1", "GPU_UTIL", 1.0, red)]
    store(collector, [(key(UTIL, pod="new"), at - 10, 9.0)], "b2")
    assert now(engine)[0] == ("GPU-1", "GPU_UTIL", 9.0, '{"pod": "new"}')
    assert query("SELECT count(*) FROM series WHERE of_owner") == [(3,)]


def test_what_a_collector_of_before_stores_is_there_too(collector: Collector, engine: Engine) -> None:
    store(collector, [(key(UTIL, **A), now_s(), 1.0)])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM allocations"))
        connection.execute(text("UPDATE series SET pod = 'a', labels = '{\"pod\": \"a\"}', of_owner = true"))
    assert now(engine) == [("GPU-1", "GPU_UTIL", 1.0, '{"pod": "a"}')]


def test_what_is_now_does_not_ask_series_that_are_dead(collector: Collector, engine: Engine) -> None:
    """Their number shows neither in the samples' index scans nor in the rows that are looked at."""
    store(collector, [(key(UTIL, **A), now_s(), 1.0)])

    def looked_at() -> int:
        asked = latest.latest(SeriesFilter(), timedelta(minutes=10))
        statement = asked.compile(engine, compile_kwargs={"literal_binds": True})
        with engine.connect() as connection:
            connection.execute(text("SET enable_seqscan = off"))
            (plan,) = connection.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}").execution_options()).scalars()
        return int(_loops(plan[0]["Plan"]))

    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO series (gpu_id, metric_id, labels_digest, pod, labels, of_owner)
                SELECT gpu_id, metric_id, decode(md5(name), 'hex'), name, jsonb_build_object('pod', name), true
                FROM series, generate_series(1, 2000) n, concat('dead-', n) AS name
            """)
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE series"))
    assert looked_at() <= 3


def _loops(plan: dict[str, Any]) -> float:
    """How often a partition of samples was asked."""
    own = plan["Actual Loops"] if str(plan.get("Relation Name", "")).startswith("samples_") else 0
    return own + sum(_loops(child) for child in plan.get("Plans", ()))


def test_an_owner_that_readings_name_is_shown_before_one_that_a_scheduler_tells_of(
    collector: Collector, engine: Engine
) -> None:
    at = now_s() // MINUTE * MINUTE
    told = {"namespace": "blue", "pod": "told", TOLD_BY: KUBERNETES}
    held = [(key(KUBERNETES_HELD, gpu, **told), at - 30, 600.0) for gpu in ("GPU-1", "GPU-2")]
    store(collector, [(key(UTIL, **A), at - 240, 1.0), (key(UTIL, "GPU-2"), at - 240, 2.0), *held])
    shown = {(gpu, metric): owner for gpu, metric, _, owner in now(engine)}
    assert '"pod": "a"' in shown["GPU-1", "GPU_UTIL"]
    # Where no reading names one, what is told fills in.
    assert '"pod": "told"' in shown["GPU-2", "GPU_UTIL"]
    with engine.connect() as connection:
        gpu_id = connection.execute(inventory.gpu("GPU-1")).one().gpu_id
        span = Span(T0, T0 + timedelta(days=36_500))
        chosen = exposed.matched(connection, [Matcher("__name__", "=", UTIL)], span, exposed.Bounds(9, 9, 9, 9))
        points = exposed.read(connection, chosen, span, exposed.Bounds(9, 9, 9, 9))
    raw = [row["labels"] for row in run(engine, readings.readings(readings.GpuReadings(gpu_id, "GPU-1")))]
    assert '"pod": "a"' in raw[0]
    assert {dict(labels)["UUID"]: dict(labels)["pod"] for labels in points} == {"GPU-1": "a", "GPU-2": "told"}
