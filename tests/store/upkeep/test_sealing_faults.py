"""What is stored stays right when sealing meets a fault: a kill, a full disk, a restored backup, a second sealer, folding."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.read import counted
from telemetry.store.upkeep import chores, ledger_folding, sealing, tally_folding
from telemetry.store.upkeep.chores import SEALING
from tests.batches import batch, readings
from tests.fixtures import services
from tests.fixtures.services import Query
from tests.store.upkeep.test_sealing import (
    DAY_S,
    SERIES,
    STORED,
    Row,
    Store,
    at_once,  # noqa: F401 - a fixture
    retried,
    rows,
    seal_all,
    sealer,  # noqa: F401 - a fixture
)
from tests.waiting import eventually

KILLS = 4
OPEN_DAY = 40


def some_rows(chance: random.Random, number: int = 12) -> list[Row]:
    """Readings of a few days, of which many come again, some with another value."""
    return [
        (chance.choice(SERIES), chance.randint(0, 3) * DAY_S + chance.randint(0, 9), float(chance.choice([1, 1, 1, 2])))
        for _ in range(number)
    ]


def seal_for_ever(settings: Settings, done: Any) -> None:
    """What a sealer that will be killed does: the smallest steps, of which it counts those that are done."""
    sealing.QUIET_S = 0.0
    engine = make_engine(settings, application="sealer")
    while True:
        done.value += bool(chores.run(engine, settings, SEALING, 1))


def has_done(done: Any, steps: int) -> bool:
    """Whether so many steps are done."""
    return bool(done.value >= steps)


def test_a_sealer_that_is_killed_loses_and_doubles_nothing(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    query: Query,
) -> None:
    chance, store, context = random.Random(5), Store(sealer, engine), multiprocessing.get_context("spawn")  # noqa: S311
    for _ in range(KILLS):
        for _ in range(4):
            store.write(*some_rows(chance))
        done, steps = context.Value("i", 0), chance.randint(1, 4)
        killed = context.Process(target=seal_for_ever, args=(sealer, done), daemon=True)
        killed.start()
        eventually(partial(has_done, done, steps), 60, every_s=0.001, what="steps are done")
        killed.kill()
        killed.join()
        assert sorted(query(STORED)) == rows(store)
    assert query("SELECT count(*) > 0 FROM sealed_spans") == [(True,)]
    # The session of the last one may have its lock for a moment still.
    eventually(lambda: seal_all(engine, sealer) or query("SELECT count(*) FROM late") == [(0,)], 20)
    seal_all(engine, sealer)
    assert sorted(query(STORED)) == rows(store)
    assert query("SELECT sum(samples), (SELECT count(*) FROM late) FROM sealed_spans") == [(len(store.expected), 0)]


def test_two_sealers_at_once_do_what_one_does(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    query: Query,
) -> None:
    chance, store = random.Random(6), Store(sealer, engine)  # noqa: S311 - to be repeated
    for _ in range(8):
        store.write(*some_rows(chance))
    seal_all(engine, sealer)
    for _ in range(8):
        store.write(*some_rows(chance))
    begin = threading.Barrier(2)

    def seal() -> int:
        made, steps = make_engine(sealer, application="sealer"), 0
        begin.wait()
        while query("SELECT count(*) FROM late") != [(0,)]:
            steps += bool(retried(lambda: chores.run(made, sealer, SEALING, 1)))
        made.dispose()
        return steps

    with ThreadPoolExecutor(2) as pool:
        steps = sum(future.result() for future in [pool.submit(seal) for _ in range(2)])
    assert steps > 3
    assert sorted(query(STORED)) == rows(store)
    assert query("SELECT sum(samples) FROM sealed_spans") == [(len(store.expected),)]


@pytest.fixture
def small(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small file system of the server's, with the arrays of the day that is being sealed."""
    with engine.connect() as connection:
        data = Path(connection.scalar(text("SHOW data_directory")) or "")
    if os.geteuid() or not data.exists():
        pytest.skip("only root can mount a file system, on the machine of the server")
    place, name = data.parent / f"small-{uuid.uuid4().hex[:8]}", f"small_{uuid.uuid4().hex[:8]}"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=False).returncode:
        place.rmdir()
        pytest.skip("no file system can be mounted here")
    try:
        owner = data.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE TABLESPACE {name} LOCATION '{place}'"))
            connection.execute(text(f"ALTER TABLE sealing SET TABLESPACE {name}"))
            yield place
            connection.execute(text("ALTER TABLE sealing SET TABLESPACE pg_default"))
            connection.execute(text(f"DROP TABLESPACE {name}"))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
        place.rmdir()


