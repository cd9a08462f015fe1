"""The limit: binary COPY of ready-made bytes into the day's partition, by one process, over one connection.

The rows come in chunks as large as a large message, each in (series, ts) order. `rows_per_s` is one COPY of all;
`committed_rows_per_s` is one COPY and one commit a chunk.
"""

from __future__ import annotations

import time

import numpy as np
import psycopg

from benchmarks import data
from benchmarks.bench import Bench
from telemetry.store.partitions import DAY_US, Partitions

CHUNK = 5_000
# PostgreSQL's epoch, 2000-01-01, and its binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html
EPOCH_US = 946_684_800_000_000
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
ROW = np.dtype([("n", ">i2"), ("a", ">i4"), ("series", ">i8"), ("b", ">i4"), ("ts", ">i8"), ("c", ">i4"), ("value", ">f8")])


def run(bench: Bench) -> dict[str, float]:
    """Both ways, each into an empty partition."""
    return dict(zip(("rows_per_s", "committed_rows_per_s"), rates(bench, data.arrays(bench.whole)), strict=True))


def rates(bench: Bench, samples: data.Arrays) -> tuple[float, float]:
    """Rows a second of one COPY of all, and of one COPY and one commit a chunk."""
    day = int(samples.ts_us[0]) // DAY_US
    chunks = [_encode(samples, begin) for begin in range(0, len(samples.series), CHUNK)]
    speeds = []
    for copy in (_copy_once, _copy_each):
        with bench.site() as site:
            engine = site.engine()
            table = Partitions(engine).ensure([day])[day]
            engine.dispose()
            with site.database() as connection:
                begun = time.perf_counter()
                copy(connection, f"COPY {table} FROM STDIN (FORMAT binary)".encode(), chunks)
                speeds.append(len(samples.series) / (time.perf_counter() - begun))
    return speeds[0], speeds[1]


def _encode(samples: data.Arrays, begin: int) -> bytes:
    part = slice(begin, begin + CHUNK)
    series, ts_us, values = samples.series[part], samples.ts_us[part], samples.values[part]
    order = np.lexsort((ts_us, series))
    rows = np.empty(len(order), ROW)
    rows["n"], rows["a"], rows["b"], rows["c"] = 3, 8, 8, 8
    rows["series"], rows["ts"], rows["value"] = series[order], ts_us[order] - EPOCH_US, values[order]
    return rows.tobytes()


def _copy_once(connection: psycopg.Connection, statement: bytes, chunks: list[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER)
        for chunk in chunks:
            copy.write(chunk)
        copy.write(TRAILER)


def _copy_each(connection: psycopg.Connection, statement: bytes, chunks: list[bytes]) -> None:
    for chunk in chunks:
        _copy_once(connection, statement, [chunk])
