"""The tick: beat asks, one streamer of the edge works for at most about an interval."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import redis
from celery.signals import worker_shutdown

from telemetry import broker
from telemetry.celery import process_app, process_settings
from telemetry.progress.keys import Keys
from telemetry.progress.moving import bring
from telemetry.readings.names import TICK
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer, budget_s

# Another one of several brokers is waited for so long: an edge does without it.
ASK_S = 2.0

log = logging.getLogger(__name__)
app, settings = process_app(), process_settings()


@cache
def streamer() -> Streamer:
    """This process's streamer; made at the first tick."""
    client, publish = broker.connect(settings), publisher(app, settings)
    _bring_sources(client)
    return Streamer(settings, client, publish, final=settings.sources_final, standing=True)


def _bring_sources(client: redis.Redis) -> None:
    others = {name: broker.connect(one, socket_timeout_s=ASK_S, retries=0) for name, one in settings.others.items()}
    try:
        bring(settings.edge, Keys(settings.key_prefix), client, others)
    finally:
        for other in others.values():
            other.close()


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
