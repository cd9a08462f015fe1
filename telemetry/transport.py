"""kombu's Redis transport for many small messages: fetched many at once, noted as unacknowledged late, or never.

As it comes it fetches one message a round trip, writes each back to Redis, and removes it there when it is acknowledged: three
round trips a message, one of them with its whole body. Here BLMPOP fetches as many as there is room for (Redis 7, Valkey; on an
older server BRPOP goes on), and a message is noted after it has been held for a second, when most are done. A worker that
dies within that second takes its messages with it: the window makes that good, as it does the same loss between
kombu's fetch and note (docs/MESSAGE_QUEUE_DESIGN.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
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


class LateQoS(redis.QoS):
    """Notes of a channel. `room` says how many more messages its consumer wants."""

    room: Callable[[], int] = staticmethod(lambda: 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unwritten: dict[str, tuple[float, float, Any]] = {}
        self._over: list[str] = []

    def can_consume(self) -> bool:
        """Whether to fetch another message."""
        return bool(self.room() > 0 and super().can_consume())

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was fetched."""
        # What a stranger pushed without saying whereto cannot be put back: nothing to note.
        if {"exchange", "routing_key"} <= set(message.delivery_info or ()):
            self._unwritten[delivery_tag] = (time.monotonic(), time.time(), message)
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message."""
        if self._unwritten.pop(delivery_tag, None) is None:
            self._over.append(delivery_tag)
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
    """A channel with late notes that fetches many messages at once."""

    QoS = LateQoS
    _many = True

    def _brpop_start(self, timeout: int | None = None) -> None:
        if not self._many:
            super()._brpop_start(timeout)
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        client: Any = self.client
        self._in_poll = client.connection
        self._brpop_sent_at = time.monotonic()
        room = max(1, min(self.qos.room(), MOST_FETCHED))
        client.connection.send_command("BLMPOP", timeout or self.brpop_timeout, len(queues), *queues, "RIGHT", "COUNT", room)

    def _brpop_read(self, **options: Any) -> bool:
        if not self._many:
            return bool(super()._brpop_read(**options))
        client: Any = self.client
        try:
            found = client.parse_response(client.connection, "BLMPOP", **options)
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
        queue, messages = found
        for message in messages:
            try:
                payload = loads(bytes_to_str(message))
            except ValueError:
                log.error("what was pushed to %s is no message and is dropped: %r", queue, message[:200])  # noqa: TRY400
                continue
            self.connection._deliver(payload, bytes_to_str(queue))  # noqa: SLF001
        return True


class Transport(redis.Transport):
    """The transport, which writes the notes from its consumer's loop."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Be called by a worker's loop."""
        super().register_with_event_loop(connection, loop)
        loop.call_repeatedly(WRITE_EVERY_S, self._write)

    def _write(self) -> None:
        for channel in self.channels or ():
            notes: Any = channel.qos
            try:
                notes.write()
            except (*self.connection_errors, *self.channel_errors):
                # The loop notices by itself, and a broker out of memory may take them later.
                continue
