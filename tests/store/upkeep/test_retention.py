"""Old samples are dropped by partitions and months, the floor rises with them, and what comes below it is expired."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, text

from telemetry.audit.samples import SampleAudit
from telemetry.collector.outcome import Outcome
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.partitions import EPOCH, Partitions
from telemetry.store.upkeep import chores, ledger_folding, merging, retention, sealing
from telemetry.store.upkeep.chores import OLD_ROWS, RETENTION, SEALING, USAGE
from tests.batches import T0_US, batch, key, readings
from tests.fixtures.services import Query

DAY_S = 86_400
CLASSES = ("stored", "duplicate", "conflict", "expired")
THERE = "SELECT count(*)::int FROM stored_samples('-infinity', 'infinity')"
FLOOR = "SELECT kept_since, days, dropped::int, partitions::int, done_at IS NOT NULL FROM retention WHERE level = 'samples'"
EXPECTED = "SELECT coalesce(sum(stored), 0)::int FROM tallies"
Row = tuple[str, int, float]


def begin_of(days: int) -> datetime:
    """The begin of the day so many days ago."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def at(days: int, second: int = 0, series: str = key(), value: float = 1.0) -> Row:
    """A reading of a second of the day so many days ago."""
    return series, int(begin_of(days).timestamp()) + second - T0_US // 1_000_000, value


@pytest.fixture
def keeper(settings: Settings) -> Settings:
    """Settings by which 30 days are kept."""
    return replace(settings, retention_days=30)


@pytest.fixture
def writer(settings: Settings, engine: Engine) -> BatchWriter:
    return BatchWriter(settings, engine)


def classes(outcome: Outcome) -> dict[str, int]:
    """The classes of which a batch has readings."""
    return {name: number for name, number in outcome.rows.items() if number}


def keep(engine: Engine, settings: Settings) -> int:
    """Sum usage up, then drop until nothing is left to drop. Returns the number of steps."""
    while chores.run(engine, settings, USAGE, 1000):
        pass
    steps = 0
    while retried(lambda: chores.run(engine, settings, RETENTION, RETENTION.max_rows)):
        steps += 1
    return steps


def test_nothing_is_dropped_unless_that_is_set(engine: Engine, settings: Settings, writer: BatchWriter, query: Query) -> None:
    writer.write([batch(readings(at(400), at(0)))])
    assert keep(engine, settings) == 0
    assert query(THERE) == [(2,)]
    assert query(FLOOR) == [(None, None, 0, 0, False)]


def test_what_is_old_goes_by_partitions_and_what_comes_again_is_expired(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(at(400), at(31), at(31, 5), at(30), at(0)))])
    # A step for each partition, and one that leaves the floor where it belongs.
    assert keep(engine, keeper) == 3 - (begin_of(31) + timedelta(days=1) == begin_of(30))
    assert query(FLOOR) == [(begin_of(30), 30, 3, 2, True)]
    assert query(THERE) == query(EXPECTED) == [(2,)]
    again, known = writer.write([batch(readings(at(400), at(31), at(30), at(30, 9)), "b2"), batch(readings(at(0)), "b1")])
    assert classes(again) == {"stored": 1, "duplicate": 1, "expired": 2}
    assert known.status == "known"
    assert query("SELECT rows, stored, duplicate, expired FROM batches WHERE batch_id = 'b2'") == [(4, 1, 1, 2)]
    # No partition was made for them.
    assert query("SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'samples'::regclass") == [(2,)]


