"""The ingest task: calls the service `persist` with the messages of a group, and logs what became of them.

A failure of the surroundings is tried again here, in the process, with growing pauses; then the messages go back to the queue.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from mmap import mmap
from typing import Any

import redis
from celery.exceptions import Reject, SoftTimeLimitExceeded
from celery.signals import worker_init
from celery.utils.log import get_task_logger
from kombu.serialization import loads, prepare_accept_content
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from telemetry import broker
from telemetry.celery import process_app, process_settings
from telemetry.collector.attempts import Attempts
from telemetry.collector.blame import DATABASE, ask_to_store, has_overrun, is_transient, others_stored
from telemetry.collector.blocked import WAITS, Blocked, BlockedError, is_lock
from telemetry.collector.consume import Coalescer, GroupRequest
from telemetry.collector.intake import Intake
from telemetry.collector.messages import Message, checked
from telemetry.collector.outcome import Outcome
from telemetry.collector.persist import Collector
from telemetry.collector.upkeep import Upkeep
from telemetry.monitoring import traces
from telemetry.monitoring.counters import stations
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings.names import PERSIST
from telemetry.readings.wire import NewerVersionError, WireError
from telemetry.store import durability, rules, silent_sessions
from telemetry.store.engine import make_engine
from telemetry.store.partitions import PartitionError
from telemetry.store.rules import OtherRulesError, Rule

log = get_task_logger(__name__)
app, settings = process_app(), process_settings()

PAUSES_S = (0.1, 0.3, 1.0, 3.0, 6.0)
# No new try after so long, which is well below the soft time limit.
PATIENCE_S = 20.0
BUG_PAUSE_S = 5.0
CONDEMNED = "too many attempts killed the process, failed, or used up the time limit"
blocked = Blocked()
ACCEPTED = prepare_accept_content(app.conf.accept_content)

# Whether one of the pool's processes has looked at the server's settings; they share it, as they are forked later.
looked = mmap(-1, 1)

# As kombu has them: body, content type, content encoding.
Body = tuple[bytes, str, str]


@cache
def engine() -> Engine:
    """This process's engine; made at the first message, so that pool children do not share connections."""
    return make_engine(settings, application="collector")


@cache
def client() -> redis.Redis:
    """This process's client of the broker."""
    return broker.connect(settings)


@cache
def collector() -> Collector:
    """This process's collector."""
    acks = Acks(client(), Keys(settings.key_prefix), settings.ack_ttl_s)
    return Collector(settings, engine(), acks, Intake.of(settings, client()))


@cache
def upkeep() -> Upkeep:
    """This process's upkeep."""
    return Upkeep(engine(), settings)


@app.task(name=PERSIST, Strategy=Coalescer, Request=GroupRequest)
def persist(bodies: Sequence[Body], *, alone: str | None = None, parents: Sequence[str] = ()) -> None:
    """Persist the batches in the bodies of some messages, each `(header, payload)`: see `telemetry.readings.wire`.

    `alone` is the id of the only message, if it was delivered before, and may have made that fail. `parents` are the spans of
    the publications.
    """
    begun_s = time.monotonic()
    messages = [opened(body) for body in bodies]
    with (
        stations.about(header for header, _ in messages),
        traces.span("persist batches", "consumer", parents=map(str, parents), batches=len(messages)),
    ):
        work(messages, alone)
    warn_of_unsafe_settings()
    upkeep().tend(time.monotonic() - begun_s)


@worker_init.connect
def refuse_other_rules(**_: Any) -> None:
    """End a collector that is set to other labels than the database has, with one line, before it takes a message."""
    own = make_engine(settings, application="collector")
    try:
        # A database that is away is waited for. Whatever this process is set to, it goes by the rules of the database.
        with suppress(SQLAlchemyError), own.begin() as connection:
            rules.check(connection, Rule.of(settings))
    except OtherRulesError as error:
        raise SystemExit(f"telemetry: {error}") from None
    finally:
        own.dispose()


def warn_of_unsafe_settings() -> None:
    """Say once in a collector, after its first commit, if the server may lose what it has committed."""
    if not looked[0]:
        with suppress(SQLAlchemyError), engine().connect() as connection:
            advice = durability.look(connection).advice
            looked[0] = 1
            if advice:
                log.warning("%s", advice)


