"""A worker that takes the same messages from the same queue and does nothing with them: what Celery alone costs.

Late acknowledgements as ours, everything else Celery's default.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app = Celery("noop", broker=os.environ.get("TELEMETRY_BROKER_URL"), set_as_current=False)
app.conf.update(
    task_default_queue=os.environ.get("BENCH_QUEUE", "celery"),
    task_default_exchange_type="direct",
    task_acks_late=True,
    task_ignore_result=True,
    accept_content=["json", "msgpack"],
    broker_connection_retry_on_startup=True,
)


@app.task(name="telemetry.collector.persist")
def nothing(header: Any, payload: Any) -> None:
    """Do nothing."""
