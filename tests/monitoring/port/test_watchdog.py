"""A worker that is alive and does not consume: here it was told to stop, elsewhere a reconnect makes it so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import redis

from telemetry.celery import make_app
from telemetry.monitoring.port.watchdog import EXIT_CODE
from telemetry.settings import Settings
from tests.waiting import eventually


def test_a_worker_that_stopped_consuming_ends(
    start_collector: Callable[..., subprocess.Popen[bytes]], settings: Settings, redis_client: redis.Redis
) -> None:
    worker = start_collector(TELEMETRY_STALL_S="3")
    app = make_app(settings)
    eventually(lambda: app.control.cancel_consumer(settings.ingest_queue, reply=True, timeout=2), 20)
    redis_client.lpush(settings.ingest_queue, "{}")
    assert worker.wait(30) == EXIT_CODE
    app.close()
