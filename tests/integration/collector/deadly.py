"""A collector whose process dies when it meets a certain batch, and which fails at another. Only `test_consume` uses it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from telemetry.celery import app
from telemetry.collector import tasks
from telemetry.collector.deadletters import Message
from telemetry.collector.persist import Collector

__all__ = ["app"]

alive = Collector.persist_all


def deadly(self: Collector, messages: Sequence[Message]) -> Any:
    """Die, fail, or go on."""
    names = {header["batch_id"] for header, _ in messages if isinstance(header, dict)}
    if "deadly" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raising" in names:
        raise ZeroDivisionError("a bug")
    return alive(self, messages)


tasks.LONG_PAUSE_S = 0.1
Collector.persist_all = deadly  # type: ignore[method-assign]
