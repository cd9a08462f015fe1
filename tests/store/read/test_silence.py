"""When GPUs and hosts were read last, on what a collector stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, Select, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.readings.tellers import SLURM_HELD as HELD
from telemetry.settings import Settings
from telemetry.store.read import inventory
from telemetry.store.read.health import SEEN
from tests.batches import batch, now_s, readings
from tests.fixtures.fleet import series

MINUTES = timedelta(minutes=1)


def run(engine: Engine, statement: Select[Any]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


@pytest.fixture
def fleet_ages(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """The age of the last reading in seconds: a0 5, a1 1800, b0 900, b1 7200."""
    ages = {("a", 0): 5, ("a", 1): 1800, ("b", 0): 900, ("b", 1): 7200}
    rows = [
        (series("GPU_UTIL", host, index, pod="p"), now_s() - age - before, 1.0)
        for (host, index), age in ages.items()
        for before in (0, 90_000)
    ]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))


@pytest.mark.usefixtures("fleet_ages")
@pytest.mark.parametrize("is_of_before", [False, True])
def test_gpus_and_hosts_tell_how_long_they_are_silent(engine: Engine, is_of_before: bool) -> None:
    if is_of_before:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM allocations"))
    gpus = run(engine, inventory.gpus(inventory.GpuFilter(), "last_seen"))
    assert [row["id"] for row in gpus] == ["GPU-b1", "GPU-a1", "GPU-b0", "GPU-a0"]
    for row, age in zip(gpus, (7200, 1800, 900, 5), strict=True):
        # To the minute, and some seconds of this test.
        assert age - 61 <= row["silent_for_s"] <= age + 30
        assert row["silent_for_s"] >= 0
    assert [(row["name"], row["silent_for_s"] < 100) for row in run(engine, inventory.hosts())] == [("a", True), ("b", False)]


@pytest.mark.usefixtures("fleet_ages")
def test_that_a_scheduler_tells_of_a_gpu_does_not_mean_that_it_is_read(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    slurm = replace(SeriesKey.from_text(series("GPU_UTIL", "b", 1, hpc_job="7", told_by="slurm")), metric=HELD).text()
    other = replace(SeriesKey.from_text(slurm), uuid="GPU-never-read", host="z").text()
    told = batch(readings((slurm, now_s(), 3600.0), (other, now_s(), 3600.0)), "slurm")
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(told))
    gpus = {row["id"]: row["silent_for_s"] for row in run(engine, inventory.gpus(inventory.GpuFilter(), "last_seen"))}
    assert gpus["GPU-b1"] >= 7200 - 61
    assert gpus["GPU-never-read"] is None
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT identity, last_seen FROM ({SEEN}) s"))  # noqa: S608
        seen = {row.identity: row.last_seen for row in rows}
    assert (datetime.now(UTC) - seen["GPU-b1"]).total_seconds() >= 7200 - 61
    assert seen["GPU-never-read"] is None


@pytest.mark.usefixtures("fleet_ages")
def test_they_are_filtered_by_it(engine: Engine) -> None:
    def silent(minutes: int) -> list[str]:
        return [row["id"] for row in run(engine, inventory.gpus(inventory.GpuFilter(silent_for=minutes * MINUTES)))]

    assert silent(10) == ["GPU-a1", "GPU-b0", "GPU-b1"]
    assert silent(60) == ["GPU-b1"]
    assert [row["name"] for row in run(engine, inventory.hosts(silent_for=10 * MINUTES))] == ["b"]
    assert run(engine, inventory.hosts(silent_for=60 * MINUTES)) == []
    some = inventory.GpuFilter(silent_for=10 * MINUTES)
    with engine.connect() as connection:
        assert connection.scalar(inventory.gpus_counted(some)) == 3


def test_a_gpu_that_never_had_a_reading_is_silent_since_it_is_known(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO gpus (identity, host, first_seen) VALUES ('g', 'h', now() - interval '1 hour')"))
    (row,) = run(engine, inventory.gpus(inventory.GpuFilter(silent_for=30 * MINUTES)))
    assert (row["id"], row["last_seen"], row["silent_for_s"]) == ("g", None, None)
    assert run(engine, inventory.gpus(inventory.GpuFilter(silent_for=90 * MINUTES))) == []
