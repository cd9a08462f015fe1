"""GPUs that are known to be one are one from then on; their samples stay where they are, and are found."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.read import health, inventory
from telemetry.store.upkeep import chores
from tests.batches import batch, readings
from tests.fixtures.services import Query

UTIL = "DCGM_FI_DEV_GPU_UTIL"
SAMPLES = """
    SELECT g.identity, count(*), count(DISTINCT series_id) FROM samples JOIN series s ON s.id = series_id
    JOIN gpus g ON g.id = s.gpu_id GROUP BY 1 ORDER BY 1
"""
HELD = "SELECT identity, held FROM allocations JOIN gpus g ON g.id = gpu_id"


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


def store(
    collector: Collector, uuid: str, *seconds: int, name: str, edge: str = "a/one", host: str = "h", file: str = "file"
) -> dict[str, int]:
    """Store a reading of a GPU at each of some seconds."""
    series = SeriesKey(UTIL, uuid, host, 0, "", "", {}).text()
    source = wire.Source("s", "/gpu.csv", file, "dcgm", None)
    given = batch(readings(*((series, second, 1.0) for second in seconds)), name, edge=edge, source=source)
    return dict(collector.persist(*wire.encode(given)).rows)


def join(engine: Engine, settings: Settings) -> int:
    return chores.run(engine, settings, chores.JOINING, 100)


def names(engine: Engine) -> list[str]:
    """The GPUs that the API lists, and what it finds at the place."""
    with engine.connect() as connection:
        found = [row.id for row in connection.execute(inventory.gpus(inventory.GpuFilter()))]
        assert connection.execute(inventory.gpu("h:0")).one().id in found
    return found


@pytest.mark.parametrize("first", ["", "GPU-1"])
def test_readings_by_host_and_index_are_of_the_gpu_whose_uuid_another_file_names(
    collector: Collector, engine: Engine, settings: Settings, query: Query, first: str
) -> None:
    for uuid in (first, {"": "GPU-1", "GPU-1": ""}[first]):
        store(collector, uuid, 0, 1, name=f"b{uuid}")
    assert join(engine, settings) == 1
    # Both have a series of the same labels; each keeps its samples.
    assert query(SAMPLES) == [("GPU-1", 4, 2)]
    assert [identity for identity, _ in query(HELD)] == ["GPU-1"]
    assert names(engine) == ["GPU-1"]
    # What is read again is found, and what is new goes on, in a process that has known both and in a new one.
    other = Collector(settings, engine, collector._settlements._acks)
    for n, process in enumerate((collector, other)):
        for uuid in ("", "GPU-1"):
            counts = store(process, uuid, 0, 1, 10 + n, name=f"again-{uuid}-{n}")
            assert (counts["stored"], counts["duplicate"]) == (1, 2)
    assert query("SELECT count(*) FROM series") == [(2,)]
    assert join(engine, settings) == 0
    assert [identity for identity, _ in query(HELD)] == ["GPU-1"]


def test_a_series_that_is_new_after_the_join_is_found_too(
    collector: Collector, engine: Engine, settings: Settings, query: Query
) -> None:
    store(collector, "GPU-1", 0, name="b1")
    store(collector, "", 0, name="b2", edge="a/two")
    assert join(engine, settings) == 1
    temp = SeriesKey("DCGM_FI_DEV_GPU_TEMP", "", "h", 0, "", "", {}).text()
    for n in range(2):
        counts = collector.persist(*wire.encode(batch(readings((temp, 0, 30.0)), f"t{n}", edge="a/two"))).rows
        assert counts["duplicate"] == n
    assert query(SAMPLES) == [("GPU-1", 3, 3)]


def test_usage_and_health_are_of_the_one_gpu_too(
    collector: Collector, engine: Engine, settings: Settings, query: Query
) -> None:
    def sums() -> list[tuple[Any, ...]]:
        while chores.run(engine, settings, chores.USAGE, 100):
            pass
        return query("SELECT identity, sum(read_s) FROM usage_hours JOIN gpus g ON g.id = gpu_id GROUP BY 1 ORDER BY 1")

    store(collector, "", 0, 60, name="b1")
    store(collector, "GPU-1", 60, 120, name="b2")
    assert sums() == [("GPU-1", 120.0), ("h:0", 120.0)]
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO findings (gpu_id, series_id, rule, kind, severity, begun_at, fired_at)"
                " SELECT gpu_id, id, 'x', 'other', 2, now(), now() FROM series"
            )
        )
    assert join(engine, settings) == 1
    assert sums() == [("GPU-1", 180.0)]
    assert query("SELECT DISTINCT identity FROM findings JOIN gpus g ON g.id = gpu_id") == [("GPU-1",)]
    with engine.connect() as connection:
        states = connection.execute(health.gpus(settings.health_rules, health.HealthFilter())).all()
    assert [state.gpu for state in states] == ["GPU-1"]
    store(collector, "GPU-2", 5, name="b3")
    assert join(engine, settings) == 1
    assert query("SELECT DISTINCT identity FROM findings JOIN gpus g ON g.id = gpu_id ORDER BY 1") == [("GPU-1",), ("h:0",)]


def test_a_second_uuid_at_the_place_parts_them_again(
    collector: Collector, engine: Engine, settings: Settings, query: Query
) -> None:
    store(collector, "", 0, 1, name="b1")
    store(collector, "GPU-1", 0, name="b2")
    assert join(engine, settings) == 1
    store(collector, "GPU-2", 5, name="b3")
    assert join(engine, settings) == 1
    assert query(SAMPLES) == [("GPU-1", 1, 1), ("GPU-2", 1, 1), ("h:0", 2, 1)]
    assert store(collector, "", 0, 1, name="again")["duplicate"] == 2
    assert sorted(names(engine)) == ["GPU-1", "GPU-2", "h:0"]


@pytest.mark.parametrize("change", [{"edge": "b/one"}, {"host": "other"}])
def test_what_is_told_elsewhere_is_another_gpu(
    collector: Collector, engine: Engine, settings: Settings, change: dict[str, str]
) -> None:
    store(collector, "", 0, name="b1")
    store(collector, "GPU-1", 0, name="b2", **change)
    assert join(engine, settings) == 0


def test_where_two_edges_tell_of_one_name_nobody_knows_which_of_them_it_is(
    collector: Collector, engine: Engine, settings: Settings
) -> None:
    store(collector, "", 0, name="b1", edge="a/one")
    store(collector, "", 0, name="b2", edge="a/two", file="another")
    store(collector, "GPU-1", 0, name="b3")
    assert join(engine, settings) == 0


def test_a_downgrade_parts_what_was_joined(collector: Collector, engine: Engine, settings: Settings, query: Query) -> None:
    store(collector, "", 0, 1, name="b1")
    store(collector, "GPU-1", 0, name="b2")
    assert join(engine, settings) == 1
    migrate.downgrade(engine, "0009")
    assert query(SAMPLES) == [("GPU-1", 1, 1), ("h:0", 2, 1)]
    assert query("SELECT DISTINCT length(labels_digest) FROM series") == [(16,)]
