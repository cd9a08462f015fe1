"""How far the floor can rise, and what lies below it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from telemetry.store.partitions import Partitions
from telemetry.store.upkeep import months
from telemetry.store.upkeep.units import EPOCH, Unit, below, day_of, next_floor, reach, units


def unit(first: int, end: int) -> Unit:
    return Unit((f"of_{first}_{end}",), "rows", first, end)


SOME = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: unit(pair[0], sum(pair))), max_size=12)


@given(SOME, st.integers(0, 60))
def test_the_floor_rises_as_far_as_it_can_and_into_no_unit(some: list[Unit], limit: int) -> None:
    floor = reach(some, limit)
    assert floor <= limit
    assert not any(one.first < floor < one.end for one in some)
    # Every later day up to the limit lies within one.
    assert all(any(one.first < day < one.end for one in some) for day in range(floor + 1, limit + 1))


@given(SOME, st.integers(0, 60))
def test_step_by_step_it_comes_as_far_and_each_step_drops_little(some: list[Unit], limit: int) -> None:
    left, floor, before = list(some), next_floor(some, limit), -1
    while gone := below(left, floor):
        assert before < floor <= limit
        assert not any(one.first < floor < one.end for one in left)
        # No smaller step would drop anything.
        assert not any(below(left, day) and reach(left, day) == day for day in range(before + 1, floor))
        left = [one for one in left if one not in gone]
        before, floor = floor, next_floor(left, limit)
    assert max(before, floor) == reach(some, limit)
    assert set(left) == set(some) - set(below(some, reach(some, limit)))


def test_partitions_and_sealed_months_are_units(engine: Engine) -> None:
    first = (datetime(2019, 5, 1, tzinfo=UTC).date() - EPOCH).days
    with engine.begin() as connection:
        months.add(connection, EPOCH + timedelta(days=first))
    Partitions(engine).ensure([first + 40])
    with engine.connect() as connection:
        year, month = units(connection)
    assert (year.tables, year.level, year.end - year.first) == (("samples_2019",), "rows", 365)
    assert month == Unit(("sealed_201905", "sealed_times_201905"), "sealed", first, first + 31)


def test_a_day_is_one_of_utc_whatever_zone_a_session_has() -> None:
    assert day_of(datetime(1970, 1, 3, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == 1
    assert day_of(None) is None
