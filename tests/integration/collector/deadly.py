"""A collector whose process dies when it meets a certain batch, as of a bug in a library. Only `test_consume` uses it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from telemetry.celery import app
from telemetry.collector.persist import Collector, Message

__all__ = ["app"]

alive = Collector.persist_all


def deadly(self: Collector, messages: Sequence[Message]) -> Any:
    """Die, or go on."""
    if any(isinstance(header, dict) and header["batch_id"] == "deadly" for header, _ in messages):
        os.kill(os.getpid(), signal.SIGKILL)
    return alive(self, messages)


Collector.persist_all = deadly  # type: ignore[method-assign]
