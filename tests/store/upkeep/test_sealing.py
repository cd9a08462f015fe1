"""Days are sealed in steps that can be cut off anywhere, and what comes late is judged by what is sealed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy.exc
from sqlalchemy import Engine, text

from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.upkeep import chores, merging, sealing
from telemetry.store.upkeep.chores import SEALING
from tests.batches import T0_US, batch, key, readings
from tests.fixtures.services import Query

DAY_S = 86_400
CLASSES = ("stored", "duplicate", "conflict")
NAMES = {key(metric, gpu): (metric, gpu) for metric in ("m1", "m2") for gpu in ("GPU-1", "GPU-2")}
SERIES = list(NAMES)
Row = tuple[str, int, float]
STORED = """
    SELECT m.name, g.identity, extract(epoch FROM r.ts)::bigint, r.value
    FROM stored_samples('-infinity', 'infinity') r JOIN series s ON s.id = r.series_id
    JOIN metrics m ON m.id = s.metric_id JOIN gpus g ON g.id = s.gpu_id
"""
VERSIONS = "SELECT series_id, xmin::text FROM sealed"
UNUSED = """
    SELECT count(*) FROM sealed_times t
    WHERE NOT EXISTS (SELECT FROM sealed s WHERE (s.day, s.times_id) = (t.day, t.id))
"""


@pytest.fixture
def sealer(settings: Settings) -> Settings:
    """Settings by which every day that is over is sealed."""
    return replace(settings, seal_after_days=1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)


class Store:
    """A database that batches are written to, and what should be in it."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.writer = BatchWriter(settings, engine)
        self.expected: dict[tuple[str, int], float] = {}
        self._number = 0

    def write(self, *rows: Row) -> None:
        """Write a batch, and compare the classes of its rows with what they should be."""
        classes: Counter[str] = Counter()
        for series, second, value in rows:
            is_new = (series, second) not in self.expected
            known = self.expected.setdefault((series, second), value)
            classes["stored" if is_new else "duplicate" if known == value else "conflict"] += 1
        self._number += 1
        (outcome,) = self.writer.write([batch(readings(*rows), f"b{self._number}")])
        assert outcome.rows == {"expired": 0, "blank": 0, "quarantined": 0} | {name: classes[name] for name in CLASSES}


