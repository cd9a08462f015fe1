"""Gunicorn's configuration: `gunicorn --config python:telemetry.api.serving 'telemetry.api:create_app()'`.

It gives the workers one place to count in, before they are forked, and log lines their form.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from telemetry.monitoring import logs, shared
from telemetry.settings import Settings


def on_starting(_server: Any) -> None:
    """In the master, before there is a worker, which inherits all of it."""
    shared.share()
    settings = Settings.load(os.environ)
    logs.configure(settings)
    for name in ("gunicorn.error", "gunicorn.access"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(logs.formatter(settings))
