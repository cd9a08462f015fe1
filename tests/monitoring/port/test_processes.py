"""What streamer, beat and collector show on their ports, against what `verify` finds; and what remains when children die."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.fixtures.processes import exact
from tests.ports import free_port
from tests.scrape import answer, by, get, scrape, total
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
CLASSES = ("stored", "duplicate", "conflict", "blank", "quarantined")


def test_counters_agree_with_verify_though_children_are_killed(
    start_collector: Callable[..., subprocess.Popen[bytes]], telemetry: Run, verify: Callable[..., dict[str, int]], sample: Path
) -> None:
    port = free_port()
    worker = start_collector(TELEMETRY_METRICS_PORT=str(port), TELEMETRY_CLUSTER="centre")
    header, _, *lines = sample.read_bytes().splitlines(keepends=True)
    first = sample.with_name("first.csv")
    # Another first row makes it another file; the same bytes read the same way would be known by the ledger.
    first.write_bytes(b"".join([header, *lines[: len(lines) // 2]]))
    for path in (first, sample):
        done = telemetry("ingest", "--timeout", "60", "--batch-size", "50", path)
        assert done.returncode == 0, done.stderr
        for child in psutil.Process(worker.pid).children():
            child.kill()
        eventually(lambda: len(psutil.Process(worker.pid).children()) == 2, 20)
    counts = verify(first, sample)
    assert exact(counts)
    shown = scrape(port)
    rows = by(shown, "telemetry_rows_committed_total", "row_class")
    assert {name: rows.get(name, 0) for name in CLASSES} == {name: counts[name] for name in CLASSES}
    assert rows["quarantined"] == 1
    assert total(shown, "telemetry_batch_rows_sum") == counts["read"]
    settled = total(shown, "telemetry_batches_settled_total", settlement="stored")
    assert settled == total(shown, "telemetry_batch_latency_seconds_count", source_cluster="ingest", target_cluster="centre")
    assert settled == total(shown, "telemetry_transaction_batches_sum")
    assert 0 < (total(shown, "cross_cluster_latency_seconds", source_cluster="ingest", target_cluster="centre") or 0) < 10
    assert total(shown, "message_queue_connection_status", cluster="centre", component="collector") == 1


def test_an_edge_counts_what_it_publishes(
    start_collector: Callable[..., object],
    start: Callable[..., subprocess.Popen[bytes]],
    verify: Callable[..., dict[str, int]],
    sample: Path,
    tmp_path: Path,
    promtool: str,
) -> None:
    start_collector()
    beat, streamer = free_port(), free_port()
    told = {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(sample), "TELEMETRY_STREAM_INTERVAL_S": "0.1"}
    heart = tmp_path / "beating"
    start("celery", "-A", "telemetry", "beat", **told, TELEMETRY_METRICS_PORT=str(beat))
    start(
        *("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle"),
        **told,
        TELEMETRY_METRICS_PORT=str(streamer),
        TELEMETRY_HEARTBEAT_FILE=str(heart),
    )
    eventually(lambda: verify(sample)["missing"] == 0, 30)
    shown = scrape(streamer)
    assert total(shown, "telemetry_rows_published_total") == total(shown, "telemetry_rows_read_total") == verify(sample)["read"]
    assert total(shown, "telemetry_source_bytes_published_total") == len(
        b"".join(sample.read_bytes().splitlines(keepends=True)[1:])
    )
    assert total(shown, "message_queue_connection_status", cluster="test", component="streamer") == 1
    assert total(shown, "telemetry_heartbeat_age_seconds", component="streamer") is not None
    assert heart.exists()
    assert (total(scrape(beat), "telemetry_ticks_published_total") or 0) > 1
    assert 0 <= (total(scrape(beat), "telemetry_beat_silent_seconds", cluster="test", edge="test/node") or 0) < 10
    assert total(scrape(beat), "telemetry_beat_interval_seconds") == 0.1
    assert total(scrape(beat), "message_queue_connection_status", cluster="test", component="beat") == 1
    assert total(shown, "cross_cluster_latency_seconds") is None
    check(promtool, get(beat, "/metrics")[1])
    for port in (beat, streamer):
        assert answer(port, "/live")[0] == 200
        assert answer(port, "/ready") == (200, {"broker": "ok"})
    assert answer(streamer, "/other")[0] == 404


def check(promtool: str, page: str) -> None:
    """Prometheus has nothing to say against a page."""
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_pages_are_as_prometheus_wants_them(
    start_collector: Callable[..., object], telemetry: Run, sample: Path, promtool: str
) -> None:
    port = free_port()
    start_collector(TELEMETRY_METRICS_PORT=str(port))
    assert telemetry("ingest", "--timeout", "60", sample).returncode == 0
    status, text = get(port, "/metrics")
    assert status == 200
    check(promtool, text)


def test_a_beat_inside_a_worker_counts_with_it(start: Callable[..., object], sample: Path, promtool: str) -> None:
    port = free_port()
    start(
        *("celery", "-A", "telemetry", "worker", "--beat", "--without-gossip", "--without-mingle"),
        TELEMETRY_ROLE="edge",
        TELEMETRY_SOURCES=str(sample),
        TELEMETRY_STREAM_INTERVAL_S="0.2",
        TELEMETRY_METRICS_PORT=str(port),
    )
    eventually(lambda: (total(scrape(port), "telemetry_ticks_published_total") or 0) > 1, 30)
    eventually(lambda: (total(scrape(port), "telemetry_rows_published_total") or 0) > 1, 30)
    check(promtool, get(port, "/metrics")[1])


def test_a_beat_at_the_centre_shows_that_it_turns(start: Callable[..., object], promtool: str, tmp_path: Path) -> None:
    port = free_port()
    heart = tmp_path / "beating"
    start(
        *("celery", "-A", "telemetry", "beat"),
        TELEMETRY_ROLE="central",
        TELEMETRY_METRICS_PORT=str(port),
        TELEMETRY_HEARTBEAT_FILE=str(heart),
    )
    eventually(lambda: answer(port, "/ready")[0] == 200, 20)
    assert answer(port, "/live")[0] == 200
    assert answer(port, "/ready") == (200, {"broker": "ok"})
    assert heart.exists()
    shown = scrape(port)
    assert total(shown, "message_queue_connection_status", cluster="central", component="beat") == 1
    assert 0 <= (total(shown, "telemetry_heartbeat_age_seconds", cluster="central", component="beat") or 0) < 10
    assert total(shown, "telemetry_ticks_published_total") == 0
    # There are no ticks at the centre, so nothing is late.
    assert total(shown, "telemetry_beat_silent_seconds") is None
    check(promtool, get(port, "/metrics")[1])


def test_nothing_is_left_behind_and_a_port_that_is_taken_is_one_line(
    start_collector: Callable[..., subprocess.Popen[bytes]], start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port = free_port()
    worker = start_collector(TELEMETRY_METRICS_PORT=str(port))
    shared = [Path(each.path).parent for each in psutil.Process(worker.pid).open_files() if "telemetry-metrics" in each.path]
    assert shared
    other = start("celery", "-A", "telemetry", "worker", TELEMETRY_METRICS_PORT=str(port))
    assert other.wait(30) != 0
    assert f"TELEMETRY_METRICS_PORT: 127.0.0.1:{port} cannot be opened" in (tmp_path / "1-celery.log").read_text()
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)
    assert not any(directory.exists() for directory in shared)
    killed = start_collector(TELEMETRY_METRICS_PORT=str(port))
    (left,) = {Path(e.path).parent for e in psutil.Process(killed.pid).open_files() if "telemetry-metrics" in e.path}
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    start_collector(TELEMETRY_METRICS_PORT=str(port))
    assert not left.exists()
