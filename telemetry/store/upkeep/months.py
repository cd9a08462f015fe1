"""The partitions of sealed days, by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import Connection, text

from telemetry.store.packing import COLUMNS

# ANALYZE would count the elements of all arrays, for hours. How many an array has it learns from the times.
STATISTICS = {"sealed_times": {"times": 1}, "sealed": dict.fromkeys((*COLUMNS, "hours"), 0)}


def between(first: date, end: date) -> Iterator[date]:
    """The first days of the months that have a day in [first, end)."""
    month = first.replace(day=1)
    while month < end:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)


def add(connection: Connection, month: date) -> None:
    """Make the partitions of a month of sealed days, if there are none. They are attached: see `partitions`."""
    following = (month + timedelta(days=31)).replace(day=1)
    for parent in ("sealed_times", "sealed"):
        table = f"{parent}_{month:%Y%m}"
        if not connection.scalar(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}):
            connection.execute(text(f"CREATE TABLE {table} (LIKE {parent} INCLUDING ALL)"))
            for column, target in STATISTICS[parent].items():
                connection.execute(text(f"ALTER TABLE {table} ALTER {column} SET STATISTICS {target}"))
            bounds = f"FOR VALUES FROM ('{month}') TO ('{following}')"
            connection.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {table} {bounds}"))