@dataclass(slots=True)
class Trial:
    """The attempts at a message that goes alone. None are counted of a group, nor before the database takes batches."""

    alone: str | None
    attempts: Attempts
    is_counted: bool = False

    def is_condemned(self) -> bool:
        """Begin an attempt. Says whether there were too many before it. Raises database errors."""
        self.is_counted = False
        if not self.alone:
            return False
        ask_to_store(engine())
        self.is_counted = True
        return self.attempts.begin(self.alone)

    def failed(self, *, is_to_blame: bool) -> None:
        """The attempt that was begun has failed."""
        if self.alone and self.is_counted and not is_to_blame:
            self.attempts.excused(self.alone)

    def settled(self) -> None:
        """The message is settled."""
        if self.alone:
            self.attempts.settled(self.alone)


def work(messages: Sequence[Message], alone: str | None) -> None:
    """Persist messages. Tries again after a failure of the surroundings, and raises Reject if that does not help."""
    begun_s = time.monotonic()
    deadline = begun_s + PATIENCE_S
    trial = Trial(alone, Attempts(client(), Keys(settings.key_prefix)))
    if blocked.any_of(messages):
        if not alone:
            blocked.apart(messages, collector().persist_all, deadline)
        raise Reject(BlockedError(WAITS), requeue=True)
    for pause_s in (*PAUSES_S, None):
        try:
            if trial.is_condemned():
                collector().condemn(messages[0], WireError(CONDEMNED))
                trial.settled()
                return
            outcomes = collector().persist_all(messages)
        except Exception as error:
            if not is_transient(error):
                # A bug: the messages go back to the queue, and should not come again at once.
                time.sleep(BUG_PAUSE_S)
                raise
            stations.setback(of_database=isinstance(error, DATABASE))
            log.warning("%s: %s: %s", label(messages), type(error).__name__, str(error).partition("\n")[0])
            # Also makes all connections anew.
            trial.failed(is_to_blame=has_overrun(error, engine(), time.monotonic() - begun_s))
            if is_lock(error) and waits_for_others_alone(messages, begun_s, deadline):
                raise Reject(BlockedError(WAITS), requeue=True) from None
            is_final = isinstance(error, SoftTimeLimitExceeded | PartitionError)
            if pause_s is None or is_final or time.monotonic() > deadline:
                raise Reject(error, requeue=True) from None
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        else:
            trial.settled()
            report(messages, outcomes)
            return


def end_silent_sessions() -> None:
    """End sessions that keep locks and whose client has gone silent."""
    with suppress(SQLAlchemyError):
        if ended := silent_sessions.end(engine(), settings.statement_timeout_s):
            log.warning("ended %d sessions of the database that kept locks: their collectors have gone silent", ended)


def waits_for_others_alone(messages: Sequence[Message], begun_s: float, deadline: float) -> bool:
    """Whether a lock that some messages wait for keeps no others waiting: those are stored, and the sources left alone."""
    end_silent_sessions()
    if len(messages) > 1:
        return blocked.apart(messages, collector().persist_all, deadline)
    if others_stored(engine(), time.monotonic() - begun_s):
        blocked.leave(messages[0])
        return True
    return False


def report(messages: Sequence[Message], outcomes: Sequence[Outcome | NewerVersionError]) -> None:
    """Log which batches died. Raises Reject if a message must wait for a newer collector; the others are settled by then."""
    for message, outcome in zip(messages, outcomes, strict=True):
        if isinstance(outcome, NewerVersionError):
            log.warning("%s; the message waits for a newer collector", outcome)
            outcome.edge = str(message[0].get("edge"))
            raise Reject(outcome, requeue=True)
        if outcome.error:
            log.error("%s is dead: %s", label([message]), outcome.error)


def opened(body: Body) -> Message:
    """The header and payload in a body. A body that does not hold such a pair becomes a payload without a header."""
    try:
        (header, payload), _, _ = loads(*body, accept=ACCEPTED)
    except Exception:  # noqa: BLE001 - bytes of a stranger
        return None, body[0]
    return header, payload


def label(messages: Sequence[Message]) -> str:
    """How a log line refers to a group."""
    header = checked(messages[0][0]) or {}
    others = f" and {len(messages) - 1} more" if len(messages) > 1 else ""
    return f"edge={header.get('edge')} batch={header.get('batch_id')}{others}"
