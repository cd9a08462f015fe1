"""Usage against numbers that are worked out by hand: before upkeep has summed it up, and after."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as hypothesis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.rates import Rates
from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, SLURM, TOLD_BY
from telemetry.readings.tellers import SLURM_HELD as HELD
from telemetry.settings import Settings
from telemetry.store.read.usage import Use, usage
from telemetry.store.upkeep import chores, retention, sealing
from tests.batches import T0_US, batch, key, readings
from tests.store.upkeep.test_sealing import seal_all

# 20:00:00, in the seconds that batches count in.
EIGHT = -42 * 60 - 34
DAY = datetime.fromtimestamp(T0_US / 1e6, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
UTIL, POWER, ENERGY = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
Row = tuple[str, int, float]


@pytest.fixture
def store(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Callable[..., None]:
    """Stores rows as one batch."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))

    def stored(*rows: Row, batch_id: str = "b1") -> None:
        collector.persist(*wire.encode(batch(readings(*rows), batch_id)))

    return stored


def every_minute(metric: str, first: int, end: int, value: float, gpu: str = "GPU-1", **labels: str) -> Iterator[Row]:
    """A reading in the middle of each minute after 20:00."""
    return ((key(metric, gpu, **labels), EIGHT + minute * 60 + 30, value) for minute in range(first, end))


def ask(engine: Engine, *groups: str, first: int = 0, end: int = 180, **more: Any) -> dict[Any, dict[str, Any]]:
    """Usage of minutes after 20:00, by the values of the groups."""
    start = DAY + timedelta(hours=20)
    asked = Use(start + timedelta(minutes=first), start + timedelta(minutes=end), groups, **more)
    with engine.connect() as connection:
        rows = connection.execute(usage(asked)).mappings().all()
    return {tuple(row[name] for name in groups): dict(row) for row in rows}


def sum_up(engine: Engine, settings: Settings) -> int:
    """Let upkeep do all that is due. Returns how many marks it took away."""
    taken, rows = 0, 1
    while rows:
        rows = chores.run(engine, settings, chores.USAGE, 1000)
        taken += rows
    return taken


