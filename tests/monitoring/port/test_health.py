"""A worker lives as long as its loop turns, and while it waits for a broker that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from telemetry.settings import Settings
from tests.faults.proxy import Proxy
from tests.ports import free_port
from tests.scrape import answer, scrape, total
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]
ROOT = Path(__file__).parents[3]
IMPATIENT = ("celery", "-A", "tests.monitoring.port.impatient")


@pytest.fixture
def begin(start: Start, settings: Settings, way: Proxy, tmp_path: Path) -> Iterator[Callable[..., int]]:
    started: list[subprocess.Popen[bytes]] = []

    def worker(*command: str, **variables: str) -> int:
        port = free_port()
        number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
        process = start(
            *(command or (*IMPATIENT, "worker", "--concurrency", "1", "--without-gossip", "--without-mingle")),
            TELEMETRY_BROKER_URL=f"redis://127.0.0.1:{way.port}/{number}",
            TELEMETRY_METRICS_PORT=str(port),
            TELEMETRY_HEARTBEAT_FILE=str(tmp_path / "beating"),
            PYTHONPATH=str(ROOT),
            **variables,
        )
        started.append(process)
        eventually(lambda: answer(port, "/ready")[0] == 200, 30, what="the worker is ready")
        return port

    yield worker
    # One whose loop stands still would not hear that it should end.
    for each in started:
        os.killpg(each.pid, signal.SIGKILL)


@pytest.mark.parametrize("role", ["central", "edge"])
def test_a_loop_that_stands_still_is_dead(begin: Callable[..., int], tmp_path: Path, role: str) -> None:
    port = begin(IMPATIENT_STALL="1", TELEMETRY_ROLE=role)
    assert answer(port, "/live")[0] == 200
    eventually(lambda: answer(port, "/live")[0] == 503, 30)
    status, told = answer(port, "/live")
    assert (status, told["silent_s"] >= 4) == (503, True)
    assert time.time() - (tmp_path / "beating").stat().st_mtime > 3
    assert answer(port, "/ready") == (200, {"broker": "ok"} | ({"database": "ok"} if role == "central" else {}))


@pytest.mark.parametrize("fault", [Proxy.refuse, Proxy.silence])
def test_a_worker_without_a_broker_is_alive_and_not_ready(
    begin: Callable[..., int], way: Proxy, tmp_path: Path, fault: Callable[[Proxy], None]
) -> None:
    port = begin()
    fault(way)
    eventually(lambda: answer(port, "/ready") == (503, {"broker": "unreachable", "database": "ok"}), 20)
    assert total(scrape(port), "message_queue_connection_status", component="collector") == 0
    away_s = time.time()
    # Longer than a loop may stand still.
    eventually(lambda: time.time() - away_s > 6 or answer(port, "/live")[0] != 200, 10)
    assert answer(port, "/live")[0] == 200
    assert (tmp_path / "beating").stat().st_mtime > away_s + 2
    way.heal()
    eventually(lambda: answer(port, "/ready")[0] == 200, 20)
    assert total(scrape(port), "message_queue_connection_status", component="collector") == 1


def test_a_beat_without_a_broker_is_alive(begin: Callable[..., int], way: Proxy) -> None:
    port = begin(*IMPATIENT, "beat", TELEMETRY_ROLE="edge", TELEMETRY_STREAM_INTERVAL_S="0.2")
    way.refuse()
    eventually(lambda: answer(port, "/ready")[0] == 503, 20)
    began = time.time()
    eventually(lambda: time.time() - began > 6 or answer(port, "/live")[0] != 200, 10)
    assert answer(port, "/live")[0] == 200
