"""Partitions of `samples`: one a day (UTC), made before the rows that need it.

A partition is created, then attached: attaching takes a lighter lock on `samples` than CREATE … PARTITION OF, which
would wait for, and block, every query that is reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

# As many as are made in half a second: what is made stays, whatever becomes of the rest.
SLICE = 50
DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Any number, the same for every process of this project: the key of the lock under which partitions are made.
PARTITION_LOCK = 7_402_113_996
THERE = text("SELECT name FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NOT NULL")


def name(day: int) -> str:
    """The table that holds the samples of a day, counted from 1970-01-01."""
    return f"samples_{EPOCH + timedelta(days=day):%Y%m%d}"


class Partitions:
    """The partitions this process knows to be there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: set[int] = set()

    def forget(self) -> None:
        """Look again at the next use: another connection may see another database."""
        self._known.clear()

    def ensure(self, days: Iterable[int]) -> None:
        """See that the partitions of some days are there. Commits in transactions of its own."""
        missing = sorted(set(days) - self._known)
        for first in range(0, len(missing), SLICE):
            some = missing[first : first + SLICE]
            with self._engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})
                there = set(connection.scalars(THERE, {"tables": [name(day) for day in some]}))
                for day in some:
                    if name(day) not in there:
                        _make(connection, day)
            self._known.update(some)


def _make(connection: Connection, day: int) -> None:
    start = EPOCH + timedelta(days=day)
    end = start + timedelta(days=1)
    connection.execute(text(f"CREATE TABLE {name(day)} (LIKE samples INCLUDING ALL)"))
    connection.execute(
        text(
            f"ALTER TABLE samples ATTACH PARTITION {name(day)} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        )
    )
