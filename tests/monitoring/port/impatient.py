"""The application with an impatient heart; with IMPATIENT_STALL in the environment a worker's loop stands still after a while.

Loaded by a worker of the tests: `celery -A tests.monitoring.port.impatient worker`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from celery import bootsteps

from telemetry.celery import process_app
from telemetry.monitoring.port import connection, heartbeat, worker

app = process_app()
heartbeat.LIMIT_S = 4.0
# A question to a silent broker and the pause after it stay below that limit together.
connection.INTERVAL_S = 0.5
worker.INTERVAL_S = 0.5  # type: ignore[attr-defined]


class Stall(bootsteps.StartStopStep):
    """Lets the consumer's timer run into something that never ends."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Soon."""
        parent.timer.call_after(3.0, time.sleep, (600,))


if "IMPATIENT_STALL" in os.environ:
    app.steps["consumer"].add(Stall)
