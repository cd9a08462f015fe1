"""Days of an archive go back into a database: each reading ends in a class, and nothing else is changed by it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import Engine

from telemetry.archive import files, manifests
from telemetry.archive.places import Place
from telemetry.archive.returning import Archive
from telemetry.collector.writer import BatchWriter
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.store.upkeep import chores, joining
from telemetry.store.upkeep.chores import USAGE
from tests.archive.days import DAY_S, FIRST, ODD, SQL, STORED, archive, asked, drop_month, seal, some, states
from tests.batches import T0_US, batch, key, readings
from tests.fixtures.services import Query

HELD = """
    SELECT g.identity, day, held, o.labels::text FROM allocations JOIN gpus g ON g.id = gpu_id
    JOIN owners o ON o.id = owner_id WHERE o.labels <> '{}' ORDER BY 1, 2, 4
"""
PLACES = "SELECT place, edge FROM gpu_places ORDER BY 1, 2"


def test_an_archive_comes_back_into_a_database_that_knows_nothing(
    engine: Engine, other: Engine, writer: BatchWriter, settings: Settings, place: Place
) -> None:
    rows = some()
    writer.write([batch(readings(*rows))])
    seal(engine)
    archive(engine, place)
    back = Archive(settings, other, place)
    days = back.days(None, None)
    assert [back.give_back(day).classes for day in days] == [(24, 0, 0, 0)] * 2
    for statement in (SQL, STORED, HELD, PLACES):
        assert asked(other, statement) == asked(engine, statement)
    assert [back.give_back(day).classes for day in days] == [(0, 24, 0, 0)] * 2
    seal(other)
    again = Place.of(f"{place.root}-again")
    archive(other, again)
    assert [manifests.there(again, day).content for day in days] == [manifests.there(place, day).content for day in days]


def test_a_gpu_keeps_what_is_known_of_it_and_its_sums_of_usage(
    engine: Engine, writer: BatchWriter, settings: Settings, place: Place, query: Query
) -> None:
    writer.write([batch(readings(*some(days=1)))])
    while chores.run(engine, settings, USAGE, 1000):
        pass
    seal(engine)
    archive(engine, place)
    moved = SeriesKey("m1", "GPU-1", "host-2", 5, "nvidia5", "H200", {}).text()
    writer.write([batch(readings((moved, 9 * DAY_S, 1.0)), "moved")])
    sums = "SELECT * FROM usage_hours ORDER BY 1, 2, 3, 4"
    facts, usage, marks = query("SELECT * FROM gpus ORDER BY id"), query(sums), query("SELECT count(*) FROM usage_marks")
    drop_month(engine)
    assert Archive(settings, engine, place).give_back(FIRST).classes.stored == 24
    assert (query("SELECT * FROM gpus ORDER BY id"), query(sums)) == (facts, usage)
    assert query("SELECT count(*) FROM usage_marks") == marks
    # What the audit expects grows with it.
    assert query("SELECT sum(stored)::int FROM tallies") == [(24,)]


def test_a_gpu_that_is_joined_to_another_stays_the_same_in_the_archive(
    engine: Engine, writer: BatchWriter, settings: Settings, place: Place, query: Query
) -> None:
    unnamed = SeriesKey("m1", "", "host-1", 0, "d", "H100", {}).text()
    writer.write([batch(readings((unnamed, 0, 1.0))), batch(readings((key("m1", "GPU-1"), 0, 2.0)), "b2", edge="test/other")])
    seal(engine)
    archive(engine, place)
    with engine.begin() as connection:
        assert joining.join(connection, settings, 10) == 1
    assert states(engine, place) == ["equal"]
    assert Archive(settings, engine, place).give_back(FIRST).classes == (0, 2, 0, 0)
    assert query("SELECT count(*)::int FROM series") == [(2,)]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_stored_is_archived_and_comes_back_bit_for_bit(
    engine: Engine, other: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Sealed and late, in files of several row groups, before and after what comes late, with odd values and times."""
    monkeypatch.setattr(files, "GROUP_ROWS", 7)
    chance, place, texts = (
        random.Random(seed),  # noqa: S311 - to be repeated
        Place.of(str(tmp_path / "archive")),
        [key(f"m{n % 3}", f"GPU-{n}") for n in range(6)],
    )
    begin_us = T0_US // (DAY_S * 1_000_000) * DAY_S * 1_000_000
    keys = {(chance.randrange(6), chance.randrange(2 * DAY_S * 1_000_000)) for _ in range(90)}
    # The first and the last moment of a day, and times that many series share.
    keys |= {(n, day * DAY_S * 1_000_000 + at) for n in range(6) for day in (0, 1) for at in (0, 1, DAY_S * 1_000_000 - 1)}
    points = [
        (*one, chance.choice((*ODD, chance.random(), chance.uniform(-1e9, 1e9), float(chance.randrange(-(2**60), 2**60)))))
        for one in sorted(keys)
    ]
    chance.shuffle(points)
    writer, cut = BatchWriter(settings, engine), chance.randrange(1, len(points))
    for number, part in enumerate((points[:cut], points[cut:])):
        content = readings(*((texts[series], 0, value) for series, _, value in part))
        content.ts_us[:] = [begin_us + at for _, at, _ in part]
        (outcome,) = writer.write([batch(content, f"b{number}")])
        assert outcome.rows["stored"] == len(part)
        if number == 0:
            seal(engine)
        archive(engine, place)
        assert set(states(engine, place)) == {"equal"}
    seal(engine)
    assert archive(engine, place) == []
    assert set(states(engine, place)) == {"equal"}
    back = Archive(settings, other, place)
    assert sum(back.give_back(day).classes.stored for day in back.days(None, None)) == len(points)
    assert asked(other, STORED) == asked(engine, STORED)
