"""Forms of storing the same values: bytes a sample with indexes and times, and the times to store and to read them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import psycopg

from benchmarks.store import fleet
from telemetry.readings.arrays import Float64s
from telemetry.store.packing import DIVISORS, EXACT

HOST_GPUS = 8
READS = 20
# A series' number in a table of GPUs.
POWER = "POWER_USAGE"


class Form(NamedTuple):
    """What a value is stored as: arrays of a type, by the name of the column, and the SQL of the value."""

    name: str
    arrays: Callable[[Float64s], dict[str, tuple[str, Any]]]


def floats(values: Float64s) -> dict[str, tuple[str, Any]]:
    """As they are."""
    return {"v": ("float8[]", values)}


def scaled(values: Float64s) -> dict[str, tuple[str, Any]]:
    """Whole numbers of the smallest type that is exact."""
    for divisor in DIVISORS:
        whole = np.rint(values * divisor)
        if np.abs(values).max() <= EXACT / divisor and (whole / divisor == values).all():
            kind = next(kind for kind in ("int2", "int4", "int8") if np.abs(whole).max() < 2 ** (8 * int(kind[3:]) - 1))
            return {"v": (f"{kind}[]", whole.astype(np.int64))}
    return floats(values)


def planes(values: Float64s) -> dict[str, tuple[str, Any]]:
    """The same in planes of 16 bits, as `telemetry.store.packing` has it."""
    form = scaled(values)
    kind, whole = form["v"]
    if kind in ("float8[]", "int2[]"):
        return form
    low = whole.astype(np.int16)
    middle = ((whole - low) >> 16).astype(np.int16)
    high = (((whole - low) >> 16) - middle) >> 16
    made: dict[str, tuple[str, Any]] = {"v": ("int2[]", low), "m": ("int2[]", middle)}
    return made | ({"h": ("int4[]", high)} if high.any() else {})


FORMS = (Form("float8[]", floats), Form("int arrays", scaled), Form("planes of 16 bits", planes))
# By the samples of a row, and whether a row has one metric or all.
SHAPES = {"series, day": (fleet.DAY_SAMPLES, False), "GPU, day": (fleet.DAY_SAMPLES, True), "GPU, hour": (240, True)}


class Result(NamedTuple):
    """What a layout costs."""

    shape: str
    form: str
    compression: str
    bytes_a_sample: float
    samples_per_s: float
    read_ms: float


def measure(connection: psycopg.Connection[Any], gpus: int) -> Iterator[Result]:
    """All layouts on the compressions that this Postgres has."""
    made = [fleet.values(gpu) for gpu in range(gpus)]
    offered = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'").fetchone()
    assert offered is not None, "every Postgres from 14 on has it"  # noqa: S101
    times_bytes = _times(connection, gpus)
    for compression in offered[0]:
        connection.execute(f"SET default_toast_compression = '{compression}'".encode())
        for shape, (size, is_wide) in SHAPES.items():
            for form in FORMS:
                stored_bytes, spent_s, read_ms = _layout(connection, made, form, size, is_wide)
                samples = gpus * len(made[0]) * fleet.DAY_SAMPLES
                # Times of an hour are stored with each hour, and are as large.
                each = (stored_bytes + times_bytes) / samples
                yield Result(shape, form.name, compression, each, samples / spent_s, read_ms)


def _times(connection: psycopg.Connection[Any], gpus: int) -> int:
    """The bytes of the times, which the GPUs of a host share."""
    connection.execute("DROP TABLE IF EXISTS times; CREATE TABLE times (id int PRIMARY KEY, times timestamptz[])")
    for host in range(-(-gpus // HOST_GPUS)):
        query = "INSERT INTO times SELECT %s, array_agg(to_timestamp(t / 1e6)) FROM unnest(%s::bigint[]) AS t"
        connection.execute(query, (host, fleet.times_us(host, 20_000).tolist()))
    return _size(connection, "times")


def _layout(
    connection: psycopg.Connection[Any], made: list[dict[str, Float64s]], form: Form, size: int, is_wide: bool
) -> tuple[int, float, float]:
    """Bytes, seconds to store, and the median time to read a day of one metric in ms."""
    columns: dict[str, str] = {}
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for gpu, metrics in enumerate(made):
        for start in range(0, fleet.DAY_SAMPLES, size):
            row: dict[str, Any] = {}
            for number, values in enumerate(metrics.values()):
                arrays = form.arrays(values)
                for name, (kind, array) in arrays.items():
                    column = f"{name}{number}" if is_wide else f"{name}_{kind[:-2]}"
                    # All rows of a table have one type a column: the widest.
                    columns[column] = max(columns.get(column, ""), kind)
                    row[column] = array[start : start + size]
                if not is_wide:
                    rows.append((gpu * len(metrics) + number, start, row))
                    row = {}
            if is_wide:
                rows.append((gpu, start, row))
    connection.execute("DROP TABLE IF EXISTS layout")
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE layout (id bigint, start int, {declared}, PRIMARY KEY (id, start))".encode())
    begun_s = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy("COPY layout FROM STDIN") as copy:
        for number, start, arrays_ in rows:
            texts = (_text(arrays_[name]) if name in arrays_ else None for name in columns)
            copy.write_row((number, start, *texts))
    spent_s = time.perf_counter() - begun_s
    place = list(made[0]).index(POWER)
    read = f"v{place}" if is_wide else next(f"v_{kind[:-2]}" for kind, _ in [form.arrays(made[0][POWER])["v"]])
    query = f"SELECT count(v), sum(v) FROM layout, unnest({read}) AS v WHERE id = {0 if is_wide else place}".encode()  # noqa: S608 - names of above
    spent = []
    for _ in range(READS):
        begun_s = time.perf_counter()
        connection.execute(query, prepare=False).fetchone()
        spent.append(1000 * (time.perf_counter() - begun_s))
    return _size(connection, "layout"), spent_s, statistics.median(spent)


def _text(array: Any) -> str:
    return "{" + ",".join(map(repr, array.tolist())) + "}"


def _size(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s)", (table,)).fetchone()
    assert row is not None, "a function has a row"  # noqa: S101
    return int(row[0])
