"""Flower's page about the broker, of a real Flower."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from telemetry.settings import Settings
from telemetry.streamer.tasks import tick
from tests.fixtures.processes import Start, end
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


def test_a_worker_that_does_not_answer_is_worth_a_line_only_once_one_has_answered(
    start: Start, start_collector: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port = free_port()
    start(*("celery", "--quiet", "-A", "telemetry", "flower"), f"--port={port}", FLOWER_UNAUTHENTICATED_API="true")
    log = tmp_path / "0-celery.log"

    def workers() -> dict[str, Any] | None:
        """The workers that have answered to what Flower asked just now."""
        try:
            return dict(httpx.get(f"http://127.0.0.1:{port}/api/workers?refresh=true", timeout=30).json())
        except (httpx.TransportError, ValueError):
            return None

    eventually(lambda: workers() == {}, 45, every_s=0.5, what="Flower has asked, and nobody has answered")
    assert b"Inspect method" not in log.read_bytes()
    collector = start_collector()
    eventually(workers, 30, every_s=0.5, what="the collector has answered")
    assert b"Inspect method" not in log.read_bytes()
    end(collector)
    eventually(lambda: workers() and b"Inspect method stats failed" in log.read_bytes(), 30, every_s=0.5)


def test_ticks_send_no_events() -> None:
    assert tick.send_events is False
