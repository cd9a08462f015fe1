"""The exit code of a worker: 0 only where somebody asked it to end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from telemetry.monitoring.port.aborted import EXIT_CODE
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]
ROOT = Path(__file__).parents[3]
OPTIONS = ("-l", "info", "--without-gossip", "--without-mingle")


def test_a_worker_without_descriptors_does_not_end_well(start: Start, redis_client: redis.Redis, tmp_path: Path) -> None:
    command = ("celery", "-A", "tests.monitoring.port.exhausted:app", "worker", *OPTIONS)
    worker = start(*command, TELEMETRY_ROLE="edge", PYTHONPATH=str(ROOT))
    log = tmp_path / "0-celery.log"
    eventually(lambda: " ready." in log.read_text(), 30)
    for client in redis_client.client_list():
        if "telemetry-edge" in client["name"]:
            redis_client.client_kill_filter(_id=client["id"])
    assert worker.wait(30) == EXIT_CODE, log.read_text()
    assert "Too many open files" in log.read_text()


@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_was_asked_to_end_ends_well(start: Start, tmp_path: Path, ask: signal.Signals) -> None:
    worker = start("celery", "-A", "telemetry", "worker", *OPTIONS, TELEMETRY_ROLE="edge")
    eventually(lambda: " ready." in (tmp_path / "0-celery.log").read_text(), 30)
    worker.send_signal(ask)
    assert worker.wait(30) == 0
