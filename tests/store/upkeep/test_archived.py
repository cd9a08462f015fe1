"""Where only what is archived may go, retention drops nothing else, whatever comes in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from telemetry.archive.places import Place
from telemetry.archive.returning import Archive
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.upkeep import archived, retention
from telemetry.store.upkeep.units import day_of
from tests.archive.days import archive, drop_month, seal, states
from tests.batches import batch, key, readings
from tests.fixtures.services import Query
from tests.store.upkeep.test_retention import DAY_S, at, begin_of, keep

THERE = "SELECT count(*)::int FROM stored_samples('-infinity', 'infinity')"
FLOOR = "SELECT kept_since FROM retention WHERE level = 'samples'"


@pytest.fixture
def keeper(settings: Settings) -> Settings:
    """Settings by which 30 days are kept, and only what is archived is dropped."""
    return replace(settings, retention_days=30, retention_archived=True)


@pytest.fixture
def writer(settings: Settings, engine: Engine) -> BatchWriter:
    return BatchWriter(settings, engine)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.of(str(tmp_path / "archive"))


def missing(engine: Engine, days: int = 30) -> int | None:
    """From which day on, so many days ago, days wait until they are archived."""
    with engine.connect() as connection:
        day = retention.plan(connection, days, archived_only=True).not_archived
    return None if day is None else (day_of(begin_of(0)) or 0) - day


def test_days_in_rows_wait_and_sealed_ones_that_are_not_archived(
    engine: Engine, keeper: Settings, writer: BatchWriter, place: Place, query: Query
) -> None:
    writer.write([batch(readings(at(400), at(300), at(31), at(0)))])
    assert keep(engine, keeper) == 0 or query(FLOOR)[0][0] < begin_of(400)
    # The partition of a month, or a year.
    assert (missing(engine) or 0) >= 400
    seal(engine)
    keep(engine, keeper)
    assert query(THERE) == [(4,)]
    assert missing(engine) == 400
    archive(engine, place)
    assert missing(engine) is None
    keep(engine, keeper)
    assert query(THERE)[0][0] < 4
    assert query(FLOOR)[0][0] > begin_of(300)
    # What is dropped is not forgotten by the archive, and no day of it is believed to be archived any more.
    assert states(engine, place)[:2] == ["alone"] * 2
    assert query("SELECT min(day) FROM archived_days")[0][0] >= query(FLOOR)[0][0].date()


def test_only_what_is_before_the_first_day_that_is_not_archived_goes(
    engine: Engine, keeper: Settings, writer: BatchWriter, place: Place, query: Query
) -> None:
    writer.write([batch(readings(at(400), at(200), at(0)))])
    seal(engine)
    archive(engine, place)
    writer.write([batch(readings(at(200, 5)), "late")])
    assert missing(engine) == 200
    keep(engine, keeper)
    assert query(THERE) == [(3,)]
    floor = query(FLOOR)[0][0]
    assert begin_of(400) < floor <= begin_of(200)
    # Merged or not, it waits until it is archived.
    seal(engine)
    assert missing(engine) == 200
    archive(engine, place)
    keep(engine, keeper)
    assert query(THERE) == [(1,)]


def test_what_comes_late_while_it_is_decided_is_not_dropped(
    engine: Engine, keeper: Settings, place: Place, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A new connection would make it ask where readings belong, and nobody answers that meanwhile.
    own = make_engine(keeper, application="test")
    writer = BatchWriter(keeper, own)
    writer.write([batch(readings(at(200), at(0)))])
    seal(engine)
    # By then it knows where readings of that day belong, and asks nobody.
    writer.write([batch(readings(at(200, 3)), "before")])
    seal(engine)
    archive(engine, place)
    look = archived.first_missing
    came = iter([batch(readings(at(200, 7)), "late")])

    def looked(*args: object) -> int | None:
        found = look(*args)  # type: ignore[arg-type]
        for late in came:
            writer.write([late])
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM usage_marks"))
        return found

    monkeypatch.setattr(archived, "first_missing", looked)
    keep(engine, keeper)
    own.dispose()
    assert query(THERE) == [(4,)]
    assert missing(engine) == 200


def test_a_month_that_is_dropped_and_filled_again_is_not_archived_any_more(
    engine: Engine, keeper: Settings, settings: Settings, tmp_path: Path, query: Query
) -> None:
    place = Place.of(str(tmp_path / "archive"))
    writer = BatchWriter(settings, engine)
    writer.write([batch(readings((key(), 0, 1.0), (key(), DAY_S, 1.0)))])
    seal(engine)
    archive(engine, place)
    drop_month(engine)
    assert query("SELECT count(*)::int FROM archived_days") == [(0,)]
    # As many samples as before, of other values, and of a month that has no partition until they are merged.
    writer.write([batch(readings((key(), 0, 2.0), (key(), DAY_S, 2.0)), "again")])
    ago = (datetime.now(begin_of(0).tzinfo).date() - date(2025, 7, 18)).days
    assert missing(engine) == ago
    seal(engine)
    assert missing(engine) == ago
    keep(engine, keeper)
    assert query(THERE) == [(2,)]


def test_what_is_read_back_is_dropped_again_only_when_it_is_archived_again(
    engine: Engine, keeper: Settings, writer: BatchWriter, place: Place, query: Query
) -> None:
    writer.write([batch(readings(at(200), at(0)))])
    seal(engine)
    archive(engine, place)
    keep(engine, keeper)
    assert query(THERE) == [(1,)]
    with engine.begin() as connection:
        assert retention.lower(connection, (day_of(begin_of(400)) or 0)) is not None
    back = Archive(keeper, engine, place)
    assert back.give_back(back.days(None, None)[0]).classes == (1, 0, 0, 0)
    keep(engine, keeper)
    assert query(THERE) == [(2,)]
    seal(engine)
    assert [became for _, _, became in archive(engine, place)] == ["same"]
    keep(engine, keeper)
    assert query(THERE) == [(1,)]
