"""Rows of sealed days between Postgres and NumPy: samples to arrays by COPY, and arrays to samples.

What an array means is `packing`'s. Which samples are sealed, and when, is decided in `telemetry.store.upkeep`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from telemetry.readings.arrays import Bools, Float64s, Int64s
from telemetry.store.hours import summed
from telemetry.store.packing import COLUMNS, Packed, pack, unpack
from telemetry.store.partitions import DAY_US

# PostgreSQL counts timestamps in microseconds, and dates in days, from 2000-01-01. Its binary formats: manual, chapter COPY,
# and array_send() in src/backend/utils/adt/arrayfuncs.c.
EPOCH = date(2000, 1, 1)
EPOCH_US = 946_684_800_000_000
EPOCH_DAY = EPOCH_US // DAY_US
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
# Type oids of elements and of arrays of them (src/include/catalog/pg_type.dat).
FLOAT = 701
ELEMENTS = {"low": 21, "middle": 21, "high": 23, "floats": FLOAT}
TIMESTAMPTZ = 1184
ARRAYS: Mapping[int, np.dtype[np.generic]] = {
    1005: np.dtype(np.int16),
    1007: np.dtype(np.int32),
    1022: np.dtype(np.float64),
    1185: np.dtype(np.int64),
}
SAMPLE = np.dtype(
    [("fields", ">i2"), ("n1", ">i4"), ("series", ">i8"), ("n2", ">i4"), ("ts", ">i8"), ("n3", ">i4"), ("value", ">f8")]
)
NAMES = ("series_id", "day", "n", "times_id", "divisor", *COLUMNS, "hours")
ROWS_OF = """
    SELECT s.series_id, s.day, s.times_id, s.divisor, s.low, s.middle, s.high, s.floats, s.hours
    FROM sealed s JOIN unnest(%s::bigint[], %s::date[]) AS k (series_id, day) USING (series_id, day)
    WHERE day >= %s AND day <= %s
"""
ROWS_IN = """
    SELECT series_id, day, times_id, divisor, low, middle, high, floats, NULL::float8[] FROM sealed
    WHERE series_id = ANY(%s::bigint[]) AND day >= %s AND day < %s ORDER BY series_id, day
"""
TIMES_OF = """
    SELECT t.day, t.id, t.times FROM sealed_times t
    JOIN (SELECT DISTINCT day, id FROM unnest(%s::date[], %s::bigint[]) AS k (day, id)) AS k USING (day, id)
    WHERE day >= %s AND day <= %s
"""


class Samples(NamedTuple):
    """Samples in (series, ts) order; times in microseconds from 1970."""

    series: Int64s
    ts_us: Int64s
    values: Float64s

    def taken(self, places: Int64s | Bools | slice) -> Samples:
        """Some of them."""
        return Samples(self.series[places], self.ts_us[places], self.values[places])


class SealedRow(NamedTuple):
    """A row of `sealed`, with its times: their `times_id`, and all samples of the series on the day; its `hours`, if it has."""

    series: int
    day: date
    times_id: int
    ts_us: Int64s
    values: Float64s
    hours: Float64s | None = None


class Encoded(NamedTuple):
    """Rows for a COPY, of the columns NAMES and of `sealed_times`, and how many of the former there are."""

    rows: bytes
    times: bytes
    number: int


def copied(connection: psycopg.Connection, query: str) -> Samples:
    """The samples that a query gives as (series_id, ts, value), in order. Series id and time come once, or the first counts."""
    return ordered(_samples(copied_rows(connection, query, SAMPLE)))


def copied_in_pieces(connection: psycopg.Connection, query: str, most: int) -> Generator[Samples]:
    """The same in pieces of so many, each of them in order. Until the last of them the connection does nothing else."""
    size = most * SAMPLE.itemsize
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()) as copy:
        data, begin = bytearray(), len(HEADER)
        for block in copy:
            data += block
            if len(data) >= begin + size + len(TRAILER):
                yield ordered(_samples(np.frombuffer(data, SAMPLE, most, begin)))
                data, begin = data[begin + size :], 0
    if left := (len(data) - begin) // SAMPLE.itemsize:
        yield ordered(_samples(np.frombuffer(data, SAMPLE, left, begin)))


def copied_rows(connection: psycopg.Connection, query: str, row: np.dtype[np.void]) -> NDArray[np.void]:
    """The rows that a query gives, each of the layout of a COPY's row, whose fields have one length in all of them."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()) as copy:
        data = bytearray()
        # One buffer: a row as the driver gives it takes three times its size.
        for block in copy:
            data += block
    return np.frombuffer(data, row, (len(data) - len(HEADER) - len(TRAILER)) // row.itemsize, len(HEADER))


def _samples(table: NDArray[np.void]) -> Samples:
    columns = table["series"].astype(np.int64), table["ts"].astype(np.int64) + EPOCH_US, table["value"].astype(np.float64)
    return Samples(*columns)


def ordered(samples: Samples) -> Samples:
    """In (series, ts) order, and of each key the first."""
    order = np.lexsort((samples.ts_us, samples.series))
    series, ts_us, values = samples.series[order], samples.ts_us[order], samples.values[order]
    first = np.ones(len(series), np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (ts_us[1:] != ts_us[:-1])
    return Samples(series[first], ts_us[first], values[first])


def encode(samples: Samples) -> Encoded:
    """Arrays of ordered samples, a row a series and day. Series that were read at the same times share them."""
    days = samples.ts_us // DAY_US
    starts = np.flatnonzero(np.diff(samples.series, prepend=-1) | np.diff(days, prepend=-1)) if len(days) else days
    rows, times = [HEADER], dict[tuple[int, int], bytes]()
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(days)], strict=True):
        at, day = samples.ts_us[start:end] - EPOCH_US, int(days[start])
        digest = int.from_bytes(hashlib.blake2b(at.tobytes(), digest_size=8).digest(), signed=True)
        if (day, digest) not in times:
            fields = struct.pack(">hiiiq", 3, 4, day - EPOCH_DAY, 8, digest)
            times[day, digest] = fields + _array(at, TIMESTAMPTZ)
        packed = pack(samples.values[start:end])
        head = (len(NAMES), 8, int(samples.series[start]), 4, day - EPOCH_DAY, 4, end - start, 8, digest, 8, packed.divisor)
        arrays = (_array(packed.arrays[name], ELEMENTS[name]) if name in packed.arrays else NULL for name in COLUMNS)
        hours = summed(samples.ts_us[start:end], samples.values[start:end])
        rows += [struct.pack(">hiqiiiiiqid", *head), *arrays, NULL if hours is None else _array(hours, FLOAT)]
    return Encoded(b"".join([*rows, TRAILER]), b"".join([HEADER, *times.values(), TRAILER]), len(starts))


