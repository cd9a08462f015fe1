"""The tick: beat asks, one streamer of the edge works for at most about an interval."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import redis
from celery.signals import worker_shutdown

from telemetry import broker
from telemetry.celery import process_app, process_settings
from telemetry.readings.names import TICK
from telemetry.streamer.arrival import arrive
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer, budget_s

log = logging.getLogger(__name__)
app, settings = process_app(), process_settings()


@cache
def streamer() -> Streamer:
    """This process's streamer; made at the first tick."""
    client, publish = broker.connect(settings), publisher(app, settings)
    arrive(settings, client)
    return Streamer(settings, client, publish, final=settings.sources_final, standing=True)


# Flower switches the events of all workers on. Of ticks, two a second at each edge, nobody wants to read there.
@app.task(name=TICK, send_events=False)
def tick() -> None:
    """Look for new readings and publish them."""
    streamer().tick(budget_s(settings.stream_interval_s))


@worker_shutdown.connect
def release(**_: Any) -> None:
    """Let other replicas go on at once; they wait for the end of the leases if the broker is away."""
    if streamer.cache_info().currsize:
        try:
            streamer().close()
        except (redis.RedisError, OSError) as error:
            log.warning("the broker is away, so other replicas wait until the leases of this one end: %s", error)
