"""A worker's application whose process has no descriptor left once it is ready."""

from __future__ import annotations

import resource
from typing import Any

from celery.signals import worker_ready

from telemetry.celery import process_app

app = process_app()


@worker_ready.connect
def exhaust(**_: Any) -> None:
    """From now on nothing can be opened; what is open stays so."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
