"""The application, of which a collector stops consuming as soon as it is ready: some reconnects of Celery's have made it so."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready

from telemetry.celery import process_app, process_settings

app = process_app()


@worker_ready.connect
def stop_consuming(sender: Any, **_: Any) -> None:
    """Cancel the consumer of the queue; the worker lives on."""
    sender.call_soon(sender.cancel_task_queue, process_settings().ingest_queue)
