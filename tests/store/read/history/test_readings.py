"""The readings of one GPU: the same rows whatever the caller takes of them, and in steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Select

from telemetry.store.read import inventory
from telemetry.store.read.history import latest, readings
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.places import Order, Place
from tests.fixtures.fleet import T0

UTIL = "DCGM_FI_DEV_GPU_UTIL"


def rows(engine: Engine, statement: Select[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


@pytest.fixture
def gpu_id(engine: Engine, fleet: None) -> int:
    """The number of a GPU with 100 readings."""
    with engine.connect() as connection:
        number: int = connection.execute(inventory.gpu("GPU-a1")).one().gpu_id
        return number


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_rows_needed_are_the_first_of_all(engine: Engine, gpu_id: int, order: Order) -> None:
    asked = GpuReadings(gpu_id, "a1", order=order)
    whole = rows(engine, readings.readings(asked))
    assert len(whole) == 100
    assert whole == sorted(whole, key=lambda row: (row[0] if order == "asc" else T0 - row[0] + T0, row[2], row[6]))
    for limit, offset in ((1, 0), (7, 0), (7, 5), (200, 50)):
        page = readings.readings(asked, limit + offset).limit(limit).offset(offset)
        assert rows(engine, page) == whole[offset : offset + limit]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_goes_on_after_a_place(engine: Engine, gpu_id: int, order: Order) -> None:
    whole = rows(engine, readings.readings(GpuReadings(gpu_id, "a1", order=order)))
    for position in (0, 1, 50, 99):
        time, _, metric, *_, series = whole[position]
        asked = GpuReadings(gpu_id, "a1", order=order, after=Place(time, (metric, series)))
        assert rows(engine, readings.readings(asked, 200)) == whole[position + 1 :]


def test_a_span_includes_both_ends_and_metrics_narrow(engine: Engine, gpu_id: int) -> None:
    span = Span(T0 + timedelta(seconds=3), T0 + timedelta(seconds=5))
    asked = GpuReadings(gpu_id, "a1", span, (UTIL,))
    assert [(row[0], row[2], row[3]) for row in rows(engine, readings.readings(asked))] == [
        (T0 + timedelta(seconds=second), UTIL, second + 1.0) for second in (3, 4, 5)
    ]


def test_steps_begin_at_multiples_of_their_length(engine: Engine, gpu_id: int) -> None:
    asked = GpuReadings(gpu_id, "a1", metrics=(UTIL,))
    steps = rows(engine, readings.steps(asked, timedelta(seconds=30), "count"))
    # T0 is at 34 s: 26 seconds to the minute, then 24 more.
    start = T0 - timedelta(seconds=4)
    assert [(row[0], row[3]) for row in steps] == [(start, 26.0), (start + timedelta(seconds=30), 24.0)]


@pytest.mark.usefixtures("fleet")
def test_only_series_with_a_later_reading_are_newer(engine: Engine) -> None:
    series = rows(engine, latest.latest(SeriesFilter(host="b", metrics=(UTIL,)), timedelta(days=9999)))
    last = T0 + timedelta(seconds=49)
    numbers = [row[0] for row in series]
    assert {row[1] for row in series} == {last}
    seen = dict(zip(numbers, (last, last - timedelta(seconds=1)), strict=True))
    assert rows(engine, latest.newer(seen)) == [(numbers[1], last, 50.0, '{"pod": "p"}', '{"pod": "p"}')]
    assert rows(engine, latest.newer({})) == []
