"""Allocations on a real Postgres: whatever comes in whatever order and cuts, what is stored is the minutes that were read."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from sqlalchemy import Engine, text

from telemetry.readings.rows import Readings
from telemetry.store.floor import NO_FLOOR_US
from telemetry.store.rules import Rule
from telemetry.store.write import allocations
from telemetry.store.write.allocations import Allocations
from telemetry.store.write.series_ids import SeriesIds
from telemetry.store.write.spans import MINUTE_US
from telemetry.store.write.stretches import Content
from tests.batches import T0_US, batch, key, readings
from tests.examples import examples
from tests.fixtures.services import Query

NAMES = ("pod", "namespace")
HELD = """
    SELECT g.identity, instance, coalesce(o.pod, ''), lower(r), upper(r)
    FROM allocations a JOIN gpus g ON g.id = a.gpu_id JOIN owners o ON o.id = a.owner_id, unnest(held) r ORDER BY 1, 2, 3, 4
"""
# The last hour of a day and the first of the next, in seconds after T0 that `readings` counts in.
AROUND_MIDNIGHT = strategies.integers(8_000, 15_000)
TEXTS = [key(gpu=gpu, **labels) for gpu in ("GPU-1", "GPU-2") for labels in ({}, {"pod": "a"}, {"pod": "b", "GPU_I_ID": "3"})]
ROWS = strategies.lists(strategies.tuples(strategies.sampled_from(TEXTS), AROUND_MIDNIGHT, strategies.just(1.0)), min_size=1)
Row = tuple[str, int, float]


class Process:
    """A collector's process, as far as allocations go."""

    def __init__(self, engine: Engine, cache_size: int = 1000) -> None:
        self._engine = engine
        self.series = SeriesIds(engine, Rule(frozenset(), frozenset(NAMES)), cache_size)
        self.allocations = Allocations()

    def store(self, *batches: Readings, fails: bool = False, floor_us: int = NO_FLOOR_US) -> int:
        """Store some batches in one transaction; the number of minutes that it wrote."""
        resolved = self.series.resolve([Content.of(batch(content)) for content in batches])
        held = self.allocations.of(batches, resolved, floor_us)
        with self._engine.connect() as connection, connection.begin() as transaction:
            allocations.write(connection, held)
            if fails:
                transaction.rollback()
                return 0
        self.allocations.committed(held)
        return len(held.codes)


def expected(rows: Sequence[Row]) -> set[tuple[str, int]]:
    """Text and minute of each row."""
    return {(series, (T0_US + second * 1_000_000) // MINUTE_US) for series, second, _ in rows}


def stored(engine: Engine) -> set[tuple[str, int]]:
    """Text and minute of what is held."""
    with engine.connect() as connection:
        rows = connection.execute(text(HELD)).all()
    minutes = set()
    for gpu, instance, pod, low, high in rows:
        labels = {name: value for name, value in (("pod", pod), ("GPU_I_ID", instance)) if value}
        span = range(int(low.timestamp()) // 60, int(high.timestamp()) // 60)
        minutes |= {(key(gpu=gpu, **labels), minute) for minute in span}
    return minutes


@given(
    rows=ROWS,
    again=strategies.lists(strategies.integers(0, 10_000)),
    cuts=strategies.sets(strategies.integers(1, 200)),
    random=strategies.randoms(use_true_random=False),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60))
def test_any_order_repetition_and_cutting_of_batches_gives_the_same(
    engine: Engine, rows: list[Row], again: list[int], cuts: set[int], random: object
) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE allocations, owners, series, gpus RESTART IDENTITY CASCADE"))
    order = [*rows, *(rows[place % len(rows)] for place in again)]
    random.shuffle(order)  # type: ignore[attr-defined]
    ends = sorted({0, len(order), *(cut for cut in cuts if cut < len(order))})
    processes = [Process(engine), Process(engine, cache_size=2)]
    for number, (begin, end) in enumerate(pairwise(ends)):
        part = order[begin:end]
        middle = len(part) // 2
        batches = [readings(*piece) for piece in (part[:middle], part[middle:]) if piece]
        processes[number % 2].store(*batches, fails=number % 3 == 2)
        processes[number % 2].store(*batches)
    assert stored(engine) == expected(rows)


def test_minutes_beside_each_other_are_one_range_a_day_and_gaps_stay(engine: Engine, query: Query) -> None:
    at = (T0_US // 1_000_000 // 86_400 + 1) * 86_400 - T0_US // 1_000_000
    Process(engine).store(readings(*((key(pod="a"), at + second, 1.0) for second in (-90, -30, 0, 15, 600))))
    midnight = datetime.fromtimestamp(T0_US / 1e6 + at, UTC)
    spans = [(low, high) for *_, low, high in query(HELD)]
    minute = timedelta(minutes=1)
    assert spans == [
        (midnight - 2 * minute, midnight),
        (midnight, midnight + minute),
        (midnight + 10 * minute, midnight + 11 * minute),
    ]
    assert query("SELECT count(*) FROM allocations") == [(2,)]


def test_a_minute_that_is_stored_is_not_written_again(engine: Engine) -> None:
    process = Process(engine)
    assert process.store(readings((key(pod="a"), 0, 1.0), (key("DCGM_FI_DEV_POWER_USAGE", pod="a"), 1, 1.0))) == 1
    assert process.store(readings((key(pod="a"), 2, 1.0))) == 0
    assert process.store(readings((key(pod="b"), 2, 1.0), (key(pod="a"), 62, 1.0))) == 2
    process.series.forget()
    assert process.store(readings((key(pod="a"), 2, 1.0))) == 1


def test_what_was_rolled_back_is_written_again(engine: Engine) -> None:
    process = Process(engine)
    process.store(readings((key(pod="a"), 0, 1.0)), fails=True)
    assert process.store(readings((key(pod="a"), 0, 1.0))) == 1


def test_readings_that_lie_years_apart_need_no_table_of_all_minutes_between(engine: Engine) -> None:
    rows = [(key(pod="a"), 0, 1.0), (key(pod="a"), -700_000_000, 1.0)]
    Process(engine).store(readings(*rows))
    assert stored(engine) == expected(rows)


def test_processes_that_hold_the_same_gpus_do_not_deadlock(engine: Engine) -> None:
    def store(number: int) -> None:
        process = Process(engine)
        order = np.random.default_rng(number).permutation(40).tolist()
        for minute in range(20):
            process.store(readings(*((key(gpu=f"GPU-{gpu}", pod="a"), 60 * minute + number, 1.0) for gpu in order)))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(store, range(3)))
    assert len(stored(engine)) == 40 * 20


@pytest.mark.parametrize("labels", [{}, {"pod": "p", "namespace": "n", "user": "u"}])
def test_an_owner_has_its_parts(engine: Engine, query: Query, labels: dict[str, str]) -> None:
    Process(engine).store(readings((key(**labels), 0, 1.0)))
    # `user` is not among the labels that say so here.
    assert query('SELECT namespace, pod, "user" FROM owners') == [(labels.get("namespace"), labels.get("pod"), None)]
