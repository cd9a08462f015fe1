"""Ends a worker that has stopped consuming, so that whoever supervises it starts it again.

Celery workers on Redis have stopped fetching after a reconnect, alive to every ping (celery#8030, #8091, #9054, #10205).
A thread looks from outside the consumer's loop. It ends the worker when messages wait, nothing was received and nothing is
being worked on, for longer than a healthy worker can take. It also ends a collector whose loop stands still although the broker
answers; a streamer's loop works itself, so its ticks may be long.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from celery import bootsteps
from celery.worker import state

from telemetry import broker
from telemetry.monitoring.port.heartbeat import LIMIT_S, Heartbeat
from telemetry.settings import Settings

log = logging.getLogger(__name__)

EXIT_CODE = 70


@dataclass(frozen=True, slots=True)
class Activity:
    """What a worker does at one moment: messages that wait, that were received since its start, that are being worked on."""

    waiting: int
    received: int
    active: int


@dataclass(slots=True)
class Suspicion:
    """For how long a worker has not moved although it should."""

    since_s: float | None = None
    last: Activity | None = None

    def stalled_s(self, activity: Activity, now_s: float) -> float:
        """Seconds for which messages have waited while nothing was received or worked on."""
        moved = self.last is None or activity.received != self.last.received or activity.active or not activity.waiting
        self.last = activity
        if moved:
            self.since_s = None
            return 0.0
        if self.since_s is None:
            self.since_s = now_s
        return now_s - self.since_s


@dataclass(slots=True)
class Standstill:
    """Whether a loop stands still. Two looks must see it: the loop of a process that was frozen turns before the second."""

    limit_s: float
    looks: int = 0

    def lasts(self, silent_s: float, reachable_s: float) -> bool:
        """By the seconds since the loop turned, and the seconds for which the broker has answered: without it no loop turns."""
        self.looks = self.looks + 1 if min(silent_s, reachable_s) >= self.limit_s else 0
        return self.looks > 1


class Watchdog(bootsteps.StartStopStep):
    """The thread that looks, as a step of a worker's start."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()

    def start(self, parent: Any) -> None:
        """Start the thread."""
        settings: Settings = parent.app.telemetry_settings
        queue = settings.tick_queue if settings.role == "edge" else settings.ingest_queue
        client = broker.connect(settings)

        def look() -> Activity:
            received = sum(state.total_count.values())
            return Activity(int(client.llen(queue)), received, len(state.active_requests))

        limit_s = math.inf if settings.role == "edge" else LIMIT_S
        args = (look, parent.heartbeat, settings.stall_s, limit_s)
        threading.Thread(target=self._watch, args=args, name="watchdog", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """End the thread: a worker that shuts down receives nothing."""
        self._stopping.set()

    def terminate(self, parent: Any) -> None:
        """The same."""
        self._stopping.set()

    def _watch(self, look: Callable[[], Activity], heartbeat: Heartbeat, stall_s: float, limit_s: float) -> None:
        suspicion, standstill, interval_s, now_s, unreachable_at_s = Suspicion(), Standstill(limit_s), stall_s / 6, 0.0, 0.0
        while not self._stopping.wait(interval_s):
            now_s += interval_s
            try:
                stalled_s = suspicion.stalled_s(look(), now_s)
            except redis.RedisError:
                # Without a broker there is nothing to consume.
                suspicion, standstill, unreachable_at_s = Suspicion(), Standstill(limit_s), now_s
                continue
            if stalled_s >= stall_s:
                _end(f"messages wait and nothing was received for {stalled_s:.0f} s")
            if standstill.lasts(heartbeat.silent_s(), now_s - unreachable_at_s):
                _end(f"its loop has stood still for {heartbeat.silent_s():.0f} s")


def _end(reason: str) -> None:
    """Not a shutdown, as the loop has stopped listening. What it worked on comes again."""
    log.critical("%s: this worker ends, to be started again", reason)
    os._exit(EXIT_CODE)
