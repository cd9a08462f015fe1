"""Merges the messages that a worker fetches into groups: the strategy and the request of the ingest task.

A worker's main process holds messages undecoded and gives a group to the pool as one request of the task, which Celery then
treats like any other: time limits, lost processes, events, shutdown. If the request succeeds, each message is acknowledged to
the broker; otherwise each goes back. `coalesce` decides about groups, `tasks` about messages that break the worker.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery, Task
from celery.utils.log import get_logger
from celery.worker.request import Request
from celery.worker.state import task_reserved
from kombu.message import Message

from telemetry.collector.blocked import BlockedError
from telemetry.collector.coalesce import Buffer, Held
from telemetry.fetched import deliveries
from telemetry.monitoring import traces
from telemetry.readings.names import ROWS_HEADER
from telemetry.readings.wire import NewerVersionError
from telemetry.settings import Settings
from telemetry.store.partitions import PartitionError

log = get_logger(__name__)

# For a message without the header that counts its rows: the fewest bytes of a body that were seen to carry a reading.
BYTES_A_READING = 20
# A message that waits for somebody is held back for so long before it goes behind all others, or not at all if so many are.
PARKED_S = 5.0
MAX_PARKED = 200
# More messages of a newer version than these, of all edges or of one, are dropped: to hold them back would cost other edges.
MAX_NEWER = 50
MAX_NEWER_OF_AN_EDGE = 10
EVENTS_EVERY_S = 0.5

Fetched = tuple[Message, Callable[..., None], Callable[..., None]]


class GroupRequest(Request):
    """A request made of many messages. `waits` says, once it has failed, that a message of it waits for somebody.

    That is for a newer collector, as it is of a newer version and of the edge `newer_of`, for a partition that the database
    refuses, or for a lock that others do not need.
    """

    waits = False
    newer_of: str | None = None

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Note the failure, then do what Celery does."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        reason: Any = getattr(error, "reason", None)
        self.newer_of = reason.edge if isinstance(reason, NewerVersionError) else None
        self.waits = isinstance(reason, NewerVersionError | PartitionError | BlockedError)
        super().on_failure(exc_info, send_failed_event, return_ok)


class Coalescer:
    """The messages that one connection of a worker's consumer holds. Celery makes a new one for each connection."""

    def __init__(self, task: Task[..., Any], app: Celery, consumer: Any) -> None:
        settings: Settings = app.telemetry_settings  # type: ignore[attr-defined]
        self._buffer: Buffer[Fetched] = Buffer(settings.collector_batch_size, settings.poll_interval_s, settings.buffer_size)
        self._parked = 0
        self._newer: Counter[str] = Counter()
        self._task, self._app, self._consumer = task, app, consumer
        # The channel on which Celery starts to fetch next: the transport then asks for as many messages as there is room for.
        consumer.connection.default_channel.qos.room = self._buffer.room
        self._eventer = consumer.event_dispatcher
        if self._eventer:
            # Celery would send the events at each turn of its loop: a round trip a group, only for what Flower shows.
            self._eventer.on_send_buffered = None
            consumer.timer.call_repeatedly(EVENTS_EVERY_S, self._eventer.flush)
        self._working = 0
        self._pumping = False
        self._timer: Any = None

    def __call__(
        self, message: Message, body: Any, ack: Callable[..., None], reject: Callable[..., None], callbacks: Any, **_: Any
    ) -> None:
        """Hold a message that was fetched: a task message handler, in Celery's words."""
        headers = message.headers
        rows = headers.get(ROWS_HEADER)
        readings = rows if isinstance(rows, int) and rows >= 0 else len(message.body or b"") // BYTES_A_READING
        fetched = (message, ack, reject)
        self._buffer.add(Held(fetched, max(1, readings), time.monotonic(), deliveries(headers)))
        self._pump()

    def _pump(self) -> None:
        """Give the groups that are due to processes that are free; come again when the next is due."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._working < self._consumer.pool.num_processes and (group := self._buffer.take(time.monotonic())):
                self._submit(group)
        finally:
            self._pumping = False
        due_s = self._buffer.due_s()
        if due_s is not None and self._timer is None and self._working < self._consumer.pool.num_processes:
            self._timer = self._consumer.timer.call_after(max(0.0, due_s - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _submit(self, group: list[Held[Fetched]]) -> None:
        name = str(uuid.uuid4())
        messages = [(message.body, message.content_type, message.content_encoding) for message, _, _ in fetched(group)]
        parents = [message.headers[traces.HEADER] for message, _, _ in fetched(group) if traces.HEADER in message.headers]
        alone = id_of(group[0]) if group[0].deliveries and len(group) == 1 else None
        readings = sum(held.readings for held in group)
        headers: dict[str, Any] = {
            "lang": "py",
            "task": self._task.name,
            "id": name,
            "root_id": name,
            "parent_id": None,
            "argsrepr": f"{len(group)} batches, {readings} readings",
            "kwargsrepr": "",
            "ignore_result": True,
        }
        request: GroupRequest = GroupRequest(
            group[0].message[0],
            on_ack=lambda *args: self._stored(group, *args),
            on_reject=lambda logger, errors, _requeue: self._failed(request, group, logger, errors),
            app=self._app,
            hostname=self._consumer.hostname,
            eventer=self._eventer,
            task=self._task,
            connection_errors=self._consumer.connection_errors,
            body=((messages,), {"alone": alone, "parents": parents}, {}),
            headers=headers,
            decoded=True,
            utc=True,
        )
        self._working += 1
        request.send_event("task-received", name=self._task.name, args=headers["argsrepr"], kwargs="", root_id=name)
        task_reserved(request)
        self._consumer.on_task_request(request)

    def _failed(self, request: GroupRequest, group: list[Held[Fetched]], logger: Any, errors: Any) -> None:
        """Give a group back to the broker, whatever the failure; only of a newer version one is dropped where many are held."""
        edge = request.newer_of
        if edge is not None and len(group) == 1 and self._holds_too_many(edge):
            # Its edge has it in its window, and sends it again.
            log.warning("%d messages are held back already; one of a newer version, of %s, is dropped", self._parked, edge)
            self._tell(lambda ack, _: ack(logger, errors), fetched(group))
        elif request.waits and len(group) == 1:
            self._park(fetched(group)[0], edge)
        else:
            # Each goes to the front of the queue, so the oldest goes last.
            self._tell(lambda _, reject: reject(logger, errors, True), reversed(fetched(group)))
        self._done(group)

    def _holds_too_many(self, edge: str) -> bool:
        return self._parked >= MAX_NEWER or self._newer[edge] >= MAX_NEWER_OF_AN_EDGE

    def _park(self, message: Fetched, newer_of: str | None) -> None:
        """Hold a message that waits for somebody back, then put it behind all others, so that none of them waits for it."""
        channel: Any = message[0].channel

        def back() -> None:
            self._parked -= 1
            self._newer -= Counter({newer_of: 1} if newer_of else ())
            self._tell(lambda *_: channel.qos.reject_to_end(message[0].delivery_tag), [message])

        self._parked += 1
        self._newer.update([newer_of] if newer_of else ())
        self._consumer.timer.call_after(PARKED_S if self._parked <= MAX_PARKED else 0.0, back)

    def _stored(self, group: list[Held[Fetched]], *args: Any) -> None:
        self._tell(lambda ack, _: ack(*args), fetched(group))
        self._done(group)

    def _tell(self, tell: Callable[[Callable[..., None], Callable[..., None]], None], messages: Iterable[Fetched]) -> None:
        """Tell the broker about each message. If that fails, the broker delivers it again after the visibility timeout."""
        for message, ack, reject in messages:
            try:
                tell(ack, reject)
            except (*self._consumer.connection_errors, *self._consumer.channel_errors) as error:
                log.warning("cannot settle message %s with the broker, it will come again: %s", message.delivery_tag, error)

    def _done(self, group: list[Held[Fetched]]) -> None:
        self._working -= 1
        self._buffer.done(group)
        self._pump()


def fetched(group: list[Held[Fetched]]) -> list[Fetched]:
    """The messages of a group."""
    return [held.message for held in group]


def id_of(held: Held[Fetched]) -> str:
    """A message's id, which stays the same when it is delivered again."""
    return str(held.message[0].headers.get("id"))
