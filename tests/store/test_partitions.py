"""Partitions of samples: one a day for recent times, coarser ones for times long past, and those that are there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from telemetry.store import lock_table
from telemetry.store.lock_table import LockTable
from telemetry.store.partitions import EPOCH, EXISTING, SLICE, WHOLE_MONTHS_AFTER, PartitionError, Partitions, Span, span_for
from tests.fixtures.services import Query


def number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - EPOCH.date()).days


TODAY = number(2026, 11, 28)
NUMBER = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'samples'::regclass"


@pytest.mark.parametrize(
    ("day", "table"),
    [
        ((2026, 11, 28), "samples_20261128"),
        ((2026, 11, 30), "samples_20261130"),
        # September ended 59 days ago, August 89.
        ((2026, 9, 1), "samples_20260901"),
        ((2026, 8, 31), "samples_202608"),
        ((2025, 12, 31), "samples_202512"),
        ((2024, 2, 29), "samples_202402"),
        ((2023, 12, 31), "samples_2023"),
        ((2000, 1, 1), "samples_2000"),
        ((1970, 1, 1), "samples_1970"),
    ],
)
def test_the_longer_ago_the_coarser(day: tuple[int, int, int], table: str) -> None:
    span = span_for(number(*day), TODAY, [])
    assert span.table == table
    assert span.first <= number(*day) < span.end


def test_a_partition_that_is_there_is_used_and_none_overlaps_it() -> None:
    days = [Span(f"samples_201003{n:02}", number(2010, 3, n), number(2010, 3, n) + 1) for n in (5, 6)]
    merged = Span("anything", number(2010, 7, 1), number(2010, 9, 1))
    existing = [*days, merged]
    assert span_for(number(2010, 3, 6), TODAY, existing) == days[1]
    assert span_for(number(2010, 8, 31), TODAY, existing) == merged
    assert span_for(number(2010, 3, 7), TODAY, existing).table == "samples_20100307"
    assert span_for(number(2010, 4, 7), TODAY, existing) == Span("samples_201004", number(2010, 4, 1), number(2010, 5, 1))
    assert span_for(number(2011, 4, 7), TODAY, existing) == Span("samples_2011", number(2011, 1, 1), number(2012, 1, 1))


def test_five_thousand_days_are_some_dozens_of_partitions() -> None:
    spans: list[Span] = []
    for day in range(TODAY - 5000, TODAY):
        if (span := span_for(day, TODAY, spans)) not in spans:
            spans.append(span)
    assert len(spans) < 150
    edges = [edge for span in sorted(spans, key=lambda span: span.first) for edge in (span.first, span.end)]
    assert edges == sorted(edges)


def today() -> int:
    return (datetime.now(UTC) - EPOCH).days


def test_each_day_is_in_its_partition_whoever_made_it(engine: Engine, query: Query) -> None:
    with engine.begin() as connection:
        # As an earlier version made it.
        connection.execute(text("CREATE TABLE samples_20100305 (LIKE samples INCLUDING ALL)"))
        connection.execute(
            text("ALTER TABLE samples ATTACH PARTITION samples_20100305 FOR VALUES FROM ('2010-03-05Z') TO ('2010-03-06Z')")
        )
    days = [number(2010, 3, 5), number(2010, 3, 6), number(2010, 4, 1), number(2011, 4, 1), today()]
    tables = ["samples_20100305", "samples_20100306", "samples_201004", "samples_2011"]
    tables.append(f"samples_{EPOCH + timedelta(days=today()):%Y%m%d}")
    for _ in range(2):
        assert Partitions(engine).ensure(days) == dict(zip(days, tables, strict=True))
    with engine.begin() as connection:
        for day in days:
            connection.execute(text("INSERT INTO samples VALUES (1, :at, 1)"), {"at": EPOCH + timedelta(days=day, hours=23)})
    assert [name for (name,) in query("SELECT tableoid::regclass::text FROM samples ORDER BY ts")] == tables


def test_the_bounds_of_a_partition_are_looked_up_once(engine: Engine) -> None:
    """One that is dropped between two looks would have a first day and no end."""
    with engine.connect() as connection:
        plan = connection.scalars(text(f"EXPLAIN (VERBOSE) {EXISTING.text}")).all()
    assert sum(line.count("pg_get_expr") for line in plan) == 1


def test_partitions_that_were_made_stay_whatever_becomes_of_the_rest(engine: Engine, query: Query) -> None:
    first = today() - WHOLE_MONTHS_AFTER
    with pytest.raises(OverflowError):
        Partitions(engine).ensure([*range(first, first + SLICE), 10**7])
    assert query(NUMBER) == [(SLICE,)]
    Partitions(engine).ensure(range(first, first + WHOLE_MONTHS_AFTER))
    assert query(NUMBER) == [(WHOLE_MONTHS_AFTER,)]


def test_a_table_that_was_detached_is_attached_again(engine: Engine, query: Query) -> None:
    at = {"at": EPOCH + timedelta(days=today(), hours=1)}
    (table,) = Partitions(engine).ensure([today()]).values()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO samples VALUES (1, :at, 7)"), at)
        connection.execute(text(f"ALTER TABLE samples DETACH PARTITION {table}"))
    assert query("SELECT value FROM samples") == []
    assert Partitions(engine).ensure([today()]) == {today(): table}
    assert query("SELECT value FROM samples") == [(7.0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE {} (series_id bigint)",
        "CREATE VIEW {} AS SELECT 1",
        "CREATE TABLE {} (LIKE samples INCLUDING ALL); INSERT INTO {} VALUES (1, '1999-01-01', 1)",
    ],
)
def test_a_table_that_cannot_be_attached_is_named_with_the_mend(engine: Engine, statement: str) -> None:
    table = f"samples_{EPOCH + timedelta(days=today()):%Y%m%d}"
    with engine.begin() as connection:
        connection.execute(text(statement.format(table, table)))
    with pytest.raises(PartitionError, match=f"attach, rename or drop the table {table}"):
        Partitions(engine).ensure([today()])


def test_room_for_locks_is_reckoned_for_many_queries_and_a_year_to_come() -> None:
    assert LockTable(1024, 100, 60).advice is None
    advice = LockTable(64, 100, 4409).advice
    assert advice is not None
    assert "64: room for 6,400 locks" in advice
    assert "with 4,409 partitions" in advice
    assert "set it to 2048" in advice
    assert LockTable(2048, 100, 4409).advice is None


def test_the_embedded_server_has_room(engine: Engine) -> None:
    Partitions(engine).ensure([today()])
    with engine.connect() as connection:
        table = lock_table.look(connection)
    assert table == LockTable(1024, 100, 1)
    assert table.advice is None
