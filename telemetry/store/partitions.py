"""Partitions of `samples`: one a day (UTC), made before the rows that need it.

A partition is created, then attached. Attaching takes a SHARE UPDATE EXCLUSIVE lock on `samples`; CREATE … PARTITION OF takes
ACCESS EXCLUSIVE, and would wait for and block every query (PostgreSQL manual, ALTER TABLE, ATTACH PARTITION).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

# Partitions made in one transaction, which takes about half a second. They stay, whatever happens to later ones.
SLICE = 50
DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The key of the lock under which partitions are made: any number that no other lock of this project has.
PARTITION_LOCK = 7_402_113_996
EXISTING = text("SELECT name FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NOT NULL")


def name(day: int) -> str:
    """The table that holds the samples of a day, counted from 1970-01-01."""
    return f"samples_{EPOCH + timedelta(days=day):%Y%m%d}"


class Partitions:
    """The partitions that this process knows to exist."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._existing_days: set[int] = set()

    def forget(self) -> None:
        """Ask again at the next use: a renewed connection may lead to another database."""
        self._existing_days.clear()

    def ensure(self, days: Iterable[int]) -> None:
        """Make the partitions of these days that do not exist, in transactions of its own."""
        missing = sorted(set(days) - self._existing_days)
        for first in range(0, len(missing), SLICE):
            part = missing[first : first + SLICE]
            with self._engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})
                existing = set(connection.scalars(EXISTING, {"tables": [name(day) for day in part]}))
                for day in part:
                    if name(day) not in existing:
                        _make(connection, day)
            self._existing_days.update(part)


def _make(connection: Connection, day: int) -> None:
    start = EPOCH + timedelta(days=day)
    end = start + timedelta(days=1)
    connection.execute(text(f"CREATE TABLE {name(day)} (LIKE samples INCLUDING ALL)"))
    connection.execute(
        text(
            f"ALTER TABLE samples ATTACH PARTITION {name(day)} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        )
    )
