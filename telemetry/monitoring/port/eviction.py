"""Warns, each time a worker has connected, of a broker that drops keys when its memory is full, or that may be another one.

Such a broker loses messages, states and acknowledgements without a word; the readings are read again, over and over.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import redis
from celery import bootsteps

from telemetry import broker

log = logging.getLogger(__name__)

# The consumer waits for this answer. A broker that does not give it is asked at the next connection.
TIMEOUT_S = 1.0


class Eviction(bootsteps.StartStopStep):
    """The warning, as a step of a consumer's start."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Ask, and warn."""
        settings = parent.app.telemetry_settings
        if settings.broker_skip_verify and settings.broker_url.startswith(("rediss://", "sentinels://")):
            log.warning("TELEMETRY_BROKER_SKIP_VERIFY is on: nobody knows whether the server that answers is the broker")
        with (
            suppress(redis.RedisError, OSError),
            broker.connect(settings, socket_timeout_s=TIMEOUT_S, retries=0) as client,
        ):
            if advice := broker.eviction_advice(client):
                log.warning("%s", advice)
