"""Puts batches on the ingest queue. An error leaves it unknown whether the broker has the message: it is sent again."""

from __future__ import annotations

from typing import Any

from celery import Celery

from telemetry.celery import PERSIST
from telemetry.monitoring import trail
from telemetry.settings import Settings
from telemetry.streamer.stream import Publish


def publisher(app: Celery, settings: Settings) -> Publish:
    """A function that publishes one batch."""

    def publish(header: dict[str, Any], payload: bytes) -> None:
        # The queue by its name goes through the anonymous exchange: a named one whose binding the broker has lost
        # would swallow the message. A dash for the arguments' texts keeps the payload from being sent twice.
        app.send_task(PERSIST, (header, payload), queue=settings.ingest_queue, argsrepr="-", kwargsrepr="-")
        trail.published(header)

    return publish
