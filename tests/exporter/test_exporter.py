"""`telemetry exporter` on a running pipeline: its figures are the truth, and it goes on when a part is away."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import psutil
import psycopg
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.celery import make_app
from telemetry.collector.persist import Collector
from telemetry.exporter import audits, broker, clocks, database
from telemetry.progress import reading
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer
from tests.batches import batch, key, now_s, readings
from tests.ports import free_port
from tests.scrape import Samples, answer, by, get, scrape, total, values
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start_exporter(start: Start) -> Callable[..., int]:
    def begin(**variables: str) -> int:
        port = free_port()
        start("telemetry", "exporter", "--port", str(port), TELEMETRY_EXPORTER_INTERVAL_S="0.2", **variables)
        eventually(lambda: answer(port, "/ready")[0] == 200, 20, what="the exporter is ready")
        return port

    return begin


def collector(settings: Settings, engine: Engine, client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(client, Keys(settings.key_prefix), 60))


def ledger(port: int) -> dict[str, float]:
    return dict(by(scrape(port), "telemetry_ledger_rows", "row_class"))


def test_the_ledger_agrees_with_verify_whatever_was_killed(
    start: Start,
    start_collector: Start,
    start_exporter: Callable[..., int],
    telemetry: Run,
    verify: Callable[..., dict[str, int]],
    engine: Engine,
    tmp_path: Path,
) -> None:
    sample = tmp_path / "large.csv"
    telemetry("simulate", "--hosts", "1", "--gpus", "4", "--interval", "5", "--duration", "900", "-o", sample)
    with sample.open("a") as file:
        file.write("not,a,reading\n")
    worker = start_collector()
    port = start_exporter(TELEMETRY_DATABASE_CAPACITY_BYTES="1000000000")
    ingest = start("telemetry", "ingest", "--batch-size", "3", str(sample))

    def committed() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT coalesce(sum(rows), 0) FROM batches")) or 0)

    eventually(committed, 20, every_s=0.005)
    for child in psutil.Process(worker.pid).children():
        child.kill()
    worker.kill()
    assert committed() < len(sample.read_bytes().splitlines()) - 1, "all was committed before anything was killed"
    start_collector()
    assert ingest.wait(60) == 0
    counts = verify(sample)
    assert counts["missing"] == counts["extra"] == 0
    truth = {name: counts[name] for name in ("stored", "duplicate", "conflict", "expired", "blank", "quarantined", "dead")}
    eventually(lambda: ledger(port) == truth, 60, what="the ledger's rows are shown")
    # Copies of what the killed collector held come again, and are known.
    eventually(lambda: total(scrape(port), "telemetry_queue_messages") == 0, 20, what="the queue is empty")
    shown = scrape(port)
    assert total(shown, "telemetry_quarantined_rows") == counts["quarantined"] == 1
    assert total(shown, "telemetry_ledger_gaps") == 0
    assert total(shown, "telemetry_broker_may_evict") == 0
    assert (total(shown, "telemetry_table_size_bytes", table="samples") or 0) > 0
    assert total(shown, "telemetry_database_capacity_bytes") == 1e9
    assert total(shown, "message_queue_connection_status", component="exporter", cluster="central") == 1
    for name in ("telemetry_database_size_bytes", "telemetry_last_commit_age_seconds", "telemetry_partitions"):
        assert (total(shown, name) or 0) > 0
    assert (total(shown, "telemetry_broker_memory_limit_bytes") or 0) > (total(shown, "telemetry_broker_memory_bytes") or 0) > 0


@pytest.mark.parametrize("with_gpus", [False, True])
def test_the_page_is_as_prometheus_wants_it(
    start_exporter: Callable[..., int],
    promtool: str,
    settings: Settings,
    engine: Engine,
    redis_client: redis.Redis,
    with_gpus: bool,
) -> None:
    rows = [(key(name), now_s(), 1.0) for name in ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL")]
    collector(settings, engine, redis_client).persist(*wire.encode(batch(readings(*rows))))
    _, page = get(start_exporter(TELEMETRY_EXPORTER_GPUS=str(with_gpus)), "/metrics")
    assert ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{" in page) == with_gpus
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    # The names of those labels are DCGM's.
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("DCGM_") or "camelCase" not in line]
    assert (complaints, done.stdout) == ([], "")


def sources(client: redis.Redis, settings: Settings) -> Iterator[broker.Source]:
    """The sources of this test's edge, as the exporter sees them."""
    return broker.sources(client, Keys(settings.key_prefix), [settings.edge])


