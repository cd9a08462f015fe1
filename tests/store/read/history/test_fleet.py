"""What happens over time, ratios, histograms and conditions, against numbers that are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.aggregates import FleetAggregate
from telemetry.readings.derived import DERIVED, Formula
from telemetry.settings import Settings
from telemetry.store.read.history import fleet
from telemetry.store.read.history.chosen import Aggregation, Condition
from telemetry.store.read.history.selection import SeriesFilter, Span
from tests.batches import T0_US, batch, key, readings

T0 = datetime.fromtimestamp(T0_US / 1e6, UTC)
ENERGY, POWER, LIMIT = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_POWER_MGMT_LIMIT"
XID = "DCGM_FI_DEV_XID_ERRORS"
MEMORY = DERIVED["memory_used_ratio"].formula

# By metric and GPU: second and value. GPU-2 is silent from 60 s to 1260 s; its counter is reset at 1320 s.
STORED: dict[tuple[str, str], Sequence[tuple[int, float]]] = {
    (ENERGY, "GPU-1"): [(0, 1000), (60, 1500), (120, 1800)],
    (ENERGY, "GPU-2"): [(0, 10), (60, 30), (1260, 90), (1320, 5)],
    (POWER, "GPU-1"): [(0, 100), (60, 200), (120, 200)],
    (POWER, "GPU-2"): [(0, 300), (60, 100), (1260, 100)],
    (LIMIT, "GPU-1"): [(0, 400), (60, 400), (120, 0)],
    (LIMIT, "GPU-2"): [(1, 400)],
    (XID, "GPU-1"): [(0, 0), (60, 79), (120, 79)],
    (XID, "GPU-2"): [(0, 13), (60, 13), (1260, 0), (1320, 31)],
    ("DCGM_FI_DEV_FB_USED", "GPU-1"): [(0, 10), (60, 60)],
    ("DCGM_FI_DEV_FB_FREE", "GPU-1"): [(0, 90), (60, 40), (120, 40)],
}


@pytest.fixture
def stored(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """The readings of STORED; GPU-1 is of a team's, by a label that names no owner."""
    rows = [
        (key(metric, gpu, **({"team": "vision"} if gpu == "GPU-1" else {})), second, value)
        for (metric, gpu), of in STORED.items()
        for second, value in of
    ]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))


def ask(engine: Engine, metric: str | Formula, aggregate: FleetAggregate, **more: Any) -> dict[tuple[Any, ...], float | None]:
    """Values by what the rows are grouped by."""
    formula = metric if isinstance(metric, Formula) else None
    metrics = formula.metrics if formula else (str(metric),)
    some = SeriesFilter(metrics=metrics, labels=more.pop("labels", ()))
    span = Span(T0 + timedelta(seconds=more.pop("start", 0)), T0 + timedelta(hours=1))
    asked = Aggregation(some, span, more.pop("groups", ("gpu",)), aggregate, formula=formula, **more)
    with engine.connect() as connection:
        rows = connection.execute(fleet.aggregate(asked)).all()
    skipped = {"host", "index", "model", "readings"}
    names = [name for name in asked.columns if name not in {*skipped, "value"}]
    return {tuple(row._mapping[name] for name in names): row.value for row in rows}


@pytest.mark.usefixtures("stored")
def test_a_counter_that_counts_backwards_was_reset(engine: Engine) -> None:
    assert ask(engine, ENERGY, "increase") == {("GPU-1",): 800, ("GPU-2",): 20 + 60 + 5}
    assert ask(engine, ENERGY, "increase", groups=()) == {(): 885}
    # What was before the span is known for as long as nothing was missing.
    assert ask(engine, ENERGY, "increase", start=30) == {("GPU-1",): 800, ("GPU-2",): 85}
    assert ask(engine, ENERGY, "increase", start=1000) == {("GPU-2",): 5}
    assert ask(engine, ENERGY, "rate") == {("GPU-1",): pytest.approx(800 / 120), ("GPU-2",): pytest.approx(85 / 1320)}


@pytest.mark.usefixtures("stored")
def test_steps_of_an_increase_add_up_to_the_whole(engine: Engine) -> None:
    steps = ask(engine, ENERGY, "increase", step=timedelta(minutes=1))
    assert sum(value or 0 for value in steps.values()) == 885