def test_a_full_disk_ends_a_step_and_nothing_else(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    query: Query,
    small: Path,
) -> None:
    chance, store = random.Random(8), Store(sealer, engine)  # noqa: S311 - to be repeated
    store.write(*some_rows(chance, 60))
    with suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(1 << 10)):
            pass
    # The first step freezes the day, which takes no room there.
    assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    for _ in range(2):
        with pytest.raises((psycopg.errors.DiskFull, OperationalError), match="No space left on device"):
            chores.run(engine, sealer, SEALING, SEALING.max_rows)
        store.write(*some_rows(chance))
        assert sorted(query(STORED)) == rows(store)
    (small / "filler").unlink()
    seal_all(engine, sealer)
    assert sorted(query(STORED)) == rows(store)
    assert query("SELECT sum(samples), (SELECT count(*) FROM late) FROM sealed_spans") == [(len(store.expected), 0)]


def test_a_backup_of_before_takes_all_that_comes_again(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    query: Query,
    server: psycopg.Connection[Any],
    at: Callable[[str], str],
) -> None:
    """The backup is of amid sealing. What came since comes again, and is new, known or in conflict as it was the first time."""
    chance, store = random.Random(9), Store(sealer, engine)  # noqa: S311 - to be repeated
    store.write(*some_rows(chance, 60))
    seal_all(engine, sealer)
    store.write(*some_rows(chance, 40), *((series, OPEN_DAY * DAY_S + second, 1.0) for series in SERIES for second in range(9)))
    while query("SELECT count(*) FROM sealing") == [(0,)]:
        assert chores.run(engine, sealer, SEALING, 1)
    known, number, name = dict(store.expected), store._number, f"{make_url(sealer.database_url).database}_backup"
    engine.dispose()
    services.create(server, name, str(make_url(sealer.database_url).database))
    since = [some_rows(chance, 30) for _ in range(4)]
    for batch_ in since:
        store.write(*batch_)
        seal_all(engine, sealer)
    restored = make_engine(replace(sealer, database_url=at(name)), application="test")
    try:
        again = Store(sealer, restored)
        # The same batches have the same names.
        again.expected, again._number = known, number
        for batch_ in since:
            again.write(*batch_)
            chores.run(restored, sealer, SEALING, 1)
        seal_all(restored, sealer)
        assert again.expected == store.expected
        with restored.connect() as connection:
            assert sorted(tuple(row) for row in connection.execute(text(STORED))) == rows(store)
            assert connection.scalar(text("SELECT sum(samples) FROM sealed_spans")) == len(store.expected)
    finally:
        restored.dispose()
        services.drop(server, name)


def test_folding_at_the_same_time_changes_no_account(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    query: Query,
) -> None:
    """Writers, a sealer, and one who folds ledger and tallies as fast as he can: what was stored is what is there."""
    keys = [(series, day * DAY_S + second) for series in SERIES for day in (0, 1, OPEN_DAY) for second in range(40)]
    done = threading.Event()

    def write(number: int) -> Counter[str]:
        chance = random.Random(number)  # noqa: S311 - to be repeated
        made, classes = make_engine(sealer, application="test"), Counter[str]()
        writer, order = BatchWriter(sealer, made), chance.sample(keys, len(keys))
        for start in range(0, len(order), 20):
            one = batch(readings(*((*each, 1.0) for each in order[start : start + 20])), f"f{number}-{start}")
            (outcome,) = retried(partial(writer.write, [one]))
            classes.update(outcome.rows)
        made.dispose()
        return classes

    def fold() -> int:
        folded = 0
        while not done.is_set() or not folded:
            with engine.begin() as connection:
                folded += tally_folding.fold(connection, sealer, 50) + ledger_folding.fold(connection, 0)
        return folded

    def seal() -> int:
        steps = 0
        while not done.is_set() or not steps:
            steps += bool(retried(lambda: chores.run(engine, sealer, SEALING, 50)))
        return steps

    with ThreadPoolExecutor(4) as pool:
        upkeep = [pool.submit(fold), pool.submit(seal)]
        classes = sum((future.result() for future in [pool.submit(write, number) for number in range(2)]), Counter[str]())
        done.set()
        assert all(future.result() for future in upkeep)
    seal_all(engine, sealer)
    assert (classes["stored"], classes["duplicate"], classes["conflict"]) == (len(keys), len(keys), 0)
    assert query("SELECT sum(stored)::int, sum(duplicate)::int FROM ledger") == [(len(keys), len(keys))]
    with engine.connect() as connection:
        hours = [hour for one in counted.partitions(connection) for hour in counted.by_hour(connection, one.span).values()]
    assert sum(hour.there for hour in hours) == len(keys)
    assert all(hour.there == hour.stored for hour in hours)
