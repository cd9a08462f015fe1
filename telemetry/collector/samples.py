"""Writes samples: binary COPY built by NumPy, straight into the day's partition; through a staging table on a conflict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.store import partitions

# PostgreSQL counts timestamps in microseconds from 2000-01-01; its binary COPY format is in the manual, chapter COPY.
POSTGRES_EPOCH_US = 946_684_800_000_000
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("series_size", ">i4"),
        ("series", ">i8"),
        ("ts_size", ">i4"),
        ("ts", ">i8"),
        ("value_size", ">i4"),
        ("value", ">f8"),
    ]
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in (series, ts) order, each key once; and how many further rows said the same or something else."""

    series: Ints
    ts_us: Ints
    values: Floats
    duplicate: int
    conflict: int

    def days(self) -> list[int]:
        """The days they fall on, counted from 1970-01-01."""
        return [int(day) for day in np.unique(self.ts_us // partitions.DAY_US)]


@dataclass(frozen=True, slots=True)
class Written:
    """Rows by class."""

    stored: int
    duplicate: int
    conflict: int


def arrange(series: Ints, ts_us: Ints, values: Floats) -> Samples:
    """Bring rows into (series, ts) order and keep the first of each key."""
    order = np.lexsort((ts_us, series))
    series, ts_us, values = series[order], ts_us[order], values[order]
    first = np.ones(len(series), np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (ts_us[1:] != ts_us[:-1])
    kept = values[first][np.cumsum(first) - 1]
    same = int((~first & (values == kept)).sum())
    return Samples(series[first], ts_us[first], values[first], same, int((~first).sum()) - same)


def write(connection: psycopg.Connection, samples: Samples) -> Written:
    """Store samples inside the caller's transaction. Their partitions are there already."""
    days = samples.ts_us // partitions.DAY_US
    stored, duplicate, conflict = 0, samples.duplicate, samples.conflict
    for day in samples.days():
        of_day = days == day
        rows = _rows(samples.series[of_day], samples.ts_us[of_day], samples.values[of_day])
        table = partitions.name(day)
        try:
            with connection.transaction():
                _copy(connection, table, rows)
            stored += len(rows)
        except psycopg.errors.UniqueViolation:
            inserted, equal = _stage(connection, table, rows)
            stored += inserted
            duplicate += equal - inserted
            conflict += len(rows) - equal
    return Written(stored, duplicate, conflict)


def _rows(series: Ints, ts_us: Ints, values: Floats) -> NDArray[np.void]:
    rows = np.empty(len(series), ROW)
    rows["fields"] = 3
    rows["series_size"] = rows["ts_size"] = rows["value_size"] = 8
    rows["series"], rows["ts"], rows["value"] = series, ts_us - POSTGRES_EPOCH_US, values
    return rows


def _copy(connection: psycopg.Connection, table: str, rows: NDArray[np.void]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} (series_id, ts, value) FROM STDIN (FORMAT binary)".encode()) as copy,
    ):
        copy.write(COPY_HEADER + rows.tobytes() + COPY_TRAILER)


def _stage(connection: psycopg.Connection, table: str, rows: NDArray[np.void]) -> tuple[int, int]:
    """Insert what is not there yet: rows inserted, and rows whose stored value is the same (those inserted included)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS staging (series_id bigint, ts timestamptz, value double precision)"
            " ON COMMIT DELETE ROWS"
        )
        cursor.execute("TRUNCATE staging")
        _copy(connection, "staging", rows)
        cursor.execute(
            f"INSERT INTO {table} SELECT series_id, ts, value FROM staging ORDER BY series_id, ts"  # noqa: S608
            " ON CONFLICT DO NOTHING".encode()
        )
        inserted = cursor.rowcount
        cursor.execute(
            f"SELECT count(*) FROM staging JOIN {table} AS t USING (series_id, ts) WHERE t.value = staging.value".encode()  # noqa: S608
        )
        row = cursor.fetchone()
        assert row is not None, "count(*) always returns a row"  # noqa: S101
        return inserted, int(row[0])