@pytest.fixture(params=["asked", "summed up", "sealed", "sealed and summed up"])
def settled(
    request: pytest.FixtureRequest, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Lets upkeep seal the days, or sum up, or both, or nothing of it."""

    def settle() -> None:
        if request.param.startswith("sealed"):
            monkeypatch.setattr(sealing, "QUIET_S", 0.0)
            assert seal_all(engine, replace(settings, seal_after_days=1)) > 0
        if request.param.endswith("summed up"):
            assert sum_up(engine, settings) > 0
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM usage_marks")) == 0

    return settle


def test_an_hour_with_many_marks_is_summed_up_once(store: Callable[..., None], engine: Engine, settings: Settings) -> None:
    """As each batch marks it that comes late."""
    store(*every_minute(UTIL, 0, 60, 80, namespace="a"))
    with engine.begin() as connection:
        distinct = connection.execute(text("SELECT DISTINCT hour FROM usage_marks")).rowcount
        for _ in range(4):
            connection.execute(text("INSERT INTO usage_marks (gpu_id, hour) SELECT DISTINCT gpu_id, hour FROM usage_marks"))
        # Of an hour that is not over yet.
        connection.execute(text("INSERT INTO usage_marks (gpu_id, hour) SELECT 1, date_trunc('hour', now(), 'UTC')"))
    # As many as there are of the first hour.
    assert chores.run(engine, settings, chores.USAGE, 5) == 5
    with engine.connect() as connection:
        assert connection.execute(text("SELECT DISTINCT hour FROM usage_marks")).rowcount == distinct
    while chores.run(engine, settings, chores.USAGE, 1):
        distinct -= 1
    assert distinct == 1
    assert ask(engine, "namespace")[("a",)]["held_hours"] == 1


def test_what_a_scheduler_tells_is_held_and_not_read(
    store: Callable[..., None], engine: Engine, settled: Callable[[], None]
) -> None:
    slurm = {"hpc_job": "7", "user": "ada", TOLD_BY: SLURM}
    store(
        *every_minute(UTIL, 30, 90, 80),
        # For the whole hour before nine a job had the GPU.
        (key(HELD, **slurm), EIGHT + 3600, 3600.0),
    )
    settled()
    rows = ask(engine, "job", "user")
    job, nobody = rows["7", "ada"], rows[None, None]
    assert (job["held_hours"], job["coverage"], job["duty_coverage"], job["duty_cycle"]) == (1, 0.5, 0.5, pytest.approx(0.8))
    assert (nobody["held_hours"], nobody["free_hours"]) == (0, 0.5)


def test_hours_idle_and_busy(store: Callable[..., None], engine: Engine, settled: Callable[[], None]) -> None:
    store(
        *every_minute(UTIL, 0, 60, 80, namespace="a"),
        *every_minute(UTIL, 60, 90, 3, namespace="a"),
        *every_minute(UTIL, 90, 120, 15, namespace="b"),
        *every_minute(UTIL, 120, 150, 0),
    )
    settled()
    rows = ask(engine, "namespace")
    a, b, free = rows[("a",)], rows[("b",)], rows[(None,)]
    assert (a["held_hours"], a["idle_hours"], a["low_use_hours"]) == (1.5, 0.5, 0)
    assert a["duty_cycle"] == pytest.approx((60 * 80 + 30 * 3) / 90 / 100)
    assert (b["held_hours"], b["idle_hours"], b["low_use_hours"], b["free_hours"]) == (0.5, 0, 0.5, 0)
    assert (free["held_hours"], free["free_hours"], free["duty_cycle"], free["idle_hours"]) == (0, 0.5, None, None)
    assert a["coverage"] == a["duty_coverage"] == 1
    # Of an hour that a span cuts, only what lies within.
    assert ask(engine, "namespace", first=59, end=61)[("a",)]["idle_hours"] == pytest.approx(1 / 60)
    assert ask(engine, "namespace", namespace="b").keys() == {("b",)}
    assert ask(engine, "namespace", idle_below=25)[("b",)]["idle_hours"] == 0.5
    (gpu,) = ask(engine, "gpu").values()
    assert (gpu["gpu"], gpu["host"], gpu["index"], gpu["model"], gpu["held_hours"]) == ("GPU-1", "host-1", 0, "H100", 2)
    assert ask(engine, "cluster", "edge")[("test", "test/node")]["held_hours"] == 2


def test_usage_of_whole_hours_outlives_its_samples(store: Callable[..., None], engine: Engine, settings: Settings) -> None:
    store(
        *every_minute(UTIL, 0, 90, 80, namespace="a"),
        *every_minute(UTIL, 90, 180, 3, namespace="b"),
        *((key(ENERGY), EIGHT + minute * 60 + 30, 60_000.0 * minute) for minute in range(180)),
    )
    sum_up(engine, settings)
    before = ask(engine, "namespace")
    with engine.begin() as connection:
        while retention.step_at_once(connection, 30, 1000):
            pass
        assert connection.scalar(text("SELECT count(*) FROM samples")) == 0
    assert ask(engine, "namespace") == before
    # A reading of the floor's first minutes marks the hour before it, which has no samples any more.
    with engine.begin() as connection:
        mark = "INSERT INTO usage_marks (gpu_id, hour) SELECT gpu_id, hour FROM usage_hours"
        connection.execute(text(mark))
    sum_up(engine, settings)
    assert ask(engine, "namespace") == before
    # Minutes are known no more: how long it was held is, and how busy it was is not.
    part = ask(engine, "namespace", first=30, end=60)[("a",)]
    assert (part["held_hours"], part["duty_coverage"], part["energy_kwh"]) == (0.5, 0, None)


def test_a_short_gap_is_held_and_not_covered(store: Callable[..., None], engine: Engine, settled: Callable[[], None]) -> None:
    """Ten minutes are bridged, over the end of an hour too; eleven are not. Who came after the gap did not have it before."""
    store(
        *every_minute(UTIL, 0, 55, 50, namespace="a"),
        *every_minute(UTIL, 65, 70, 50, namespace="a"),
        *every_minute(UTIL, 81, 90, 50, namespace="a"),
        *every_minute(UTIL, 95, 100, 50, namespace="b"),
    )
    settled()
    rows = ask(engine, "namespace")
    assert rows[("a",)]["held_hours"] * 60 == pytest.approx(70 + 9)
    assert rows[("a",)]["coverage"] == pytest.approx((60 + 9) / 79)
    assert rows[("b",)]["held_hours"] * 60 == pytest.approx(5)
    assert ask(engine, "namespace", end=60)[("a",)]["held_hours"] == 1
    assert ask(engine, "namespace", first=60)[("a",)]["held_hours"] * 60 == pytest.approx(19)


def test_owners_that_share_a_gpu_have_even_shares(
    store: Callable[..., None], engine: Engine, settled: Callable[[], None]
) -> None:
    store(
        *every_minute(UTIL, 0, 60, 60, namespace="a", pod="x"),
        *every_minute(POWER, 30, 90, 600, namespace="b", pod="y"),
        # An exporter that does not name the owner with every metric.
        *every_minute("DCGM_FI_DEV_GPU_TEMP", 0, 90, 40),
    )
    settled()
    rows = ask(engine, "namespace")
    assert rows.keys() == {("a",), ("b",)}
    assert (rows[("a",)]["held_hours"], rows[("b",)]["held_hours"]) == (0.75, 0.75)
    assert rows[("a",)]["energy_kwh"] == pytest.approx(0.6 * 0.5 / 2)
    assert rows[("b",)]["energy_kwh"] == pytest.approx(0.6 * (0.5 / 2 + 0.5))
    assert rows[("b",)]["energy_from"] == "power"
    assert rows[("b",)]["duty_coverage"] == pytest.approx(0.25 / 0.75)


def test_energy_is_the_counters_where_there_is_one(
    store: Callable[..., None], engine: Engine, settled: Callable[[], None]
) -> None:
    """The counter is reset at minute 70. It has 60,000 J a minute, and 30,000 since it was reset."""
    store(
        *((key(ENERGY, namespace="a"), EIGHT + minute * 60 + 30, minute * 6e7) for minute in range(70)),
        *((key(ENERGY, namespace="a"), EIGHT + minute * 60 + 30, (minute - 69) * 3e7) for minute in range(70, 80)),
        *every_minute(POWER, 0, 80, 5, namespace="a"),
        *every_minute(POWER, 0, 60, 300, gpu="GPU-2", namespace="a"),
    )
    settled()
    rows = ask(engine, "gpu")
    one, two = (next(row for row in rows.values() if row["gpu"] == gpu) for gpu in ("GPU-1", "GPU-2"))
    assert one["energy_kwh"] == pytest.approx((69 * 6e4 + 10 * 3e4) / 3.6e6)
    assert (one["energy_from"], two["energy_from"]) == ("counter", "power")
    assert two["energy_kwh"] == pytest.approx(0.3)
    assert ask(engine, "namespace")[("a",)]["energy_from"] == "both"
    first, second = ask(engine, end=60)[()], ask(engine, first=60)[()]
    assert first["energy_kwh"] + second["energy_kwh"] == pytest.approx(one["energy_kwh"] + two["energy_kwh"])


def test_a_counter_that_falls_to_more_than_a_gpu_can_draw_is_another_one(
    store: Callable[..., None], engine: Engine, settled: Callable[[], None]
) -> None:
    """As in a file that is replayed from its begin: 1,000 W before and after, and 200 kWh at its begin."""
    begin = 200 * 3.6e9
    store(*((key(ENERGY, namespace="a"), EIGHT + minute * 60 + 30, begin + minute % 10 * 6e7) for minute in range(20)))
    settled()
    assert ask(engine)[()]["energy_kwh"] == pytest.approx(2 * 9 * 6e4 / 3.6e6)


def test_cost_is_by_the_rates_of_models(store: Callable[..., None], engine: Engine) -> None:
    store(*every_minute(POWER, 0, 60, 500, namespace="a"), *every_minute(POWER, 60, 120, 500))
    rates = Rates("EUR", (("H100", 2.0),), None, 0.4)
    rows = ask(engine, "namespace", rates=rates)
    assert rows[("a",)]["cost"] == pytest.approx(2.0 + 0.5 * 0.4)
    assert (rows[(None,)]["cost"], rows[(None,)]["energy_kwh"]) == (0, pytest.approx(0.5))
    other = ask(engine, "namespace", rates=Rates("EUR", (("A100", 2.0),), None))[("a",)]
    assert (other["cost"], other["unpriced_hours"]) == (0, 1)
    assert ask(engine, "namespace", rates=Rates("EUR", (), 3.0))[("a",)]["cost"] == pytest.approx(3)
    assert ask(engine, "namespace")[("a",)]["cost"] is None


def test_an_instance_is_a_gpu_of_its_own_and_its_parent_none(
    store: Callable[..., None], engine: Engine, settled: Callable[[], None]
) -> None:
    engine_active = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
    store(
        *every_minute(engine_active, 0, 60, 0.5, GPU_I_ID="1", namespace="a"),
        *every_minute(engine_active, 0, 60, 0.02, GPU_I_ID="2"),
        *every_minute(POWER, 0, 60, 200),
    )
    settled()
    rows = ask(engine, "namespace")
    assert (rows[("a",)]["held_hours"], rows[("a",)]["duty_cycle"]) == (1, pytest.approx(0.5))
    assert (rows[(None,)]["free_hours"], rows[(None,)]["energy_kwh"]) == (1, pytest.approx(0.2))


# Two GPUs that change hands, share, fall silent and count anew, as (metric, GPU, owner, first minute, end, value).
HISTORY = (
    (UTIL, "A", "a", 40, 75, 30.0),
    (UTIL, "A", "b", 70, 90, 3.0),
    (ENERGY, "A", "b", 78, 88, 5e6),
    (POWER, "B", "a", 50, 55, 200.0),
    (UTIL, "B", "a", 55, 58, 90.0),
    (UTIL, "B", "a", 66, 80, 90.0),
    (POWER, "B", "", 80, 85, 100.0),
)


@given(data=strategies.data())
@hypothesis(max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_repetition_and_cuts_change_nothing(
    store: Callable[..., None], engine: Engine, settings: Settings, data: strategies.DataObject
) -> None:
    """Nor does it matter when upkeep comes by. Each example has GPUs of its own."""
    run = uuid.uuid4().hex[:8]
    rows = []
    for metric, gpu, owner, first, end, value in HISTORY:
        of = key(metric, f"{gpu}-{run}", **({"namespace": owner} if owner else {}))
        # Two owners have no reading of one time: of two values one would stay, whichever comes first.
        seconds = [minute * 60 + half + len(owner) * 5 + (owner == "b") for minute in range(first, end) for half in (0, 30)]
        rows += [(of, EIGHT + second, value * (1 + second / 600)) for second in seconds]
    # What Kubernetes tells at three times of one pod, the last time of all of it.
    told = key(KUBERNETES_HELD, f"A-{run}", namespace="told", **{TOLD_BY: KUBERNETES})
    rows += [(told, EIGHT + 60 * end, 60.0 * length) for end, length in ((40, 20), (70, 10), (80, 60))]
    numbers = data.draw(strategies.permutations(range(len(rows))))
    numbers += data.draw(strategies.lists(strategies.sampled_from(numbers), max_size=40))
    cuts = sorted(data.draw(strategies.sets(strategies.integers(1, len(numbers) - 1), max_size=4)))
    for number, (low, high) in enumerate(pairwise([0, *cuts, len(numbers)])):
        store(*(rows[place] for place in numbers[low:high]), batch_id=f"{run}-{number}")
        if data.draw(strategies.booleans()):
            sum_up(engine, settings)
    found = [
        {name: value if name in {"namespace", "energy_from"} else pytest.approx(value) for name, value in row.items()}
        for row in history_of(engine, run)
    ]
    assert EXPECTED.setdefault("usage", found) == history_of(engine, run)
    allocations = held_by(engine, run)
    assert EXPECTED.setdefault("allocations", allocations) == allocations


EXPECTED: dict[str, list[Any]] = {}


def history_of(engine: Engine, run: str) -> list[dict[str, Any]]:
    """Usage of the GPUs of one run, by namespace."""
    with engine.connect() as connection:
        ids = connection.scalars(text("SELECT id FROM gpus WHERE identity LIKE '%-' || :run"), {"run": run}).all()
    rows = ask(engine, "namespace", gpu_ids=tuple(ids), sort="held_hours")
    return sorted(rows.values(), key=lambda row: str(row["namespace"]))


def held_by(engine: Engine, run: str) -> list[tuple[Any, ...]]:
    """The allocations of one run: the GPU's first letter, the owner, and when."""
    query = """
        SELECT left(identity, 1), namespace, held::text FROM allocations
        JOIN gpus ON gpus.id = gpu_id JOIN owners ON owners.id = owner_id WHERE identity LIKE '%-' || :run ORDER BY 1, 2
    """
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"run": run})]