def rows(store: Store) -> list[tuple[str, str, int, float]]:
    """What should be stored, as STORED says it."""
    return sorted((*NAMES[series], T0_US // 1_000_000 + second, value) for (series, second), value in store.expected.items())


def seal_all(engine: Engine, settings: Settings, limit: int = SEALING.max_rows) -> int:
    """Do steps until none is left; how many."""
    steps = 0
    while chores.run(engine, settings, SEALING, limit):
        steps += 1
    return steps


def test_a_day_is_sealed_and_its_partition_goes(engine: Engine, sealer: Settings, query: Query) -> None:
    store = Store(sealer, engine)
    store.write(
        *((series, second, second / 7 if second % 5 == 0 else float(second)) for series in SERIES for second in range(50))
    )
    assert seal_all(engine, sealer) == 3
    assert sorted(query(STORED)) == rows(store)
    assert query("SELECT count(*) FROM samples") == [(0,)]
    assert query("SELECT count(*), sum(n) FROM sealed") == [(4, 200)]
    # All four series were read at the same times.
    assert query("SELECT count(*) FROM sealed_times") == [(1,)]
    assert query("SELECT samples, frozen FROM sealed_spans WHERE sealed_at IS NOT NULL") == [(200, None)]
    assert query("SELECT count(*) FROM sealing") == [(0,)]


def test_nothing_is_sealed_unless_that_is_set_and_nothing_that_is_not_quiet(
    engine: Engine, settings: Settings, sealer: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(settings, engine)
    store.write((SERIES[0], 0, 1.0))
    assert seal_all(engine, settings) == 0
    monkeypatch.setattr(sealing, "QUIET_S", 3600.0)
    assert seal_all(engine, sealer) == 0
    now_s = int(datetime.now(UTC).timestamp()) - T0_US // 1_000_000
    store.write((SERIES[0], now_s, 1.0))
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    assert seal_all(engine, sealer) > 0
    assert query("SELECT count(*) FROM samples") == [(1,)]


@pytest.mark.parametrize("seed", range(3))
def test_classes_and_samples_are_right_whatever_comes_when(engine: Engine, sealer: Settings, query: Query, seed: int) -> None:
    """Batches of early, late, repeated and conflicting readings of several days, between steps of sealing, some cut off."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    store = Store(sealer, engine)
    other = BatchWriter(sealer, engine)
    for turn in range(40):
        store.writer, other = other, store.writer
        count = chance.randint(1, 12)
        store.write(
            *(
                (chance.choice(SERIES), chance.randint(0, 3) * DAY_S + chance.randint(0, 9), float(chance.choice([1, 1, 1, 2])))
                for _ in range(count)
            )
        )
        for _ in range(chance.randint(0, 2)):
            with engine.begin() as connection:
                sealing.step(connection, sealer, chance.choice([1, 1000]))
                if chance.random() < 0.3:
                    connection.rollback()
        if turn % 10 == 9:
            assert sorted(query(STORED)) == rows(store)
    seal_all(engine, sealer)
    assert sorted(query(STORED)) == rows(store)
    assert query("SELECT count(*) FROM late") == [(0,)]
    assert query("SELECT sum(samples) FROM sealed_spans") == [(len(store.expected),)]
    assert query(UNUSED) == [(0,)]


def test_one_late_reading_leaves_other_series_alone(engine: Engine, sealer: Settings, query: Query) -> None:
    store = Store(sealer, engine)
    store.write(*((series, second, 1.0) for series in SERIES for second in range(9)))
    seal_all(engine, sealer)
    before: dict[int, str] = dict(query(VERSIONS))
    store.write((SERIES[0], 100, 2.0))
    assert query("SELECT count(*) FROM late") == [(1,)]
    assert sorted(query(STORED)) == rows(store)
    seal_all(engine, sealer)
    after: dict[int, str] = dict(query(VERSIONS))
    assert sum(before[series] != after[series] for series in before) == 1
    assert sorted(query(STORED)) == rows(store)


def test_late_readings_of_large_rows_are_merged_a_few_rows_at_a_time(
    engine: Engine, sealer: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(sealer, engine)
    store.write(*((series, second, 1.0) for series in SERIES for second in range(9)))
    seal_all(engine, sealer)
    # Of days that are sealed and of one that no row has.
    store.write(*((series, second, 2.0) for series in SERIES for second in (10, 11, DAY_S)))
    monkeypatch.setattr(merging, "MAX_SEALED", 10)
    before: dict[int, str] = dict(query(VERSIONS))
    assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    after: dict[int, str] = dict(query(VERSIONS))
    assert sum(before[series] != after[series] for series in before) == 1
    assert sorted(query(STORED)) == rows(store)
    seal_all(engine, sealer)
    assert query("SELECT count(*) FROM late") == [(0,)]
    assert sorted(query(STORED)) == rows(store)


def test_a_partition_whose_samples_are_not_all_sealed_is_sealed_again(
    engine: Engine, sealer: Settings, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(sealer, engine)
    store.write(*((series, 1, 1.0) for series in SERIES))
    for _ in range(2):
        assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sealing WHERE series_id = (SELECT min(series_id) FROM sealing)"))
    assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    assert "it has 4 samples, and 3 are sealed" in caplog.text
    assert sorted(query(STORED)) == rows(store)
    seal_all(engine, sealer)
    assert query("SELECT count(*) FROM sealed") == [(4,)]
    assert sorted(query(STORED)) == rows(store)


def test_hours_of_days_that_a_version_before_sealed_are_filled_in(engine: Engine, sealer: Settings, query: Query) -> None:
    store = Store(sealer, engine)
    store.write(*((series, DAY_S + 60 * minute, 1.5) for series in SERIES[:2] for minute in range(1000)), (SERIES[2], 1, 1.0))
    seal_all(engine, sealer)
    before = query("SELECT series_id, day, hours FROM sealed ORDER BY 1, 2")
    assert sum(hours is not None for *_, hours in before) > 0
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed SET hours = NULL"))
    assert seal_all(engine, sealer) == 1
    assert query("SELECT series_id, day, hours FROM sealed ORDER BY 1, 2") == before
    assert seal_all(engine, sealer) == 0


def test_a_partition_that_somebody_drops_while_it_is_sealed_stops_nothing(
    engine: Engine, sealer: Settings, query: Query
) -> None:
    store = Store(sealer, engine)
    store.write(*((series, second, 1.0) for series in SERIES for second in (1, 86_400 * 40)))
    assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    ((frozen,),) = query("SELECT frozen FROM sealed_spans")
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {frozen}"))
    del store.expected[SERIES[0], 1]
    store.write((SERIES[0], 1, 2.0))
    seal_all(engine, sealer)
    assert query("SELECT count(*) FROM samples") == [(0,)]
    assert query("SELECT sum(n) FROM sealed") == [(5,)]


def test_what_is_too_large_for_one_series_stays_in_rows(
    engine: Engine, sealer: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(sealer, engine)
    store.write(*((SERIES[0], second, 1.0) for second in range(2000)), (SERIES[0], 86_400 * 40, 1.0))
    monkeypatch.setattr(sealing, "MAX_OF_SERIES", 1000)
    seal_all(engine, sealer)
    assert query("SELECT count(*) FROM samples") == [(2000,)]


def test_collectors_that_write_while_days_are_sealed_lose_and_double_nothing(
    engine: Engine, sealer: Settings, query: Query
) -> None:
    """Three writers bring the same readings, some with other values, while a sealer works as fast as it can."""
    chance = random.Random(7)  # noqa: S311 - to be repeated
    readings_of = [(series, day * DAY_S + second) for series in SERIES for day in (0, 1, 40) for second in range(60)]
    counted: Counter[str] = Counter()
    done = threading.Event()

    def write(number: int) -> Counter[str]:
        rows_of = [(*key_, float(chance.choice([1, 1, 2]))) for key_ in chance.sample(readings_of, len(readings_of))]
        made = make_engine(sealer, application="test")
        writer, classes = BatchWriter(sealer, made), Counter[str]()
        for start in range(0, len(rows_of), 30):
            one = batch(readings(*rows_of[start : start + 30]), f"w{number}-{start}")
            (outcome,) = retried(partial(writer.write, [one]))
            classes.update(outcome.rows)
        made.dispose()
        return classes

    def seal() -> int:
        steps = 0
        while not done.is_set() or steps == 0:
            steps += bool(retried(lambda: chores.run(engine, sealer, SEALING, 50)))
        return steps

    with ThreadPoolExecutor(4) as pool:
        sealing_ = pool.submit(seal)
        for classes in [future.result() for future in [pool.submit(write, number) for number in range(3)]]:
            counted.update(classes)
        done.set()
        assert sealing_.result() > 3
    seal_all(engine, sealer)
    assert counted["stored"] == len(readings_of)
    assert sum(counted.values()) == 3 * len(readings_of)
    assert query("SELECT count(*), count(DISTINCT (series_id, ts)) FROM stored_samples('-infinity', 'infinity')") == [
        (len(readings_of), len(readings_of))
    ]
    differing = "SELECT count(*) FROM conflicts c JOIN stored_samples('-infinity', 'infinity') r USING (series_id, ts)"
    assert query(f"{differing} WHERE c.stored <> r.value") == [(0,)]


def retried(work: Callable[[], Any]) -> Any:
    """Do a piece of work, again if a lock was not free, as collectors and chores do."""
    while True:
        try:
            return work()
        except (psycopg.errors.LockNotAvailable, sqlalchemy.exc.DBAPIError) as error:
            if not isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
                raise