def test_a_batch_that_is_expired_to_the_last_reading_is_settled(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    written = "SELECT (SELECT count(*) FROM allocations)::int, (SELECT count(*) FROM usage_marks)::int"
    writer.write([batch(readings(at(0)), "b0")])
    assert keep(engine, keeper) == 1
    before = query(written)
    (outcome,) = writer.write([batch(readings(at(50), at(40)))])
    assert (outcome.status, classes(outcome)) == ("stored", {"expired": 2})
    assert [each.status for each in writer.write([batch(readings(at(50), at(40)))])] == ["known"]
    assert query("SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'samples'::regclass") == [(1,)]
    assert query(written) == before
    with engine.begin() as connection:
        assert ledger_folding.fold(connection, -60) == 2
    sums = "SELECT sum(rows)::int, sum(stored)::int, sum(expired)::int FROM {}"
    assert query(sums.format("ledger")) == query(sums.format("ledger_ranges")) == [(3, 1, 2)]


def test_a_partition_that_is_not_old_as_a_whole_stays_and_the_floor_below_it(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    year = datetime.now(UTC).year - 4
    first = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(days=1)
    Partitions(engine).ensure([first + 10])
    days = (datetime.now(UTC) - datetime(year, 7, 1, tzinfo=UTC)) // timedelta(days=1)
    writer.write([batch(readings(at(days + 60), at(0)))])
    keep(engine, replace(keeper, retention_days=days))
    assert query(FLOOR)[0][0] == datetime(year, 1, 1, tzinfo=UTC)
    assert query(THERE) == [(2,)]


def test_sealed_days_go_by_the_month_with_what_came_late_for_them(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(*(at(days) for days in range(400, 300, -1)), at(1), at(0)))])
    seal(engine, keeper)
    writer.write([batch(readings(at(400, 7), at(1, 7)), "late")])
    assert query("SELECT count(*)::int FROM late") == [(2,)]
    keep(engine, keeper)
    ((floor, _, dropped, partitions, _),) = query(FLOOR)
    # The present month has sealed days, and is not over.
    assert floor == min(begin_of(30), begin_of(1).replace(day=1))
    assert (dropped, query(THERE), query("SELECT count(*)::int FROM late")) == (101, [(3,)], [(1,)])
    assert partitions >= 4
    assert query("SELECT count(*)::int FROM sealed_spans") == [(1,)]
    assert query(EXPECTED) == [(3,)]


def test_a_partition_that_is_just_being_sealed_goes_too(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(at(80), at(80, 1, key("m2")), at(0)))])
    with engine.begin() as connection:
        sealing.step_at_once(connection, sealing.today(connection), 1)
    with engine.begin() as connection:
        sealing.step_at_once(connection, sealing.today(connection), 1)
    assert query("SELECT count(*)::int FROM sealing") == [(1,)]
    keep(engine, keeper)
    assert query("SELECT (SELECT count(*) FROM sealing)::int, (SELECT count(*) FROM sealed_spans)::int") == [(0, 0)]
    assert query(THERE) == [(1,)]