def test_late_readings_are_summed_up_anew(store: Callable[..., None], engine: Engine, settings: Settings) -> None:
    store(*every_minute(UTIL, 0, 58, 50, namespace="a"))
    sum_up(engine, settings)
    assert ask(engine, "namespace")[("a",)]["held_hours"] * 60 == pytest.approx(58)
    # Another metric of minutes that are known, and a minute that bridges into the next hour.
    store(*every_minute(POWER, 0, 58, 60, namespace="a"), *every_minute(UTIL, 63, 64, 50, namespace="a"), batch_id="b2")
    asked = ask(engine, "namespace")
    assert asked[("a",)]["held_hours"] * 60 == pytest.approx(64)
    assert asked[("a",)]["energy_kwh"] == pytest.approx(58 / 60 * 0.06)
    assert sum_up(engine, settings) > 0
    assert ask(engine, "namespace") == asked


def test_a_summary_outlives_the_samples(store: Callable[..., None], engine: Engine, settings: Settings) -> None:
    store(*every_minute(UTIL, 0, 60, 50, namespace="a", hpc_job="7"))
    sum_up(engine, settings)
    before = ask(engine, "job")
    assert before[("7",)]["duty_cycle"] == 0.5
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM samples"))
        connection.execute(text("INSERT INTO usage_marks (gpu_id, hour) SELECT gpu_id, hour FROM usage_hours"))
    sum_up(engine, settings)
    assert ask(engine, "job") == before


def test_an_hour_that_is_not_over_waits(store: Callable[..., None], engine: Engine, settings: Settings) -> None:
    now = int(datetime.now(UTC).timestamp()) - T0_US // 1_000_000
    rows = [(key(UTIL, namespace="now"), now - 30, 90.0)]
    store(*rows)
    store(*rows, (key(UTIL, namespace="now"), now - 31, 91.0), batch_id="b2")
    assert chores.run(engine, settings, chores.USAGE, 1000) == 0
    with engine.connect() as connection:
        # Each process marks an hour once while it lasts; the reading may be near the end of one.
        assert connection.scalar(text("SELECT count(*) FROM usage_marks")) in {1, 2}
    end = datetime.now(UTC) + timedelta(minutes=1)
    with engine.connect() as connection:
        (row,) = connection.execute(usage(Use(end - timedelta(hours=1), end, ("namespace",)))).mappings().all()
    assert (row["namespace"], row["duty_cycle"]) == ("now", pytest.approx(0.905))