def write(connection: psycopg.Connection, encoded: Encoded, table: str) -> None:
    """Put rows into a table like `sealed`, and their times where they belong.

    Raises psycopg.errors.RaiseException if other times have the same digest.
    """
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS new_times (LIKE sealed_times) ON COMMIT DELETE ROWS")
    connection.execute("TRUNCATE new_times")
    _copy(connection, "new_times (day, id, times)", encoded.times)
    connection.execute("INSERT INTO sealed_times SELECT * FROM new_times ORDER BY day, id ON CONFLICT DO NOTHING")
    clash = connection.execute("SELECT FROM new_times n JOIN sealed_times t USING (day, id) WHERE n.times <> t.times LIMIT 1")
    if clash.fetchone() is not None:
        raise psycopg.errors.RaiseException("two lists of times have one digest, so this day cannot be sealed")
    _copy(connection, f"{table} ({', '.join(NAMES)})", encoded.rows)


def fetch(connection: psycopg.Connection, series: Sequence[int], days: Sequence[date]) -> list[SealedRow]:
    """The rows of some keys, each a series and a day; a key without a row has none.

    Two statements read them. The caller sees to it that no sealing comes in between.
    """
    return _fetched(connection, ROWS_OF, (series, days, min(days), max(days))) if days else []


def fetch_days(connection: psycopg.Connection, series: Sequence[int], first: date, end: date) -> list[SealedRow]:
    """The rows of some series on the days [first, end), in order. The same holds."""
    return _fetched(connection, ROWS_IN, (series, first, end))


def _fetched(connection: psycopg.Connection, query: str, parameters: Sequence[Any]) -> list[SealedRow]:
    with arrays_cursor(connection) as cursor:
        rows = cursor.execute(query.encode(), parameters).fetchall()
        if not rows:
            return []
        of_rows = [row[1] for row in rows]
        # The bounds keep partitions of other months from being read.
        cursor.execute(TIMES_OF, (of_rows, [row[2] for row in rows], min(of_rows), max(of_rows)))
        times = {(day, number): at.astype(np.int64) + EPOCH_US for day, number, at in cursor}
    return [
        SealedRow(number, day, times_id, times[day, times_id], values_of(arrays, divisor), hours)
        for number, day, times_id, divisor, *arrays, hours in rows
    ]


def microseconds(at: datetime) -> int:
    """A time in microseconds from 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def time_of(ts_us: int) -> datetime:
    """A time given in microseconds from 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_us)


def keys(series: Int64s, ts_us: Int64s) -> tuple[list[int], list[date]]:
    """The series and the days of samples, each pair once."""
    pairs = np.unique(np.stack([series, ts_us // DAY_US]), axis=1)
    return pairs[0].tolist(), [time_of(day * DAY_US).date() for day in pairs[1].tolist()]


def values_of(arrays: Sequence[NDArray[np.generic] | None], divisor: float) -> Float64s:
    """The values that arrays stand for, given in the order of COLUMNS."""
    return unpack(Packed({name: array for name, array in zip(COLUMNS, arrays, strict=True) if array is not None}, divisor))


def _array(values: NDArray[np.generic], element: int) -> bytes:
    """A field that holds an array of one dimension."""
    size = values.dtype.itemsize
    elements = np.empty(len(values), [("size", ">i4"), ("value", values.dtype.newbyteorder(">"))])
    elements["size"], elements["value"] = size, values
    return struct.pack(">iiiiii", 20 + elements.nbytes, 1, 0, element, len(values), 1) + elements.tobytes()


def _copy(connection: psycopg.Connection, into: str, rows: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT binary)".encode()) as copy:
        copy.write(rows)


class _ArrayLoader(Loader):
    """An array of one dimension, none of its elements null, as NumPy's."""

    format = Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.generic]:
        kind = ARRAYS[self.oid]
        # What comes before the elements: dimensions, whether nulls, the element's type, how many, the first subscript.
        elements = np.frombuffer(data, [("size", ">i4"), ("value", kind.newbyteorder(">"))], offset=20)
        return elements["value"].astype(kind)


def arrays_cursor(connection: psycopg.Connection) -> psycopg.Cursor[Any]:
    """A cursor that gives arrays as NumPy's."""
    cursor = connection.cursor(binary=True)
    for oid in ARRAYS:
        cursor.adapters.register_loader(oid, _ArrayLoader)
    return cursor