def test_a_source_lags_until_it_is_committed(
    settings: Settings, engine: Engine, redis_client: redis.Redis, sample: Path
) -> None:
    mine = replace(settings, sources=(str(sample),), batch_size=100, window_bytes=1 << 16)
    app = make_app(settings)
    streamer = Streamer(mine, redis_client, publisher(app, settings))
    streamer.tick(0)
    (lagging,) = sources(redis_client, settings)
    rows = len(sample.read_bytes().splitlines()) - 1
    state = lagging.state
    assert (lagging.edge, state.path, state.size_bytes) == ("test/node", str(sample), sample.stat().st_size)
    assert state.lag_bytes == state.size_bytes - state.window.committed > state.window.span > 0
    # Rows of GPUs that pods hold are longer.
    assert state.lag_rows == pytest.approx(rows, rel=0.3)
    assert state.window_ratio >= 1, "the window is full"
    eventually(lambda: next(sources(redis_client, settings)).lag_s > 0.05)
    shown = {metric.name: metric for metric in broker.look(redis_client, settings)}
    depth = shown["telemetry_queue_messages"].samples[0].value
    assert depth == redis_client.llen(settings.ingest_queue) > 0
    assert shown["telemetry_source_lag_bytes"].samples[0].labels == {
        "source_cluster": "test",
        "edge": "test/node",
        "source": lagging.source_id,
        "path": str(sample),
    }
    store = collector(settings, engine, redis_client)

    def committed() -> bool:
        streamer.tick(0)
        while message := redis_client.rpop(settings.ingest_queue):
            store.persist(*_arguments(message))
        return next(sources(redis_client, settings)).state.lag_bytes == 0

    eventually(committed)
    (done,) = sources(redis_client, settings)
    assert (done.state.lag_rows, done.lag_s, done.state.window.span) == (0, 0, 0)
    streamer.close()
    app.close()


def test_a_file_that_grows_while_the_centre_is_dead_lags_ever_more(
    settings: Settings, redis_client: redis.Redis, sample: Path
) -> None:
    mine = replace(settings, sources=(str(sample),), window_bytes=1 << 16, lease_s=1)
    app = make_app(settings)
    streamer = Streamer(mine, redis_client, publisher(app, settings))
    streamer.tick(0)

    def lag() -> broker.Source:
        return next(sources(redis_client, settings))

    full = lag()
    with sample.open("a") as file:
        file.writelines(sample.read_text().splitlines(keepends=True)[1:])

    def grown() -> bool:
        streamer.tick(0)
        return lag().state.size_bytes == sample.stat().st_size

    eventually(grown)
    assert lag().state.window.span == full.state.window.span
    assert lag().state.lag_bytes > full.state.lag_bytes
    assert lag().state.lag_rows > full.state.lag_rows
    assert lag().lag_s > full.lag_s
    streamer.close()
    app.close()


def _arguments(message: Any) -> tuple[Any, Any]:
    """Header and payload of a message of Celery's."""
    (header, payload), _, _ = msgpack.unpackb(base64.b64decode(json.loads(message)["body"]))
    return header, payload


@pytest.mark.parametrize("orderly", [False, True])
def test_an_edge_is_silent_once_its_streamer_has_ended_however_it_ended(
    settings: Settings, redis_client: redis.Redis, sample: Path, orderly: bool
) -> None:
    mine = replace(settings, sources=(str(sample),), lease_s=0, stream_interval_s=0.3)
    once = Streamer(replace(mine, edge="ingest/node"), redis_client, lambda *_: None)
    standing = Streamer(mine, redis_client, lambda *_: None, standing=True)

    def silent() -> dict[str, float]:
        shown = {metric.name: metric for metric in broker.look(redis_client, settings)}
        assert shown["telemetry_tick_queue_messages"].samples[0].value == 0
        return {each.labels["edge"]: each.value for each in shown["telemetry_edge_silent_seconds"].samples}

    once.tick(0)
    standing.tick(0)
    assert silent() == {"test/node": 0}
    if orderly:
        once.close()
        standing.close()
    eventually(lambda: silent()["test/node"] > 0.1)
    assert silent().keys() == {"test/node"}


