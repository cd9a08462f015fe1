"""Writes samples: binary COPY built by NumPy, straight into the partition of its time.

Where a key is stored already, the rows of that partition go through a staging table instead, and are counted as duplicates or
conflicts. Partitions are made by `telemetry.store.partitions`, ids come from `series_ids`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store import partitions

# PostgreSQL counts timestamps in microseconds from 2000-01-01; its binary COPY format is in the manual, chapter COPY.
POSTGRES_EPOCH_US = 946_684_800_000_000
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COLUMNS = {"series_id": ">i8", "ts": ">i8", "value": ">f8"}
STAGED = {**COLUMNS, "batch": ">i4"}


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by class, an entry a batch."""

    stored: Int64s
    duplicate: Int64s
    conflict: Int64s

    def same_as(self, other: Counts) -> Bools:
        """For which batches two agree."""
        same: Bools = (self.stored == other.stored) & (self.duplicate == other.duplicate) & (self.conflict == other.conflict)
        return same


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in (series, ts) order, each key once, with the number of the batch each came in.

    `expected` is what becomes of the rows of each batch if no key is stored yet.
    """

    series: Int64s
    ts_us: Int64s
    values: Float64s
    batches: Int64s
    expected: Counts

    def days(self) -> list[int]:
        """The days they fall on, counted from 1970-01-01."""
        return [int(day) for day in np.unique(self.ts_us // partitions.DAY_US)]


def arrange(parts: Sequence[tuple[Int64s, Int64s, Float64s]]) -> Samples:
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


def write(connection: psycopg.Connection, samples: Samples, tables: Mapping[int, str]) -> Counts:
    """Store samples inside the caller's transaction. Returns the rows of each batch by class.

    `tables`: the partition of each of their days.
    """
    days = samples.ts_us // partitions.DAY_US
    duplicate, conflict = (np.zeros_like(samples.expected.stored) for _ in range(2))
    of_table: dict[str, list[int]] = {}
    for day in samples.days():
        of_table.setdefault(tables[day], []).append(day)
    for table, its_days in of_table.items():
        rows = np.isin(days, its_days) if len(of_table) > 1 else np.ones(len(days), np.bool_)
        columns: dict[str, NDArray[np.generic]] = {
            "series_id": samples.series[rows],
            "ts": samples.ts_us[rows] - POSTGRES_EPOCH_US,
            "value": samples.values[rows],
        }
        try:
            with connection.transaction():
                _copy(connection, table, _binary(COLUMNS, columns))
        except psycopg.errors.UniqueViolation:
            for batch, same, different in _stage(connection, table, {**columns, "batch": samples.batches[rows]}):
                duplicate[batch] += same
                conflict[batch] += different
    expected = samples.expected
    return Counts(expected.stored - duplicate - conflict, expected.duplicate + duplicate, expected.conflict + conflict)


def _binary(kinds: dict[str, str], columns: dict[str, NDArray[np.generic]]) -> bytes:
    """Rows in the format of a binary COPY: a count of fields, then each field's size and value, all big-endian."""
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
    """Insert the rows whose key is new. Of the others, returns (batch, rows with the stored value, rows with another)."""
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
        rows: list[tuple[int, int, int]] = cursor.fetchall()
    return rows
