"""kombu's Redis transport for many small messages: fetched many at once, noted as unacknowledged late, or never.

As it comes it fetches one message a round trip, writes each back to Redis, and removes it there when it is acknowledged: three
round trips a message, one of them with its whole body. Here BLMPOP fetches as many as there is room for (Redis 7, Valkey; on an
older server BRPOP goes on), and a message is noted after it has been held for a second, when most are done. A worker that
dies within that second takes its messages with it: the window makes that good, as it does the same loss between
kombu's fetch and note (docs/MESSAGE_QUEUE_DESIGN.md).
"""

from __future__ import annotations

import base64
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import ResponseError

log = logging.getLogger(__name__)

WRITE_AFTER_S = 1.0
WRITE_EVERY_S = 0.25
MOST_FETCHED = 64


# kombu's stubs know little of its transports.
_Channel: Any = redis.Channel


class Message(virtual.Message):
    """A message; what is none becomes one, whose body is what was pushed, for the task that keeps it."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
            self._check()
        except Exception:  # noqa: BLE001 - bytes of a stranger
            queue, raw = channel.fetched
            log.error("what was pushed to %s is no message: %r", queue, raw[:200])  # noqa: TRY400
            super().__init__(wrapped(raw, queue, channel.stray_task), channel=channel, **kwargs)

    def _check(self) -> None:
        """Raise an error if there is anything that Celery or our consumer would stumble over."""
        headers: Any = self.headers
        place: Any = self.delivery_info
        texts = (self.delivery_tag, self.content_type, self.content_encoding, place["exchange"], place["routing_key"])
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("what must be text is none")
        if not all(isinstance(headers.get(name), str | None) for name in ("task", "id")):
            raise TypeError("task or id is no text")


def wrapped(raw: bytes, queue: str, task: str | None) -> dict[str, Any]:
    """A call of a task on a queue, as kombu has it, whose body is something."""
    name = str(uuid.uuid4())
    return {
        "body": base64.b64encode(raw).decode(),
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "headers": {"task": task, "id": name},
        "properties": {
            "delivery_tag": name,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }


class LateQoS(redis.QoS):
    """Notes of a channel. `room` says how many more messages its consumer wants."""

    room: Callable[[], int] = staticmethod(lambda: 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unwritten: dict[str, tuple[float, float, Any]] = {}
        self._over: list[str] = []

    @property
    def behind(self) -> bool:
        """Whether anything is left for `write`."""
        return bool(self._unwritten or self._over)

    def can_consume(self) -> bool:
        """Whether to fetch another message."""
        return bool(self.room() > 0 and super().can_consume())

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was fetched."""
        # What a stranger pushed without saying whereto cannot be put back: nothing to note.
        if {"exchange", "routing_key"} <= set(message.delivery_info or ()):
            self._unwritten[delivery_tag] = (time.monotonic(), time.time(), message)
            self._arm()
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message."""
        if self._unwritten.pop(delivery_tag, None) is None:
            self._over.append(delivery_tag)
            self._arm()
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message, or put it back where it was: at the front of the queue, its right end. kombu takes the other."""
        if not requeue:
            self.ack(delivery_tag)
            return
        self._put_back(delivery_tag, last=False)

    def reject_to_end(self, delivery_tag: str) -> None:
        """Put a message back behind all others."""
        self._put_back(delivery_tag, last=True)

    def restore_unacked(self, client: Any = None) -> None:
        """Put all messages back, at a shutdown: the oldest last, so that it is the first again."""
        self.write(0.0)
        held: dict[str, Any] = self._delivered or {}
        for delivery_tag in reversed(held):
            self.restore_by_tag(delivery_tag, client)
        held.clear()

    def _arm(self) -> None:
        # A channel that is closed has none.
        transport: Any = self.channel.connection
        if transport:
            transport.arm()

    def _put_back(self, delivery_tag: str, *, last: bool) -> None:
        self.write(0.0)
        self.restore_by_tag(delivery_tag, leftmost=last)
        virtual.QoS.ack(self, delivery_tag)

    def write(self, older_than_s: float = WRITE_AFTER_S) -> None:
        """Bring the notes in Redis up to date, but for the young ones. After an error the next call goes on."""
        before_s = time.monotonic() - older_than_s
        due = {tag: noted for tag, noted in self._unwritten.items() if noted[0] <= before_s}
        over = list(self._over)
        if not due and not over:
            return
        with self.pipe_or_acquire() as pipe:
            for tag, (_, fetched_at, message) in due.items():
                place = message.delivery_info
                pipe.zadd(self.unacked_index_key, {tag: fetched_at})
                pipe.hset(self.unacked_key, tag, dumps([message._raw, place["exchange"], place["routing_key"]]))  # noqa: SLF001
            if over:
                pipe.zrem(self.unacked_index_key, *over)
                pipe.hdel(self.unacked_key, *over)
            pipe.execute()
        for tag in due:
            self._unwritten.pop(tag, None)
        del self._over[: len(over)]


class Channel(_Channel):  # type: ignore[misc]
    """A channel with late notes that fetches many messages at once. `stray_task` is given what is no message."""

    QoS = LateQoS
    Message = Message
    from_transport_options = (*_Channel.from_transport_options, "stray_task")
    stray_task: str | None = None
    fetched = ("", b"")
    _many = True

    def _brpop_start(self, timeout: int | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        client: Any = self.client
        self._in_poll = client.connection
        self._brpop_sent_at = time.monotonic()
        room = max(1, min(self.qos.room(), MOST_FETCHED))
        timeout = timeout or self.brpop_timeout
        if self._many:
            client.connection.send_command("BLMPOP", timeout, len(queues), *queues, "RIGHT", "COUNT", room)
        else:
            client.connection.send_command("BRPOP", *queues, timeout)

    def _brpop_read(self, **options: Any) -> bool:
        client: Any = self.client
        try:
            found = client.parse_response(client.connection, "BLMPOP" if self._many else "BRPOP", **options)
        except self.connection_errors:
            client.connection.disconnect()
            raise
        except ResponseError as error:
            if "unknown command" not in str(error):
                raise
            self._many = False
            return False
        finally:
            self._in_poll = False
        if not found:
            raise Empty
        queue, messages = bytes_to_str(found[0]), found[1] if self._many else [found[1]]
        for message in messages:
            self.fetched = (queue, message)
            try:
                payload = loads(bytes_to_str(message))
            except Exception:  # noqa: BLE001 - bytes of a stranger
                payload = None
            self.connection._deliver(payload, queue)  # noqa: SLF001
        return True


class Transport(redis.Transport):
    """The transport, which writes the notes from its consumer's loop, and wakes it for that only while there are any."""

    Channel = Channel
    _loop: Any = None
    is_armed = False

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Be called by a worker's loop."""
        super().register_with_event_loop(connection, loop)
        self._loop = loop

    def arm(self) -> None:
        """Write notes soon, if there is a loop."""
        if self._loop is not None and not self.is_armed:
            self.is_armed = True
            self._loop.call_later(WRITE_EVERY_S, self._write)

    def _write(self) -> None:
        self.is_armed = False
        notes: list[Any] = [channel.qos for channel in self.channels or ()]
        try:
            for each in notes:
                # The loop notices by itself, and a broker out of memory may take them later.
                with suppress(*self.connection_errors, *self.channel_errors):
                    each.write()
        finally:
            if any(each.behind for each in notes):
                self.arm()