def test_much_that_came_late_is_merged_before_it_goes(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([batch(readings(at(400), at(0)))])
    seal(engine, keeper)
    writer.write([batch(readings(*(at(400, second) for second in range(1, 9))), "late")])
    monkeypatch.setattr(merging, "MAX_LATE", 3)
    assert keep(engine, keeper) >= 3
    assert query(FLOOR)[0][2] == 9
    assert query(THERE) == query(EXPECTED) == [(1,)]


def test_days_whose_usage_is_not_summed_up_wait(engine: Engine, keeper: Settings, writer: BatchWriter, query: Query) -> None:
    writer.write([batch(readings(at(50, 1800), at(40, 1800), at(0)))])
    with engine.begin() as other:
        # Another process is at it.
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": USAGE.lock_key})
        assert chores.run(engine, keeper, RETENTION, 1) == 1
        assert (query(FLOOR)[0][0], query(THERE)) == (begin_of(50), [(3,)])
        done = query("SELECT done_at FROM retention WHERE level = 'samples'")
        assert chores.run(engine, keeper, RETENTION, 1) == 0
        assert query("SELECT done_at FROM retention WHERE level = 'samples'") == done
        with engine.connect() as connection:
            assert retention.plan(connection, 30).waits_for_usage
    keep(engine, keeper)
    assert query(THERE) == [(1,)]
    assert query("SELECT count(DISTINCT hour)::int FROM usage_hours WHERE hour < now() - interval '30 days'") == [(2,)]


def test_days_for_which_readings_come_all_the_time_go_too(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    """A host whose clock is far behind must not keep all that is old."""
    number = 0
    for _ in range(10):
        number += 1
        writer.write([batch(readings(at(50, 1800 + number), at(0, number)), f"b{number}")])
        if not chores.run(engine, keeper, RETENTION, 1):
            break
    assert query(FLOOR)[0][0] == begin_of(30)
    assert query(THERE) == [(number,)]
    assert query("SELECT count(DISTINCT hour)::int FROM usage_hours WHERE hour < now() - interval '30 days'") == [(1,)]


def test_days_of_which_readings_come_just_now_wait_too(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([batch(readings(at(50, 1800), at(0)))])
    # As if they had come after the look.
    monkeypatch.setattr(retention, "UNSUMMED", text("SELECT max(hour) FROM usage_marks"))
    assert chores.run(engine, keeper, RETENTION, 1) == 0
    assert (query(THERE), query(FLOOR)[0][0]) == ([(2,)], None)


def test_the_floor_does_not_fall_with_the_setting_and_does_when_a_person_says_so(
    engine: Engine, keeper: Settings, settings: Settings, writer: BatchWriter, query: Query
) -> None:
    """Two collectors are set differently: what becomes of a reading depends on neither."""
    writer.write([batch(readings(at(0)), "b0")])
    keep(engine, keeper)
    keep(engine, replace(keeper, retention_days=90))
    keep(engine, settings)
    other = BatchWriter(replace(settings, retention_days=90), engine)
    assert classes(other.write([batch(readings(at(60)))])[0]) == {"expired": 1}
    day = (begin_of(70) - EPOCH) // timedelta(days=1)
    with engine.begin() as connection:
        assert retention.lower(connection, day) == 1
        assert retention.lower(connection, day) is None
    assert query(FLOOR)[0][0] == begin_of(70)
    assert classes(writer.write([batch(readings(at(60), at(71)), "b2")])[0]) == {"stored": 1, "expired": 1}
    assert classes(other.write([batch(readings(at(60)), "b3")])[0]) == {"duplicate": 1}
    assert query(EXPECTED) == [(2,)]


@pytest.mark.parametrize("is_folded", [False, True])
def test_a_batch_that_was_expired_is_stored_when_it_comes_after_the_floor_fell(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query, is_folded: bool
) -> None:
    """The same bytes come under the same id, and the ledger must not take them for stored."""
    writer.write([batch(readings(at(0)), "b0")])
    keep(engine, keeper)
    late = batch(readings(at(50), at(0, 5)))
    assert classes(writer.write([late])[0]) == {"stored": 1, "expired": 1}
    if is_folded:
        with engine.begin() as connection:
            ledger_folding.fold(connection, -60)
    with engine.begin() as connection:
        assert retention.lower(connection, (begin_of(60) - EPOCH) // timedelta(days=1)) == 1
    (outcome,) = writer.write([late])
    assert (outcome.status, classes(outcome)) == ("stored", {"stored": 1, "duplicate": 1})
    assert query("SELECT coalesce(sum(expired), 0)::int FROM ledger") == [(0,)]
    assert query(THERE) == query(EXPECTED) == [(3,)]


def test_a_plan_says_what_would_go(engine: Engine, writer: BatchWriter, query: Query, settings: Settings) -> None:
    writer.write([batch(readings(at(400), at(399), at(31), at(30)))])
    seal_before(engine, settings, days=200)
    keep(engine, settings)
    with engine.connect() as connection:
        plan = retention.plan(connection, 30)
    assert (plan.floor, plan.waits_for_usage) == (None, False)
    assert plan.floor_then == (begin_of(30) - EPOCH) // timedelta(days=1)
    assert sum(part.samples for part in plan.parts) == 3
    assert {part.unit.level for part in plan.parts} == {"rows", "sealed"}
    assert all(part.size_bytes > 0 for part in plan.parts)
    assert query(THERE) == [(4,)]


def test_the_audit_misses_nothing_and_waits_for_nothing_below_the_floor(
    engine: Engine, keeper: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(at(50), at(40), at(0)))])
    audit = SampleAudit(engine, 10.0)
    audit.count()
    hour = int(begin_of(50).timestamp()) // 3600
    with engine.begin() as connection:
        shortfall = "INSERT INTO shortfalls (first_hour, end_hour, missing) VALUES (:hour, :hour + 1, 5)"
        connection.execute(text(shortfall), {"hour": hour})
    keep(engine, keeper)
    audit.count()
    assert query("SELECT count(*)::int FROM shortfalls WHERE settled_at IS NULL") == [(0,)]
    assert query("SELECT count(*)::int FROM shortfalls") == [(1,)]


def test_a_step_that_is_cut_off_has_done_nothing(engine: Engine, keeper: Settings, writer: BatchWriter, query: Query) -> None:
    writer.write([batch(readings(at(50), at(0)))])
    with engine.connect() as connection:
        connection.execute(text("LOCK TABLE ONLY samples IN ACCESS SHARE MODE"))
        while chores.run(engine, keeper, USAGE, 1000):
            pass
        with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
            chores.run(engine, keeper, RETENTION, 1)
    assert (query(FLOOR), query(THERE)) == ([(None, None, 0, 0, False)], [(2,)])


def test_several_at_once_drop_each_day_once(engine: Engine, keeper: Settings, writer: BatchWriter, query: Query) -> None:
    writer.write([batch(readings(*(at(days) for days in (*range(60, 30, -1), 0))))])
    while chores.run(engine, keeper, USAGE, 1000):
        pass

    def drop(by_hand: bool) -> None:
        made = make_engine(keeper, application="test")
        while query(FLOOR)[0][0] != begin_of(30):
            with suppress(sqlalchemy.exc.OperationalError), made.begin() as connection:
                (retention.step_at_once if by_hand else by_setting)(connection, 30, 100)
        made.dispose()

    def by_setting(connection: Connection, _: int, limit: int) -> int:
        return retention.step(connection, keeper, limit)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(drop, number % 2 == 0) for number in range(4)]:
            future.result()
    assert query(FLOOR)[0][2:4] == (30, 30)
    assert query(THERE) == query(EXPECTED) == [(1,)]


def test_while_another_process_seals_it_stays_due(engine: Engine, keeper: Settings, writer: BatchWriter, query: Query) -> None:
    writer.write([batch(readings(at(50), at(0)))])
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEALING.lock_key})
        assert chores.run(engine, keeper, RETENTION, 7) == 7
    assert query(THERE) == [(2,)]


