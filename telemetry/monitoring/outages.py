"""One line a process for each time that the broker is lost, in place of those that Celery and Flower log at each try.

What they log is a line when a connection breaks, one at each attempt to make it anew, and a traceback for each message that
cannot be sent. A loss is over when the worker has connected again or a message was sent; where neither is heard of, as in
Flower, when nothing was logged about it for QUIET_S.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import redis
from celery.signals import after_task_publish
from kombu.exceptions import OperationalError

# Loggers that tell of a lost connection, with the exception among their arguments.
TELLERS = ("celery.app.trace", "celery.beat", "celery.worker.consumer.consumer", "flower.events")
LOSSES = (redis.ConnectionError, redis.TimeoutError, OperationalError, ConnectionError, TimeoutError)
# After a freeze of the broker all events come late. Nothing here compares the clocks of two machines.
DRIFT, DRIFT_TELLER = "Substantial drift from", "celery.events.state"
# Longer than the pauses between attempts.
QUIET_S = 120.0


@dataclass(slots=True)
class Outage:
    """Whether the broker is lost, as far as this process was told."""

    told_s: float | None = None

    def is_news(self, now_s: float) -> bool:
        """Whether a loss that is told of now was not told of yet."""
        before_s, self.told_s = self.told_s, now_s
        return before_s is None or now_s - before_s > QUIET_S

    def over(self, **_: Any) -> None:
        """The broker answers."""
        self.told_s = None


outage = Outage()


def install() -> None:
    """Look at what these loggers say in this process."""
    for name in TELLERS:
        logging.getLogger(name).addFilter(once)
    logging.getLogger(DRIFT_TELLER).addFilter(_is_no_drift)
    after_task_publish.connect(outage.over, weak=False, dispatch_uid="telemetry.outages")


def once(record: logging.LogRecord) -> bool:
    """For `logging`: lets the first record about a loss pass, as one sentence, and holds back the others."""
    error = _loss(record)
    if error is None:
        return True
    if not outage.is_news(time.monotonic()):
        return False
    record.msg, record.args = "the broker is lost, and tried again until it answers: %s", (error,)
    record.exc_info = record.exc_text = record.stack_info = None
    return True


def _loss(record: logging.LogRecord) -> BaseException | None:
    args = record.args if isinstance(record.args, tuple) else ()
    candidates = [*args, record.exc_info[1] if record.exc_info else None]
    return next((error for error in candidates if isinstance(error, LOSSES)), None)


def _is_no_drift(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(DRIFT)
