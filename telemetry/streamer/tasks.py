"""The tick: beat asks, one streamer of the edge works for at most about an interval."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery.signals import worker_shutdown

from telemetry import broker
from telemetry.celery import process_app, process_settings
from telemetry.readings.names import TICK
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer, budget_s

app, settings = process_app(), process_settings()


@cache
def streamer() -> Streamer:
    """This process's streamer; made at the first tick."""
    publish = publisher(app, settings)
    return Streamer(settings, broker.connect(settings), publish, final=settings.sources_final, standing=True)


# Flower switches the events of all workers on. Of ticks, two a second at each edge, nobody wants to read there.
@app.task(name=TICK, send_events=False)
def tick() -> None:
    """Look for new readings and publish them."""
    streamer().tick(budget_s(settings.stream_interval_s))


@worker_shutdown.connect
def release(**_: Any) -> None:
    """Let other replicas go on at once."""
    if streamer.cache_info().currsize:
        streamer().close()
