"""Health is judged by what collectors stored: late readings, repeated judgements and a lost one give the same findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.health import rules_file
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.upkeep import chores
from tests.batches import T0_US, batch, key, now_s, readings
from tests.fixtures.services import Query

Reading = tuple[str, float, float]
Store = Callable[[Iterable[Reading]], None]
METRIC = {"xid": "XID_ERRORS", "dbe": "ECC_DBE_VOL_TOTAL", "temp": "GPU_TEMP", "crc": "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"}


@pytest.fixture
def store(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Store:
    """Store readings (metric, age in seconds, value) of GPU-1."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    numbers, now = count(), now_s()

    def stored(some: Iterable[Reading], gpu: str = "GPU-1", **labels: str) -> None:
        rows = [
            (key(f"DCGM_FI_DEV_{METRIC.get(name, name)}", gpu, **labels), int(now - age), value) for name, age, value in some
        ]
        collector.persist(*wire.encode(batch(readings(*rows), f"batch-{next(numbers)}")))

    stored.now = now  # type: ignore[attr-defined]
    return stored


@pytest.fixture
def found(query: Query, store: Any) -> Callable[[], list[tuple[Any, ...]]]:
    """The findings: rule, and the ages of begin and end."""

    def rows() -> list[tuple[Any, ...]]:
        epoch = T0_US // 1_000_000 + store.now
        ages = ", ".join(f"round({epoch} - extract(epoch FROM {name}))::int" for name in ("begun_at", "ended_at"))
        return query(f"SELECT rule, {ages} FROM findings ORDER BY begun_at, rule")  # noqa: S608 - names of above

    return rows


def steady(name: str, value: float, first: int, last: int, step: int = 30) -> list[Reading]:
    return [(name, age, value) for age in range(first, last, -step)]


def test_a_fault_is_found_when_it_is_read_and_ends_when_it_is_gone(store: Store, judge: Any, found: Any) -> None:
    store([("xid", 400, 0), ("xid", 60, 79)])
    judge()
    assert found() == [("xid-79", 60, None)]
    judge()
    assert found() == [("xid-79", 60, None)]
    store([("xid", 5, 0)])
    judge()
    assert found() == [("xid-79", 60, 5)]


def test_what_must_last_is_found_across_several_looks(store: Store, judge: Any, found: Any) -> None:
    store(steady("temp", 90, 280, 30))
    judge()
    assert found() == []
    store(steady("temp", 90, 400, 280))
    judge()
    assert found() == [("gpu-hot", 400, None)]


def test_late_readings_and_another_order_change_nothing(store: Store, judge: Any, found: Any) -> None:
    parts: list[list[Reading]] = [
        steady("dbe", 0, 7200, 6000),
        steady("dbe", 1, 6000, 4000),
        steady("dbe", 0, 4000, 900),
        [("crc", 5000, 3), ("crc", 4970, 5), ("crc", 4940, 5)],
        [("temp", age, 88 if age > 3000 else 60) for age in range(3600, 2400, -30)],
    ]
    for part in (parts[4], parts[2], parts[0], parts[3], parts[1]):
        store(part)
        judge()
    late = found()
    assert late == [
        ("ecc-uncorrected", 6000, 4000),
        ("nvlink-errors", 4970, 4370),
        ("gpu-hot", 3600, 3000),
        ("silent", pytest.approx(900, abs=90), None),
    ]


def test_what_was_marked_and_not_judged_is_judged_by_the_next(
    store: Store, judge: Any, found: Any, settings: Settings, engine: Engine
) -> None:
    store([("dbe", 4000, 0), ("dbe", 3970, 1), ("dbe", 3940, 0)])
    with engine.connect() as connection:
        chores.JUDGING.work(connection, settings, 3600)
        connection.rollback()
    assert found() == []
    judge()
    assert found()[:1] == [("ecc-uncorrected", 3970, 3940)]


def test_silence_begins_with_the_last_reading_and_ends_with_the_next(
    store: Store, judge: Any, found: Any, query: Query
) -> None:
    store(steady("GPU_UTIL", 1, 2400, 1200))
    judge()
    ((rule, age, ended),) = found()
    assert (rule, ended) == ("silent", None)
    assert 1110 < age <= 1230
    store([("GPU_UTIL", 5, 1)])
    judge()
    ((_, begun, ended),) = found()
    assert begun == age
    assert 0 <= ended <= 65
    # A day that comes later shows that it was not so.
    store(steady("GPU_UTIL", 1, 1200, 30))
    judge()
    assert found() == []
    store(steady("GPU_UTIL", 1, 40 * 86400, 40 * 86400 - 60))
    judge()
    ((_, begun, ended),) = found()
    assert (begun > 39 * 86400, 2390 <= ended <= 2460) == (True, True)


def test_a_gpu_that_falls_silent_is_found_without_any_reading(
    store: Store, judge: Any, found: Any, query: Query, engine: Engine
) -> None:
    store([("GPU_UTIL", 30, 1)])
    judge()
    assert found() == []
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE allocations SET held ="
            " tstzmultirange(tstzrange(lower(held) - interval '15 min', upper(held) - interval '15 min'))"
        )
    judge()
    assert [row[0] for row in found()] == ["silent"]


def test_a_straggler_of_a_job_is_found(store: Any, judge: Any, query: Query) -> None:
    for gpu, watts in (("GPU-1", 600), ("GPU-2", 610), ("GPU-3", 605), ("GPU-4", 300)):
        store(steady("POWER_USAGE", watts, 1500, 30), gpu, hpc_job="7")
    judge()
    rows = query("SELECT g.identity, rule, value FROM findings JOIN gpus g ON g.id = gpu_id")
    assert rows == [("GPU-4", "straggler", 300.0)]


def test_another_limit_judges_the_last_day_anew(
    store: Store, judge: Any, found: Any, settings: Settings, engine: Engine
) -> None:
    store(steady("temp", 70, 4000, 30))
    judge()
    assert found() == []
    changed = replace(settings, health_rules=rules_file.changed("[rules.gpu-hot]\nat_least = 65"))
    while chores.run(engine, changed, chores.JUDGING, 3600):
        pass
    assert found() == [("gpu-hot", 4000, None)]
    while chores.run(
        engine, replace(settings, health_rules=rules_file.changed("[rules.gpu-hot]\nenabled = false")), chores.JUDGING, 3600
    ):
        pass
    assert found() == []


def test_another_severity_reaches_what_was_found_before(
    store: Store, judge: Any, settings: Settings, engine: Engine, query: Query
) -> None:
    store(steady("temp", 95, 4000, 30))
    judge()
    ((begun_at, severity),) = query("SELECT begun_at, severity FROM findings WHERE rule = 'gpu-hot'")
    assert severity == 2
    changed = replace(settings, health_rules=rules_file.changed('[rules.gpu-hot]\nseverity = "faulty"'))
    while chores.run(engine, changed, chores.JUDGING, 3600):
        pass
    assert query("SELECT begun_at, severity FROM findings WHERE rule = 'gpu-hot'") == [(begun_at, 3)]
