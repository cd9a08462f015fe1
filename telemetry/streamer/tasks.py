"""The tick: beat asks, one streamer of the edge works for at most about an interval."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery.signals import worker_shutdown

from telemetry import broker
from telemetry.celery import TICK, app, settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.streamer import Streamer

MIN_BUDGET_S = 0.5
# The worker is alive between its ticks only, as far as its heartbeat says.
MAX_BUDGET_S = 20.0


@cache
def streamer() -> Streamer:
    """This process's streamer; made at the first tick."""
    return Streamer(settings, broker.connect(settings), publisher(app, settings), final=settings.sources_final)


@app.task(name=TICK)
def tick() -> None:
    """Look for new readings and publish them."""
    streamer().tick(min(max(MIN_BUDGET_S, settings.stream_interval_s), MAX_BUDGET_S))


@worker_shutdown.connect
def release(**_: Any) -> None:
    """Let other replicas go on at once."""
    if streamer.cache_info().currsize:
        streamer().close()
