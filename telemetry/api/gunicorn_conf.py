"""Gunicorn's configuration: `gunicorn --config python:telemetry.api.gunicorn_conf 'telemetry.api:create_app()'`.

Before the workers are forked, it gives them one place to count in, and log lines their format. In JSON there is a line for
every request; on a terminal those would hide what matters.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from telemetry import garbage
from telemetry.api.core import request_log
from telemetry.api.page import provider
from telemetry.monitoring import logs
from telemetry.monitoring.counters import shared
from telemetry.settings import Settings, SettingsError

worker_class = "telemetry.api.front.Front"


def on_starting(server: Any) -> None:
    """Runs in the master before there is a worker. Workers inherit all of it."""
    try:
        settings = Settings.load(os.environ)
        provider.check(settings)
    except SettingsError as error:
        raise SystemExit(f"telemetry: {error}") from None
    long, threads = settings.api_streams + settings.api_uploads, server.cfg.threads
    if long >= threads:
        raise SystemExit(
            f"TELEMETRY_API_STREAMS and TELEMETRY_API_UPLOADS are {long} together, but must be less than the {threads} threads"
            " of a process: raise --threads, or lower one of them"
        )
    shared.share()
    logs.configure(settings)
    for name in ("gunicorn.error", "gunicorn.access"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(logs.formatter(settings))
    if settings.log_format == "json":
        request_log.log.setLevel(logging.INFO)


def post_worker_init(_worker: Any) -> None:
    """Runs in each worker once the application is made, so that no request waits for a garbage collection of it."""
    garbage.settle()