@pytest.mark.usefixtures("stored")
def test_gaps_are_no_part_of_hours_and_integrals(engine: Engine) -> None:
    assert ask(engine, POWER, "integral") == {("GPU-1",): 60 * 150 + 60 * 200, ("GPU-2",): 60 * 200}
    assert ask(engine, POWER, "hours") == {("GPU-1",): pytest.approx(2 / 60), ("GPU-2",): pytest.approx(1 / 60)}
    bridged = ask(engine, POWER, "hours", bridge=timedelta(minutes=20))
    assert bridged[("GPU-2",)] == pytest.approx(21 / 60)
    low = [Condition("value", "<", 150)]
    assert ask(engine, POWER, "hours", where=low) == {("GPU-1",): None, ("GPU-2",): pytest.approx(1 / 60)}


@pytest.mark.usefixtures("stored")
def test_changes_are_counted(engine: Engine) -> None:
    assert ask(engine, XID, "changes") == {("GPU-1",): 1, ("GPU-2",): 2}
    # Which code came when.
    codes = ask(engine, XID, "changes", step=timedelta(minutes=1), having=[Condition("value", ">", 0)], groups=("gpu",))
    assert len(codes) == 3


@pytest.mark.usefixtures("stored")
def test_a_ratio_is_of_readings_of_one_time(engine: Engine) -> None:
    assert ask(engine, MEMORY, "max") == {("GPU-1",): pytest.approx(0.6)}
    assert ask(engine, MEMORY, "min", groups=()) == {(): pytest.approx(0.1)}
    # A limit of nothing gives no ratio, and a reading a second later neither.
    assert ask(engine, Formula((POWER,), (LIMIT,)), "last") == {("GPU-1",): 0.5}
    assert ask(engine, Formula((POWER,), (LIMIT,)), "hours") == {("GPU-1",): pytest.approx(1 / 60)}
    assert MEMORY.text == "DCGM_FI_DEV_FB_USED ÷ (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"


@pytest.mark.usefixtures("stored")
def test_a_histogram_has_the_share_of_each_bucket(engine: Engine) -> None:
    shares = ask(engine, POWER, "histogram", buckets=(150, 250))
    assert shares == {
        ("GPU-1", None, 150): pytest.approx(1 / 3),
        ("GPU-1", 150, 250): pytest.approx(2 / 3),
        ("GPU-2", None, 150): pytest.approx(2 / 3),
        ("GPU-2", 250, None): pytest.approx(1 / 3),
    }
    whole = ask(engine, POWER, "histogram", buckets=(150, 250), groups=(), having=[Condition("value", ">=", 0.5)])
    assert whole == {(None, 150): 0.5}


@pytest.mark.usefixtures("stored")
def test_groups_are_ranked_sorted_and_left_out(engine: Engine) -> None:
    assert ask(engine, POWER, "max", bottom=1) == {("GPU-1",): 200}
    assert ask(engine, POWER, "max", top=1) == {("GPU-2",): 300}
    assert list(ask(engine, POWER, "max", sort="-value")) == [("GPU-2",), ("GPU-1",)]
    assert ask(engine, POWER, "max", having=[Condition("value", "<", 300)]) == {("GPU-1",): 200}


@pytest.mark.usefixtures("stored")
def test_labels_are_asked_for_and_grouped_by(engine: Engine) -> None:
    assert ask(engine, POWER, "max", groups=("label.team",)) == {("vision",): 200, (None,): 300}
    assert ask(engine, POWER, "max", labels=(("team", "vision"), ("team", "speech"))) == {("GPU-1",): 200}
    assert ask(engine, POWER, "max", labels=(("team", "speech"),)) == {}
    # As an owner's, it is found by time: nobody is of a team here, as the label was no owner's when it was stored.
    assert ask(engine, POWER, "max", labels=(("team", "vision"),), owner_labels=("team",)) == {("GPU-1",): 200}


@pytest.mark.usefixtures("stored")
def test_a_gpu_is_of_the_edge_that_told_of_it_first(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    store = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    others = readings((key(POWER, "GPU-2"), 1380, 100.0), (key(POWER, "GPU-3"), 0, 70.0))
    store.persist(*wire.encode(batch(others, batch_id="b2", edge="other/node-1")))
    assert ask(engine, POWER, "max", groups=("edge",)) == {("other/node-1",): 70, ("test/node",): 300}
    assert ask(engine, POWER, "max", groups=("cluster", "host")) == {("other",): 70, ("test",): 300}
    assert ask(engine, POWER, "count", groups=("cluster", "gpu"))[("test", "GPU-2")] == 4
