"""Places: the rows that come after one, in either order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Engine, Integer, Select, Text, column, desc, select, values

from telemetry.store.models import Time
from telemetry.store.read.places import Order, Place

T0 = datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)
ROWS = [(T0 + timedelta(microseconds=micros), name, number) for micros, name, number in product((0, 1, 2), "ab", (1, 2))]
TABLE = values(column("time", Time), column("name", Text), column("number", Integer), name="listed").data(ROWS)


def listed(order: Order, after: Place | None = None) -> Select[Any]:
    time, name, number = TABLE.c
    rows = select(TABLE).order_by(time if order == "asc" else desc(time), name, number)
    return rows.where(after.passed_by(time, [name, number], order)) if after else rows


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_after_each_row_come_all_that_follow_it(engine: Engine, order: Order) -> None:
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(listed(order))]
        assert sorted(rows) == ROWS
        for position, (time, name, number) in enumerate(rows):
            after = connection.execute(listed(order, Place(time, (name, number))))
            assert [tuple(row) for row in after] == rows[position + 1 :]