def test_a_gap_is_counted_and_said_once(
    settings: Settings, engine: Engine, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store = collector(settings, engine, redis_client)

    def commit(start: int, end: int) -> None:
        made = batch(readings((key(), start, 1.0)), f"b{start}", start=start, end=end, first_line=start)
        store.persist(*wire.encode(made))

    def shown() -> Samples:
        return values(audit())

    commit(0, 100)
    commit(200, 300)
    audit = audits.GapAudit(engine, replace(settings, gap_alert_s=0), {"": redis_client})
    caplog.set_level("INFO", "telemetry.exporter.audits")
    for _ in range(2):
        found = shown()
        assert total(found, "telemetry_ledger_gaps", edge="test/node") == 1
        assert total(found, "telemetry_ledger_gap_bytes", edge="test/node") == 100
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "bytes 100 to 200 of /data/a.csv are missing" in caplog.text
    commit(100, 200)
    assert total(shown(), "telemetry_ledger_gaps", edge="test/node") == 0
    assert "gap closed: bytes 100 to 200 of /data/a.csv" in caplog.text


def test_it_goes_on_without_the_database(start_exporter: Callable[..., int], database_url: str) -> None:
    port = start_exporter()
    name = database_url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(database_url.replace(name, "postgres"), autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false'.encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        # The audit looks rarely: what it has seen is shown for longer.
        gone = {"broker": "ok", "database": "unreachable", "ledger": "unreachable"}

        def is_noticed() -> bool:
            status, parts = answer(port, "/ready")
            return status == 503 and gone.items() <= parts.items()

        eventually(is_noticed, 15)
        shown = scrape(port)
        up = {"broker": 1, "database": 0, "ledger": 0}
        assert up.items() <= dict(by(shown, "telemetry_exporter_up", "part")).items()
        assert total(shown, "telemetry_database_size_bytes") is None
        assert total(shown, "telemetry_queue_messages") == 0
        assert answer(port, "/live")[0] == 200
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true'.encode())
    eventually(lambda: answer(port, "/ready")[0] == 200, 30)


def test_edges_are_told_how_far_the_databases_clock_is_ahead(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    shown = values(clocks.look(engine, redis_client, settings))
    assert abs(total(shown, "telemetry_database_ahead_seconds") or 0) < 1
    keys = Keys(settings.key_prefix)
    told = reading.signals(redis_client, keys, settings.edge, []).database_ahead_us
    assert told == int(redis_client.get(keys.database_clock()) or 0)
    assert redis_client.pttl(keys.database_clock()) > 0


def test_what_retention_keeps_and_when_it_was_done_is_told(settings: Settings, engine: Engine) -> None:
    def told(name: str, own: Settings) -> dict[str, float]:
        found = next(metric for metric in database.look(engine, own) if metric.name == f"telemetry_retention_{name}")
        return {sample.labels.get("level", ""): sample.value for sample in found.samples}

    assert told("done_timestamp_seconds", settings) == told("floor_timestamp_seconds", settings) == {}
    # It is on by the settings, and was never done.
    assert told("done_timestamp_seconds", replace(settings, retention_days=3)) == {"samples": 0.0}
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE retention SET kept_since = to_timestamp(86400), days = 3, done_at = to_timestamp(90000), dropped = 7,
                    partitions = 2 WHERE level = 'samples'
            """)
        )
    assert told("done_timestamp_seconds", settings) == {"samples": 90_000.0}
    assert told("floor_timestamp_seconds", settings) == {"samples": 86_400.0}
    assert told("dropped_rows", settings) == {"samples": 7.0, "quarantine": 0.0, "events": 0.0}
    assert told("dropped_partitions", settings) == {"": 2.0}
