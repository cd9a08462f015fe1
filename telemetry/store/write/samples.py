"""Writes samples: binary COPY built by NumPy, straight into the partition of its time.

Where a key is stored already, the rows of that partition go through a staging table instead, and are counted as duplicates or
conflicts by what is stored; those in conflict are kept by `conflicts`. Samples of sealed days are `late`'s. Partitions are made
by `telemetry.store.partitions`, ids come from `series_ids`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store import partitions
from telemetry.store.floor import NO_FLOOR_US
from telemetry.store.sealed_rows import EPOCH_US, HEADER, TRAILER
from telemetry.store.write import conflicts, contents, late, tallies
from telemetry.store.write.conflicts import Origin

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
class Later:
    """Readings whose key an earlier reading of the same group has, with the number of the batch each came in."""

    series: Int64s
    ts_us: Int64s
    values: Float64s
    batches: Int64s
    is_same: Bools

    def of_days(self, days: Sequence[int]) -> Later:
        """Those of some days, counted from 1970-01-01."""
        rows = np.isin(self.ts_us // partitions.DAY_US, days)
        return Later(self.series[rows], self.ts_us[rows], self.values[rows], self.batches[rows], self.is_same[rows])


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in (series, ts) order, each key once, with the number of the batch each came in, and those that came later.

    `expected` is what becomes of the rows of each batch if no key is stored yet, `tally` how many are stored then by the hour.
    `expired` and `digests` have an entry a batch: how many of its readings are below the floor and left out, and the digest of
    all of them.
    """

    series: Int64s
    ts_us: Int64s
    values: Float64s
    batches: Int64s
    later: Later
    expected: Counts
    expired: Int64s
    digests: list[int]
    tally: tallies.Tally

    def days(self) -> list[int]:
        """The days they fall on, counted from 1970-01-01."""
        return sorted({hour // 24 for hour in self.tally.hours})


def arrange(parts: Sequence[tuple[Int64s, Int64s, Float64s]], floor_us: int = NO_FLOOR_US) -> Samples:
    """Bring the rows (series, ts, value) of some batches into (series, ts) order, and keep the first of each key apart.

    Rows of before the floor are counted, and left out.
    """
    digests = [contents.digest(*part) for part in parts]
    series, ts_us, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    batches = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    kept = ts_us >= floor_us
    expired = np.bincount(batches[~kept], minlength=len(parts))
    if expired.any():
        series, ts_us, values, batches = series[kept], ts_us[kept], values[kept], batches[kept]
    order = np.lexsort((ts_us, series))
    series, ts_us, values, batches = series[order], ts_us[order], values[order], batches[order]
    first = np.ones(len(series), np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (ts_us[1:] != ts_us[:-1])
    same = ~first & (values == values[first][np.cumsum(first) - 1])
    expected = Counts(*(np.bincount(batches[rows], minlength=len(parts)) for rows in (first, same, ~first & ~same)))
    later = Later(series[~first], ts_us[~first], values[~first], batches[~first], same[~first])
    series, ts_us, values, batches = series[first], ts_us[first], values[first], batches[first]
    return Samples(series, ts_us, values, batches, later, expected, expired, digests, tallies.of(ts_us))


def write(connection: psycopg.Connection, samples: Samples, tables: Mapping[int, str], origins: Sequence[Origin]) -> Counts:
    """Store samples inside the caller's transaction, and keep those in conflict. Returns the rows of each batch by class.

    `tables`: the partition of each of their days. `origins` has an entry a batch.
    """
    days = samples.ts_us // partitions.DAY_US
    counts = [column.copy() for column in (samples.expected.stored, samples.expected.duplicate, samples.expected.conflict)]
    of_table: dict[str, list[int]] = {}
    for day, table in tables.items():
        of_table.setdefault(table, []).append(day)
    # All take their locks in one order: that of time, and sealed days last.
    for table, its_days in sorted(of_table.items(), key=lambda item: item[0] == partitions.LATE):
        rows = np.isin(days, its_days) if len(of_table) > 1 else np.ones(len(days), np.bool_)
        columns = _columns(samples.series[rows], samples.ts_us[rows], samples.values[rows])
        later = samples.later.of_days(its_days)
        if table == partitions.LATE:
            _empty(connection)
            _copy(connection, "staging", STAGED, {**columns, "batch": samples.batches[rows]})
            late.insert_staged(connection, samples.series[rows], samples.ts_us[rows])
            tallies.take_back_staged(connection)
            _stage_later(connection, later)
            late.find_stored(connection)
            _settle(connection, late.STORED, later, counts)
            conflicts.keep(connection, late.STORED, origins)
            continue
        try:
            with connection.transaction():
                _copy(connection, table, COLUMNS, columns)
        except psycopg.errors.UniqueViolation:
            _empty(connection)
            _copy(connection, "staging", STAGED, {**columns, "batch": samples.batches[rows]})
            _insert_staged(connection, table)
            tallies.take_back_staged(connection)
            _stage_later(connection, later)
            _settle(connection, table, later, counts)
            conflicts.keep(connection, table, origins)
        else:
            if not later.is_same.all():
                _empty(connection)
                _stage_later(connection, later)
                conflicts.keep(connection, table, origins)
    return Counts(*counts)


def _settle(connection: psycopg.Connection, table: str, later: Later, counts: list[Int64s]) -> None:
    """Correct the counts of a partition some of whose keys were stored already: what is staged now was not stored."""
    stored, duplicate, conflict = counts
    # Those that came later are judged anew, by what is stored.
    stored += np.bincount(later.batches, minlength=len(stored))
    duplicate -= np.bincount(later.batches[later.is_same], minlength=len(stored))
    conflict -= np.bincount(later.batches[~later.is_same], minlength=len(stored))
    for batch, same, different in _judged(connection, table):
        stored[batch] -= same + different
        duplicate[batch] += same
        conflict[batch] += different


def _columns(series: Int64s, ts_us: Int64s, values: Float64s) -> dict[str, NDArray[np.generic]]:
    return {"series_id": series, "ts": ts_us - EPOCH_US, "value": values}


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
    return HEADER + rows.tobytes() + TRAILER


def _copy(connection: psycopg.Connection, table: str, kinds: dict[str, str], columns: dict[str, NDArray[np.generic]]) -> None:
    rows, names = _binary(kinds, columns), ", ".join(kinds)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)".encode()) as copy:
        copy.write(rows)


def _stage_later(connection: psycopg.Connection, later: Later) -> None:
    """Put rows that came later beside those that are staged."""
    if len(later.batches):
        columns = {**_columns(later.series, later.ts_us, later.values), "batch": later.batches}
        _copy(connection, "staging", STAGED, columns)


def _empty(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS staging (series_id bigint, ts timestamptz, value double precision, batch integer)"
        " ON COMMIT DELETE ROWS"
    )
    connection.execute("TRUNCATE staging")


def _insert_staged(connection: psycopg.Connection, table: str) -> None:
    """Store the staged rows whose key is new. The others stay staged."""
    connection.execute(
        f"WITH new AS (INSERT INTO {table} SELECT series_id, ts, value FROM staging ORDER BY series_id, ts"  # noqa: S608
        " ON CONFLICT DO NOTHING RETURNING series_id, ts)"
        " DELETE FROM staging s USING new WHERE (new.series_id, new.ts) = (s.series_id, s.ts)".encode()
    )


def _judged(connection: psycopg.Connection, table: str) -> list[tuple[int, int, int]]:
    """Of the staged rows of each batch: how many have the stored value, and how many another."""
    rows: list[tuple[int, int, int]] = connection.execute(
        "SELECT s.batch, count(*) FILTER (WHERE t.value = s.value), count(*) FILTER (WHERE t.value <> s.value)"  # noqa: S608
        f" FROM staging s JOIN {table} t USING (series_id, ts) GROUP BY s.batch".encode()
    ).fetchall()
    return rows
