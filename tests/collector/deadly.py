"""A collector whose process dies, fails, or never comes back, when it meets certain batches. Only `test_consume` uses it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from celery.exceptions import SoftTimeLimitExceeded

from telemetry.celery import process_app
from telemetry.collector import tasks
from telemetry.collector.messages import Message
from telemetry.collector.persist import Collector

app = process_app()
app.conf.update(task_soft_time_limit=1, task_time_limit=2)

alive = Collector.persist_all


def deadly(self: Collector, messages: Sequence[Message]) -> Any:
    """Die, fail, overrun one of the time limits, or go on."""
    names = {header["batch_id"] for header, _ in messages if isinstance(header, dict)}
    if "deadly" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raising" in names:
        raise ZeroDivisionError("a bug")
    if "slow" in names:
        time.sleep(60)
    while "stuck" in names:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(60)
    return alive(self, messages)


tasks.BUG_PAUSE_S = 0.1
Collector.persist_all = deadly  # type: ignore[method-assign]
