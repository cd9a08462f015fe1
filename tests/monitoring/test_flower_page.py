"""Flower's page about the broker, of a real Flower."""

from __future__ import annotations

import httpx

from telemetry.settings import Settings
from telemetry.streamer.tasks import tick
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually


def test_flower_lists_the_ingest_queue_while_nobody_serves_it_and_hears_nothing_of_edges(
    start: Start, settings: Settings
) -> None:
    """The ingest queue matters most when nobody serves it; a streamer takes no questions over the broker."""
    port = free_port()
    edge = {"TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": "lab/node-1", "TELEMETRY_SOURCES": "/nowhere/*.csv"}
    start(*("celery", "--quiet", "-A", "telemetry", "worker"), "-n", "one@test", **edge)
    start(*("celery", "--quiet", "-A", "telemetry", "flower"), "--address=127.0.0.1", f"--port={port}")

    def page() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/broker", timeout=10).text
        except httpx.TransportError:
            return ""

    text = eventually(lambda: shown if settings.ingest_queue in (shown := page()) else "", 45, every_s=0.5)
    assert "lab/node-1" not in text


def test_ticks_send_no_events() -> None:
    assert tick.send_events is False
