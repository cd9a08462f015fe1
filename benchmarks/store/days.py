"""Days of a generated fleet in the schema itself: sealed by the product's own steps, and asked the same before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psutil
from sqlalchemy import Engine, text

from benchmarks.store import fleet
from telemetry.readings.arrays import Float64s, Int64s
from telemetry.settings import Settings
from telemetry.store.engine import driver
from telemetry.store.partitions import Partitions
from telemetry.store.read import levels
from telemetry.store.read.history import readings
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.fleet import aggregate
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.upkeep import chores, sealing
from telemetry.store.upkeep.chores import SEALING
from telemetry.store.write import samples

# A day that is over, of this year's months that are divided into days.
AGO_DAYS = 3
DAY_S = 86_400
READS = 7
SERIES = text("""
    WITH g AS (INSERT INTO gpus (identity, host, gpu_index) SELECT 'GPU-' || n, 'host-' || n / 8, n % 8
               FROM generate_series(0, :gpus - 1) AS n RETURNING id, identity),
    m AS (INSERT INTO metrics (name) SELECT * FROM unnest(CAST(:metrics AS text[])) RETURNING id, name)
    INSERT INTO series (gpu_id, metric_id, labels_digest, labels) SELECT g.id, m.id, '', '{}' FROM g, m ORDER BY g.id, m.id
    RETURNING id
""")
# Samples of a series: its number for each, times and values.
Part = tuple[Int64s, Int64s, Float64s]
VIEW = "SELECT time, value FROM readings(:since, :until) WHERE gpu = 'GPU-1' AND metric = 'POWER_USAGE'"


def run(engine: Engine, settings: Settings, gpus: int) -> dict[str, float]:
    """Rates, sizes, and times in milliseconds, each of rows and of sealed days."""
    day = int(time.time()) // DAY_S - AGO_DAYS
    stored = fill(engine, gpus, day)
    with engine.connect() as connection:
        rows_bytes = sum(row["size_bytes"] for row in levels.levels(connection) if row["level"] == "rows")
    questions = _questions(engine, day)
    before = {name: median_ms(ask) for name, ask in questions.items()}
    with engine.connect() as connection:
        # The engine has one connection, whose process is on this machine.
        server = psutil.Process(connection.scalar(text("SELECT pg_backend_pid()")))
    begun_s = _cpu_s(server)
    longest_s = seal(engine, settings, day)
    spent_s = _cpu_s(server) - begun_s
    after = {name: median_ms(ask) for name, ask in questions.items()}
    with engine.connect() as connection:
        sealed = next(row for row in levels.levels(connection) if row["level"] == "sealed")
    figures = {
        "samples": float(stored),
        "rows_bytes_a_sample": rows_bytes / stored,
        "sealed_bytes_a_sample": sealed["size_bytes"] / sealed["samples"],
        "sealed_a_core_second": stored / spent_s,
        "longest_step_s": longest_s,
    }
    for name in questions:
        figures |= {f"{name}_rows_ms": before[name], f"{name}_sealed_ms": after[name]}
        figures[f"{name}_ratio"] = after[name] / before[name]
    return figures


def fill(engine: Engine, gpus: int, day: int, metrics: Sequence[str] | None = None) -> int:
    """Store a day of the fleet host by host and hour by hour, as it comes, of some metrics or all; how many samples."""
    made = _made(gpus, metrics)
    with engine.begin() as connection:
        ids = connection.scalars(SERIES, {"gpus": gpus, "metrics": list(made[0])}).all()
    (table,) = Partitions(engine).ensure([day]).values()
    stored = sum(write(engine, day, table, parts) for parts in _batches(made, ids, day))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE samples"))
    return stored


def batches(engine: Engine, gpus: int, day: int) -> Iterator[list[Part]]:
    """Another day of the same fleet: an hour of a host at once."""
    with engine.connect() as connection:
        ids = connection.scalars(text("SELECT id FROM series ORDER BY gpu_id, metric_id")).all()
    yield from _batches(_made(gpus, None), ids, day)


def write(engine: Engine, day: int, table: str, parts: list[Part]) -> int:
    """Store samples of a day in its partition, in a transaction; how many."""
    with engine.begin() as connection:
        counts = samples.write(driver(connection), samples.arrange(parts), {day: table}, [])
    return int(counts.stored.sum())


def _made(gpus: int, metrics: Sequence[str] | None) -> list[dict[str, Float64s]]:
    return [
        {name: values for name, values in fleet.values(gpu).items() if metrics is None or name in metrics}
        for gpu in range(gpus)
    ]


def _batches(made: Sequence[Mapping[str, Float64s]], ids: Sequence[int], day: int) -> Iterator[list[Part]]:
    gpus, a_gpu, hour = len(made), len(made[0]), fleet.DAY_SAMPLES // 24
    for start in range(0, fleet.DAY_SAMPLES, hour):
        for host in range(-(-gpus // 8)):
            at = fleet.times_us(host, day)[start : start + hour]
            parts = list[Part]()
            for gpu in range(8 * host, min(8 * host + 8, gpus)):
                for place, values in enumerate(made[gpu].values()):
                    number = ids[gpu * a_gpu + place]
                    parts.append((np.full(len(at), number, np.int64), at, values[start : start + hour]))
            yield parts


def seal(engine: Engine, settings: Settings, day: int) -> float:
    """Seal a day; how long the longest step took, in seconds."""
    longest_s = 0.0
    while True:
        step_s = time.perf_counter()
        if not seal_step(engine, settings, day):
            return longest_s
        longest_s = max(longest_s, time.perf_counter() - step_s)


def seal_step(engine: Engine, settings: Settings, day: int) -> int:
    """Do a step of sealing a day; 0 when it is sealed."""
    chore = replace(SEALING, work=lambda connection, _, limit: sealing.step_at_once(connection, day + 1, limit))
    return chores.run(engine, settings, chore, chore.max_rows)


def _questions(engine: Engine, day: int) -> dict[str, Callable[[], Any]]:
    start = datetime.fromtimestamp(day * DAY_S, UTC)
    span = Span(start, start + timedelta(days=1) - timedelta(microseconds=1))
    with engine.connect() as connection:
        gpu_id = connection.scalar(text("SELECT id FROM gpus WHERE identity = 'GPU-1'")) or 0

    def ask(statement: Any, **given: Any) -> Callable[[], Any]:
        def asked() -> int:
            with engine.connect() as connection:
                return len(connection.execute(statement, given).all())

        return asked

    one = GpuReadings(gpu_id, "GPU-1", span, ("POWER_USAGE",))
    heat = Aggregation(SeriesFilter(metrics=("GPU_UTIL",)), span, ("gpu",), "avg", timedelta(minutes=5))
    return {
        "day_of_one": ask(readings.readings(one)),
        "first_page": ask(readings.readings(one, 1000)),
        "steps_of_one": ask(readings.steps(one, timedelta(minutes=5), "avg")),
        "heat_map": ask(aggregate(heat)),
        "view": ask(text(VIEW), since=span.start, until=span.end),
    }


def _cpu_s(server: psutil.Process) -> float:
    """Seconds of a core that this process and its server have used: they work in turn."""
    used = server.cpu_times()
    return time.process_time() + used.user + used.system


def median_ms(ask: Callable[[], Any]) -> float:
    """The median of READS runs, in milliseconds."""
    spent = []
    for _ in range(READS):
        begun_s = time.perf_counter()
        ask()
        spent.append(1000 * (time.perf_counter() - begun_s))
    return statistics.median(spent)
