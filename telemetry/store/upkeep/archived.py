"""Which days are archived and verified, as the database knows it, and how far retention may go by that.

A row of `archived_days` says that the archive had all samples of a day. It is told to be so by whoever compared the two, in the
transaction that read the day. As samples are only added to a day, it holds for as long as there are as many. Whoever drops
samples forgets it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.store.upkeep.units import EPOCH, Unit, date_of

RECORD = text("""
    INSERT INTO archived_days (day, place, samples, series, digest) VALUES (:day, :place, :samples, :series, :digest)
    ON CONFLICT (day, place) DO UPDATE
    SET samples = excluded.samples, series = excluded.series, digest = excluded.digest, verified_at = excluded.verified_at
""")
FORGET = text("DELETE FROM archived_days WHERE day = :day AND place = :place")
HAS_ROWS = "SELECT EXISTS (SELECT FROM {})"
# What is late counts too: it goes with its day.
NOT_ARCHIVED = """
    SELECT min(day) FROM (
        SELECT day, sum(number) AS samples FROM (
            SELECT day, n AS number FROM {table} UNION ALL SELECT (ts AT TIME ZONE 'UTC')::date, 1 FROM late
            WHERE ts >= CAST(:first AS timestamp) AT TIME ZONE 'UTC' AND ts < CAST(:end AS timestamp) AT TIME ZONE 'UTC'
        ) AS parts GROUP BY day
    ) AS d WHERE NOT EXISTS (SELECT FROM archived_days a WHERE a.day = d.day AND a.samples = d.samples)
"""
# Of a month that somebody dropped, before it is made again.
NOT_ARCHIVED_LATE = text("""
    SELECT min(day) FROM (SELECT (ts AT TIME ZONE 'UTC')::date AS day, count(*) AS samples FROM late GROUP BY 1) AS d
    WHERE to_regclass('sealed_' || to_char(day, 'YYYYMM')) IS NULL
        AND NOT EXISTS (SELECT FROM archived_days a WHERE a.day = d.day AND a.samples = d.samples)
""")
LATE = text("SELECT count(*) FROM late WHERE ts < CAST(:day AS timestamp) AT TIME ZONE 'UTC'")


class Archived(NamedTuple):
    """A day of the archive: how many samples and series, and the digest of them."""

    day: date
    samples: int
    series: int
    digest: str


def record(connection: Connection, place: str, archived: Archived) -> None:
    """Write down that a place has a day, in the transaction that has compared the two."""
    connection.execute(RECORD, {"place": place, **archived._asdict()})


def forget(connection: Connection, place: str, day: date) -> None:
    """A place does not have a day, or not as it stands."""
    connection.execute(FORGET, {"place": place, "day": day})


def first_missing(connection: Connection, parts: Sequence[Unit], limit: int) -> int | None:
    """The first day, counted from 1970 and before `limit`, that has samples and is not archived. None if there is none."""
    days = [day for unit in parts if unit.first < limit and (day := _first_missing(connection, unit)) is not None]
    late_day = _number(connection.scalar(NOT_ARCHIVED_LATE))
    return min((day for day in [*days[:1], late_day] if day is not None and day < limit), default=None)


def _first_missing(connection: Connection, unit: Unit) -> int | None:
    (table, *_) = unit.tables
    if unit.level == "rows":
        return unit.first if connection.scalar(text(HAS_ROWS.format(table))) else None
    ends = {"first": date_of(unit.first), "end": date_of(unit.end)}
    return _number(connection.scalar(text(NOT_ARCHIVED.format(table=table)), ends))


def late(connection: Connection, day: int) -> int:
    """How many samples that came late are of before a day, counted from 1970."""
    return int(connection.execute(LATE, {"day": date_of(day)}).scalar_one())


def still_holds(connection: Connection, gone: Iterable[Unit], day: int, late_before: int) -> bool:
    """Whether nothing was added to what was archived, below a day, while nobody could seal. All others must be kept out."""
    return late(connection, day) == late_before and not any(
        connection.scalar(text(HAS_ROWS.format(unit.tables[0]))) for unit in gone if unit.level == "rows"
    )


def _number(day: date | None) -> int | None:
    return None if day is None else (day - EPOCH).days
