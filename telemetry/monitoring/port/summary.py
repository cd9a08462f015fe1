"""Logs one line about what a collector has settled, every few seconds, in place of a line a batch.

It is a thread of the worker's main process: children store, and each of them knows its own part only.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import redis
from celery import bootsteps

from telemetry import broker
from telemetry.monitoring.counters import stations, summary
from telemetry.settings import Settings

log = logging.getLogger("telemetry.summary")

INTERVAL_S = 10.0
# A broker that does not answer must not delay the line.
TIMEOUT_S = 2.0


class Summary(bootsteps.StartStopStep):
    """The thread, as a step of a worker's start."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()

    def start(self, parent: Any) -> None:
        """Start the thread."""
        threading.Thread(target=self._tell, args=(parent.app.telemetry_settings,), name="summary", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """End the thread."""
        self._stopping.set()

    terminate = stop

    def _tell(self, settings: Settings) -> None:
        client = broker.connect(settings, socket_timeout_s=TIMEOUT_S, retries=0)
        before, began_s = summary.settled(), time.monotonic()
        while not self._stopping.wait(INTERVAL_S):
            now, now_s = summary.settled(), time.monotonic()
            seconds = now_s - began_s
            line = summary.sentence(
                now.since(before), seconds, stations.ring().median_of_last(seconds), _waiting(client, settings.ingest_queue)
            )
            if line:
                log.info("%s", line)
            before, began_s = now, now_s
        client.close()


def _waiting(client: redis.Redis, queue: str) -> int | None:
    """The number of messages in the queue, None if the broker does not say."""
    try:
        return int(client.llen(queue))
    except (redis.RedisError, OSError):
        return None
