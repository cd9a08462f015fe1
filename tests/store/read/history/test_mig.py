"""A GPU in MIG mode is one GPU: what its parent series says is not counted again by its instances."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.aggregates import Aggregate, Group
from telemetry.settings import Settings
from telemetry.store.read import inventory
from telemetry.store.read.history import fleet, readings
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.selection import SeriesFilter, Span
from tests.batches import batch, key
from tests.batches import readings as rows_of
from tests.fixtures.fleet import T0

POWER, MEMORY, GRAPHICS = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
HOUR = Span(T0, T0 + timedelta(hours=1))
ANY = SeriesFilter()


@pytest.fixture
def mig(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """A GPU of 250 W with seven instances, which repeat its power; memory of the whole and of each; a GPU without MIG.

    Two hours before, when MIG was off, the whole GPU alone had readings of GRAPHICS; since then only its instances have.
    """
    rows = [(key(POWER, "GPU-m"), 0, 250.0), (key(POWER, "GPU-n"), 0, 300.0), (key(MEMORY, "GPU-m"), 0, 770.0)]
    rows.append((key(GRAPHICS, "GPU-m"), -7200, 1.0))
    for number in range(7):
        labels = {"GPU_I_ID": str(number), "namespace": "ml" if number < 3 else "web"}
        rows.append((key(POWER, "GPU-m", **labels), 0, 250.0))
        rows.append((key(MEMORY, "GPU-m", **labels), 0, 107.0 + number))
        rows.append((key(GRAPHICS, "GPU-m", **labels), 0, 0.5))
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(rows_of(*rows))))


def values(
    engine: Engine,
    metric: str,
    aggregate: Aggregate,
    groups: tuple[Group, ...] = (),
    some: SeriesFilter = ANY,
    span: Span = HOUR,
    top: int | None = None,
) -> dict[tuple[str, ...], float]:
    """Value by group."""
    chosen = SeriesFilter(namespace=some.namespace, metrics=(metric,))
    asked = Aggregation(chosen, span, groups, aggregate, top=top)
    with engine.connect() as connection:
        rows = connection.execute(fleet.aggregate(asked)).mappings().all()
    return {tuple(row[name] for name in groups): row["value"] for row in rows}


@pytest.mark.usefixtures("mig")
def test_a_sum_over_gpus_counts_the_parent_alone(engine: Engine) -> None:
    assert values(engine, POWER, "sum", ("gpu",)) == {("GPU-m",): 250, ("GPU-n",): 300}
    assert values(engine, POWER, "sum") == {(): 550}
    assert values(engine, POWER, "sum", ("gpu",), top=1) == {("GPU-n",): 300}
    assert values(engine, MEMORY, "sum", ("host",)) == {("host-1",): 770}
    assert values(engine, POWER, "count") == {(): 2}


@pytest.mark.usefixtures("mig")
def test_instances_count_where_the_parent_has_no_readings_in_the_span(engine: Engine) -> None:
    assert values(engine, GRAPHICS, "avg", ("gpu",)) == {("GPU-m",): 0.5}
    assert values(engine, GRAPHICS, "count") == {(): 7}
    before = Span(T0 - timedelta(hours=3), T0 - timedelta(hours=1))
    assert values(engine, GRAPHICS, "avg", span=before) == {(): 1.0}


@pytest.mark.usefixtures("mig")
def test_instances_count_where_owners_are_asked_for(engine: Engine) -> None:
    by_namespace = values(engine, MEMORY, "sum", ("namespace",))
    assert by_namespace == {("ml",): 107 + 108 + 109, ("web",): 110 + 111 + 112 + 113}
    assert values(engine, MEMORY, "sum", some=SeriesFilter(namespace="ml")) == {(): 107 + 108 + 109}
    # What has no instances counts as itself.
    assert values(engine, POWER, "max", ("namespace",))[(None,)] == 300  # type: ignore[index]


@pytest.mark.usefixtures("mig")
def test_the_steps_of_one_gpu_are_those_of_the_parent(engine: Engine) -> None:
    with engine.connect() as connection:
        gpu_id = connection.execute(inventory.gpu("GPU-m")).one().gpu_id
        asked = readings.GpuReadings(gpu_id, "GPU-m", HOUR, (MEMORY,))
        (step,) = connection.execute(readings.steps(asked, timedelta(hours=2), "avg")).all()
        assert step.value == 770
        # Raw readings are all there.
        assert len(connection.execute(readings.readings(asked)).all()) == 8
