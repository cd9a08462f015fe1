"""Writes samples: binary COPY built by NumPy, straight into the day's partition; through a staging table on a conflict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.store import partitions

# PostgreSQL counts timestamps in microseconds from 2000-01-01; its binary COPY format is in the manual, chapter COPY.
POSTGRES_EPOCH_US = 946_684_800_000_000
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COLUMNS = {"series_id": ">i8", "ts": ">i8", "value": ">f8"}
STAGED = {**COLUMNS, "batch": ">i4"}

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by class, an entry a batch."""

    stored: Ints
    duplicate: Ints
    conflict: Ints

    def same_as(self, other: Counts) -> Flags:
        """For which batches two agree."""
        same: Flags = (self.stored == other.stored) & (self.duplicate == other.duplicate) & (self.conflict == other.conflict)
        return same


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in (series, ts) order, each key once, with the number of the batch each came in.

    `expected` is what becomes of the rows of each batch if no key is stored yet.
    """

    series: Ints
    ts_us: Ints
    values: Floats
    batches: Ints
    expected: Counts

    def days(self) -> list[int]:
        """The days they fall on, counted from 1970-01-01."""
        return [int(day) for day in np.unique(self.ts_us // partitions.DAY_US)]


def arrange(parts: Sequence[tuple[Ints, Ints, Floats]]) -> Samples:
    """Bring the rows (series, ts, value) of some batches into (series, ts) order, and keep the first of each key."""
    series, ts_us, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    batches = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    order = np.lexsort((ts_us, series))
    series, ts_us, values, batches = series[order], ts_us[order], values[order], batches[order]
    first = np.ones(len(series), np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (ts_us[1:] != ts_us[:-1])
    same = ~first & (values == values[first][np.cumsum(first) - 1])
    expected = Counts(*(np.bincount(batches[rows], minlength=len(parts)) for rows in (first, same, ~first & ~same)))
    return Samples(series[first], ts_us[first], values[first], batches[first], expected)


def write(connection: psycopg.Connection, samples: Samples) -> Counts:
    """Store samples inside the caller's transaction; what became of each batch's rows. Their partitions are there already."""
    days = samples.ts_us // partitions.DAY_US
    same, other = (np.zeros_like(samples.expected.stored) for _ in range(2))
    for day in samples.days():
        rows = days == day
        columns = {
            "series_id": samples.series[rows],
            "ts": samples.ts_us[rows] - POSTGRES_EPOCH_US,
            "value": samples.values[rows],
        }
        table = partitions.name(day)
        try:
            with connection.transaction():
                _copy(connection, table, _binary(COLUMNS, columns))
        except psycopg.errors.UniqueViolation:
            for batch, equal, unequal in _stage(connection, table, {**columns, "batch": samples.batches[rows]}):
                same[batch] += equal
                other[batch] += unequal
    expected = samples.expected
    return Counts(expected.stored - same - other, expected.duplicate + same, expected.conflict + other)


def _binary(kinds: dict[str, str], columns: dict[str, NDArray[np.generic]]) -> bytes:
    fields = [("fields", ">i2")]
    for name, kind in kinds.items():
        fields += [(f"{name}_size", ">i4"), (name, kind)]
    rows = np.empty(len(columns["ts"]), fields)
    rows["fields"] = len(kinds)
    for name, kind in kinds.items():
        rows[f"{name}_size"] = np.dtype(kind).itemsize
        rows[name] = columns[name]
    return COPY_HEADER + rows.tobytes() + COPY_TRAILER


def _copy(connection: psycopg.Connection, table: str, rows: bytes, columns: str = "series_id, ts, value") -> None:
    statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows)


def _stage(connection: psycopg.Connection, table: str, columns: dict[str, NDArray[np.generic]]) -> list[tuple[int, int, int]]:
    """Insert what is not there yet: of each batch, rows that were there with the same value, and with another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS staging (series_id bigint, ts timestamptz, value double precision, batch integer)"
            " ON COMMIT DELETE ROWS"
        )
        cursor.execute("TRUNCATE staging")
        _copy(connection, "staging", _binary(STAGED, columns), "series_id, ts, value, batch")
        cursor.execute(
            f"WITH new AS (INSERT INTO {table} SELECT series_id, ts, value FROM staging ORDER BY series_id, ts"  # noqa: S608
            " ON CONFLICT DO NOTHING RETURNING series_id, ts)"
            " DELETE FROM staging s USING new WHERE (new.series_id, new.ts) = (s.series_id, s.ts)".encode()
        )
        cursor.execute(
            "SELECT s.batch, count(*) FILTER (WHERE t.value = s.value), count(*) FILTER (WHERE t.value <> s.value)"  # noqa: S608
            f" FROM staging s JOIN {table} t USING (series_id, ts) GROUP BY s.batch".encode()
        )
        found: list[tuple[int, int, int]] = cursor.fetchall()
    return found
