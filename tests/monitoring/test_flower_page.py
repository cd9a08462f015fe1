"""Flower's page about the broker, of a real Flower."""

from __future__ import annotations

import httpx

from telemetry.settings import Settings
from telemetry.streamer.tasks import tick
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually


def test_flower_lists_the_queue_of_a_worker_that_starts_after_it(start: Start, settings: Settings) -> None:
    """Also those that no worker serves yet: the ingest queue matters most when nobody does."""
    port = free_port()
    edge = {"TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": "lab/node-1", "TELEMETRY_SOURCES": "/nowhere/*.csv"}
    worker = ("celery", "--quiet", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle")
    start(*worker, "-n", "one@test", **edge)
    start(*("celery", "--quiet", "-A", "telemetry", "flower"), "--address=127.0.0.1", f"--port={port}")

    def page() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/broker", timeout=10).text
        except httpx.TransportError:
            return ""

    eventually(lambda: settings.ingest_queue in page(), 45, every_s=0.5, what="the ingest queue is listed")
    eventually(lambda: ".tick.lab/node-1" in page(), 45, every_s=0.5, what="the queue of the edge is listed")
    start(*worker, "-n", "two@test", **edge | {"TELEMETRY_EDGE": "lab/node-2"})
    eventually(lambda: ".tick.lab/node-2" in page(), 45, every_s=0.5, what="the queue of a later edge is listed")


def test_ticks_send_no_events() -> None:
    assert tick.send_events is False
