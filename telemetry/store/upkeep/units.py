"""What of the samples can be dropped at once, and how far the floor of retention can rise: decisions, and one look.

The floor never rises into a unit, and all that is below it is dropped. So it rises by days as long as those are rows, and by
months where days are sealed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text

from telemetry.store.partitions import existing

EPOCH = date(1970, 1, 1)
SEALED_MONTHS = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'sealed'::regclass")
NAME = re.compile(r"sealed_\d{6}")


class Unit(NamedTuple):
    """Tables that are dropped together, in which form they have samples, and of which days [first, end), counted from 1970."""

    tables: tuple[str, ...]
    level: Literal["rows", "sealed"]
    first: int
    end: int


def units(connection: Connection) -> list[Unit]:
    """The partitions of rows, also those that are being sealed, and the months of sealed days, in order of time."""
    rows = [Unit((span.table,), "rows", span.first, span.end) for span in existing(connection)]
    sealed = [_month(name) for name in connection.scalars(SEALED_MONTHS) if NAME.fullmatch(name)]
    return sorted([*rows, *sealed], key=lambda unit: (unit.first, unit.end))


def reach(units: Sequence[Unit], limit: int) -> int:
    """The latest day, `limit` at most, that lies within no unit."""
    day = limit
    while within := [unit.first for unit in units if unit.first < day < unit.end]:
        day = min(within)
    return day


def next_floor(units: Sequence[Unit], limit: int) -> int:
    """The day to which the floor rises next, so that as little as possible is dropped at once; at last `reach`."""
    ends = sorted({unit.end for unit in units if unit.end <= limit})
    return next((end for end in ends if reach(units, end) == end), reach(units, limit))


def below(units: Sequence[Unit], floor: int) -> list[Unit]:
    """The units that lie below a floor."""
    return [unit for unit in units if unit.end <= floor]


def day_of(moment: datetime | None) -> int | None:
    """The day that begins at a time, counted from 1970; None for none."""
    return None if moment is None else (moment.astimezone(UTC).date() - EPOCH).days


def date_of(day: int) -> date:
    """A day that is counted from 1970."""
    return EPOCH + timedelta(days=day)


def _month(name: str) -> Unit:
    first = date(int(name[-6:-2]), int(name[-2:]), 1)
    following = (first + timedelta(days=31)).replace(day=1)
    tables = (name, name.replace("sealed_", "sealed_times_"))
    return Unit(tables, "sealed", (first - EPOCH).days, (following - EPOCH).days)
