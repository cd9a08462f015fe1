"""Answers of sealed days from a real server: the same memory for any span, and nothing left behind by who goes away."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from sqlalchemy import Engine, text

from telemetry.readings.matchers import Matcher
from telemetry.store import partitions, sealed_rows
from telemetry.store.engine import driver
from telemetry.store.sealed_rows import Samples
from telemetry.store.upkeep import months
from tests.fixtures import remote_read
from tests.waiting import eventually

FIRST, DAYS, DAY_S = date(2025, 9, 20), 10, 86_400
# As much as other streams may grow by. All of it at once would be over 500 MB.
GROWTH_BYTES = 64 << 20
# pyarrow makes a group of rows whole before it writes it.
PARQUET_BYTES = 128 << 20
# A sample of a remote read, whose answer is compressed as one: what it is read as, what is written, and both at once.
SAMPLE_BYTES = 110
GPU = "/api/v1/gpus/GPU-a0/telemetry?metric=DCGM_FI_DEV_GPU_UTIL"
FLEET = "/api/v1/query?metric=DCGM_FI_DEV_GPU_UTIL&by=gpu&start_time=2025-09-01"
MANY = "/api/v1/readings?metric=DCGM_FI_DEV_GPU_UTIL&start_time=2025-09-01"
RATIO = f"{FLEET}&per=DCGM_FI_DEV_GPU_UTIL&where=value>=0"
PLAIN = {"Accept-Encoding": "identity"}
SERIES = text("""
    SELECT series.id FROM series JOIN gpus ON gpus.id = gpu_id JOIN metrics ON metrics.id = metric_id
    WHERE identity = 'GPU-a0' AND metrics.name = 'DCGM_FI_DEV_GPU_UTIL'
""")
SPAN = text("""
    INSERT INTO sealed_spans (first_day, end_day, bounds, samples, sealed_at)
    VALUES (:first, CAST(:first AS date) + CAST(:days AS int), '{}', :samples, now())
""")
SESSIONS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'telemetry-api' AND state <> 'idle'
""")


@pytest.fixture
def serving(start_api: Callable[..., tuple[str, int]], engine: Engine, fleet: None) -> tuple[str, psutil.Process]:
    """Where a server listens, and its one worker; one series there has a reading each second of some sealed days."""
    with engine.connect() as connection:
        series = connection.scalar(SERIES)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for month in months.between(FIRST, FIRST + timedelta(days=DAYS)):
            months.add(connection, month)
    values = np.random.default_rng(1).normal(500, 50, DAY_S).round(3)
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        begin_us = (day - partitions.EPOCH.date()).days * partitions.DAY_US
        samples = Samples(np.full(DAY_S, series), begin_us + 1_000_000 * np.arange(DAY_S, dtype=np.int64), values)
        with engine.begin() as connection:
            sealed_rows.write(driver(connection), sealed_rows.encode(samples), "sealed")
    with engine.begin() as connection:
        connection.execute(SPAN, {"first": FIRST, "days": DAYS, "samples": DAYS * DAY_S})
    base, pid = start_api(TELEMETRY_API_ACCESS="open")
    (worker,) = psutil.Process(pid).children()
    return base, worker


def taken(base: str, worker: psutil.Process, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, int]:
    """How many bytes an answer has, and by how many its worker grew meanwhile."""
    # From here on the kernel counts the peak anew: see proc(5). It may lie before the first piece.
    Path(f"/proc/{worker.pid}/clear_refs").write_text("5")
    before = worker.memory_info().rss
    with httpx.stream(method, f"{base}{path}", content=body, headers=PLAIN, timeout=60) as answer:
        assert answer.status_code == httpx.codes.OK, answer.read()
        size = sum(map(len, answer.iter_raw()))
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    return size, 1024 * int(peak) - before


def test_memory_stays_flat_however_many_days_are_asked_for(serving: tuple[str, psutil.Process]) -> None:
    base, worker = serving
    raw = [f"{GPU}&format={name}" for name in ("ndjson", "csv", "arrow", "parquet")]
    raw += [f"{MANY}&format=csv"]
    in_steps = [f"{GPU}&step=1s&agg=p95&format=ndjson", f"{FLEET}&step=1s&agg=last&format=ndjson"]
    in_steps += [f"{FLEET}&step=1s&agg=increase&format=csv", f"{RATIO}&step=1s&format=csv"]
    few = [
        f"{GPU}&limit=1000",
        f"{MANY}&limit=1000",
        f"{FLEET}&agg=integral",
        f"{RATIO}&agg=p95",
        f"{FLEET}&agg=p95",
        f"{FLEET}&agg=histogram&step=1h",
    ]
    for path in (*raw, *in_steps, *few):
        # What is loaded at the first use is no growth.
        first = f"{path}&end_time=2025-09-20T01:00:00Z"
        assert httpx.get(f"{base}{first}", headers=PLAIN, timeout=60).status_code == httpx.codes.OK
        size, growth = taken(base, worker, path)
        assert growth < (PARQUET_BYTES if "parquet" in path else GROWTH_BYTES), (path, growth)
        if path not in few:
            assert size > DAYS * DAY_S * (1 if "parquet" in path else 15), path


def test_a_remote_read_keeps_no_more_than_its_samples(serving: tuple[str, psutil.Process]) -> None:
    base, worker = serving
    start, end = (FIRST + timedelta(days=number) for number in (0, DAYS))
    start_ms, end_ms = (1000 * partitions.DAY_US // 1_000_000 * (day - partitions.EPOCH.date()).days for day in (start, end))
    body = remote_read.request(
        start_ms, end_ms, Matcher("UUID", "=", "GPU-a0"), Matcher("__name__", "=", "DCGM_FI_DEV_GPU_UTIL")
    )
    size, growth = taken(base, worker, "/api/v1/prometheus/read", "POST", body)
    assert size > 5 * DAYS * DAY_S
    assert growth < SAMPLE_BYTES * DAYS * DAY_S, growth


def test_a_reader_who_goes_away_leaves_no_transaction(serving: tuple[str, psutil.Process], engine: Engine) -> None:
    base, _ = serving

    def count(query: Any) -> int:
        with engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    for name in ("ndjson", "arrow"):
        with httpx.stream("GET", f"{base}{GPU}&format={name}", headers=PLAIN, timeout=60) as answer:
            # Who drops this has left.
            pieces = answer.iter_raw()
            next(pieces)
            assert count(SESSIONS) > 0
        eventually(lambda: count(SESSIONS) == 0, 20, what="no session has a transaction")
    # Places for streams and connections are free again.
    for _ in range(3):
        assert httpx.get(f"{base}{GPU}&format=ndjson&end_time=2025-09-20T02:00:00Z", timeout=60).status_code == httpx.codes.OK
