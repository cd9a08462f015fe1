"""The ingest task: decode nothing, decide nothing; call the service and say what became of the message.

A failure of the surroundings is tried again here, in the process, with growing pauses; then the message goes back to the queue.
"""

from __future__ import annotations

import random
import time
from functools import cache
from typing import Any

from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from telemetry import broker
from telemetry.celery import PERSIST, app, settings
from telemetry.collector.acks import Acks
from telemetry.collector.persist import SURROUNDINGS, Collector
from telemetry.keys import Keys
from telemetry.monitoring import trail
from telemetry.readings.wire import NewerVersionError
from telemetry.store.engine import make_engine

log = get_task_logger(__name__)

PAUSES_S = (0.1, 0.3, 1.0, 3.0, 6.0)
# Well below the soft time limit, at which a message would be dropped rather than requeued.
PATIENCE_S = 20.0
NEWER_PAUSE_S = 5.0


@cache
def collector() -> Collector:
    """This process's collector; made at the first message, so that pool children do not share connections."""
    acks = Acks(broker.connect(settings), Keys(settings.key_prefix), settings.ack_ttl_s)
    return Collector(settings, make_engine(settings, application="collector"), acks)


@app.task(name=PERSIST)
def persist(header: Any, payload: Any) -> None:
    """Persist one batch: see `telemetry.readings.wire` for the message."""
    with trail.about(header):
        _persist(header, payload)


def _persist(header: Any, payload: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for pause_s in (*PAUSES_S, None):
        try:
            outcome = collector().persist(header, payload)
        except NewerVersionError as error:
            log.warning("%s; it waits for a newer collector", error)
            time.sleep(NEWER_PAUSE_S)
            raise Reject(error, requeue=True) from None
        except SURROUNDINGS as error:
            trail.setback()
            log.warning("%s %s: %s", name_of(header), type(error).__name__, str(error).splitlines()[:1])
            if pause_s is None or time.monotonic() > deadline:
                raise Reject(error, requeue=True) from None
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        else:
            if outcome.error:
                log.error("%s is dead: %s", name_of(header), outcome.error)
            return


def name_of(header: Any) -> str:
    """What a log line calls a message."""
    known = header if isinstance(header, dict) else {}
    return f"edge={known.get('edge')} batch={known.get('batch_id')}"