def test_rows_in_quarantine_conflicts_and_events_have_times_of_their_own(
    engine: Engine, settings: Settings, writer: BatchWriter, query: Query
) -> None:
    writer.write([batch(readings(at(0)))])
    with engine.begin() as connection:
        for number in range(4):
            days = 100 - 30 * number
            connection.execute(
                text("""
                    INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw,
                        quarantined_at)
                    SELECT id, 'b', 'f', :number, '', 1, 'bad_value', '', now() - make_interval(days => :days) FROM sources
                """),
                {"number": number, "days": days},
            )
            connection.execute(
                text("""
                    INSERT INTO findings (gpu_id, series_id, rule, kind, severity, begun_at, fired_at, ended_at)
                    SELECT id, 0, 'r', 'k', 1, now() - make_interval(days => :days + 1), now(),
                        CASE WHEN :number > 0 THEN now() - make_interval(days => :days) END FROM gpus
                """),
                {"number": number, "days": days},
            )
    kept = replace(settings, retention_quarantine_days=50, retention_events_days=60)
    assert chores.run(engine, kept, OLD_ROWS, 1) == 1
    while chores.run(engine, kept, OLD_ROWS, 2):
        pass
    assert query("SELECT byte_offset::int FROM quarantine ORDER BY 1") == [(2,), (3,)]
    # One has not ended.
    assert query("SELECT count(*)::int FROM findings") == [(3,)]
    levels = "SELECT level, dropped::int, days, kept_since IS NOT NULL FROM retention WHERE level <> 'samples' ORDER BY 1"
    assert query(levels) == [("events", 1, 60, True), ("quarantine", 2, 50, True)]


GROUPS_A_SETTING = 5


def test_whatever_comes_again_while_days_are_dropped_each_reading_has_one_class(
    engine: Engine, settings: Settings, query: Query
) -> None:
    """Writers bring the same batches, while days are sealed, and dropped by one who is set to this and then to that."""
    chance = random.Random(11)  # noqa: S311 - to be repeated
    rows = [
        at(days, second, series) for days in (0, 1, 20, 33, 45, 60, 61, 62, 150) for second in range(12) for series in SERIES
    ]
    chance.shuffle(rows)
    batches = [batch(readings(*rows[start : start + 9]), f"b{start}") for start in range(0, len(rows), 9)]
    # And the same readings once more, cut another way.
    chance.shuffle(rows)
    batches += [batch(readings(*rows[start : start + 13]), f"c{start}") for start in range(0, len(rows), 13)]
    done, groups = threading.Event(), threading.Semaphore(0)
    # Some are there, and a floor, before the others come.
    counted = sum((Counter(outcome.rows) for outcome in BatchWriter(settings, engine).write(batches[:3])), Counter[str]())
    keep(engine, replace(settings, retention_days=100))

    def write(number: int) -> Counter[str]:
        made = make_engine(settings, application="test")
        writer, outcomes = BatchWriter(replace(settings, retention_days=number * 40), made), Counter[str]()
        order = random.Random(number).sample(batches, len(batches))  # noqa: S311 - to be repeated
        for start in range(0, len(order), 3):
            for outcome in retried(partial(writer.write, order[start : start + 3])):
                outcomes.update(outcome.rows)
            groups.release()
        made.dispose()
        return outcomes

    def drop() -> int:
        steps, days = 0, [100, 200, 60, 90, 40, 400, 30]
        while not done.is_set() or days:
            # Each setting finds some more of them there.
            for _ in range(GROUPS_A_SETTING if days else 0):
                groups.acquire(timeout=30)
            steps += keep(engine, replace(settings, retention_days=days.pop(0) if days else 30))
            retried(lambda: chores.run(engine, replace(settings, seal_after_days=50), SEALING, 20))
        return steps

    with ThreadPoolExecutor(4) as pool:
        dropping = pool.submit(drop)
        counted = sum((future.result() for future in [pool.submit(write, number) for number in range(3)]), counted)
        done.set()
        assert dropping.result() > 3
    keep(engine, replace(settings, retention_days=30))
    ((floor, _, dropped, _, _),) = query(FLOOR)
    ledger = "SELECT sum(rows)::int, sum(stored)::int, sum(duplicate)::int, sum(conflict)::int, sum(expired)::int FROM ledger"
    ((total, stored, duplicate, conflict, expired),) = query(ledger)
    assert total == 2 * len(rows) == stored + duplicate + conflict + expired
    assert [counted[name] for name in CLASSES] == [stored, duplicate, conflict, expired]
    assert (conflict, expired > 0) == (0, True)
    wanted = [row for row in rows if T0_US // 1_000_000 + row[1] >= floor.timestamp()]
    assert query(THERE) == query(EXPECTED) == [(len(wanted),)]
    assert stored == len(wanted) + dropped
    assert query("SELECT count(DISTINCT (series_id, ts))::int FROM stored_samples('-infinity', 'infinity')") == [(len(wanted),)]
    first = query("SELECT min(ts) FROM stored_samples('-infinity', 'infinity')")[0][0]
    assert first >= floor == begin_of(30)


SERIES = [key(metric, gpu) for metric in ("m1", "m2") for gpu in ("GPU-1", "GPU-2")]


def seal(engine: Engine, settings: Settings) -> None:
    """Seal all days that are over."""
    seal_before(engine, settings, days=0)


def seal_before(engine: Engine, settings: Settings, *, days: int) -> None:
    """Seal the days of before so many days ago."""

    def work(connection: Any, _: Settings, limit: int) -> int:
        return sealing.step_at_once(connection, sealing.today(connection) - days, limit)

    while chores.run(engine, settings, replace(SEALING, work=work), 1000):
        pass


def retried(work: Callable[[], Any]) -> Any:
    """Do a piece of work, again if a lock was not free, as collectors and chores do."""
    while True:
        try:
            return work()
        except (psycopg.errors.LockNotAvailable, sqlalchemy.exc.DBAPIError) as error:
            if not isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
                raise
