"""kombu's Redis transport, changed for many small messages: it fetches many at once, and notes late which are unacknowledged.

kombu's own transport fetches one message a round trip, writes each back to Redis as unacknowledged, and removes that note when
the message is acknowledged: three round trips a message, one of them with its whole body. Here one BLMPOP fetches as many
messages as there is room for (Redis 7 and Valkey; an older server gets BRPOP). A message is noted only after it has been held
for a second, when most are acknowledged. A worker that dies within that second loses its messages. The edge's window publishes
them again, as it does after the same loss between kombu's fetch and note (docs/MESSAGE_QUEUE_DESIGN.md).

A worker that lives renews its notes, so the visibility timeout is about workers that are gone or stand still. What is given
back counts how often it was delivered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from telemetry import failover
from telemetry.fetched import DELIVERIES, Message, beginning, deliveries
from telemetry.sentinels import Sentinels

log = logging.getLogger(__name__)

# A message is noted once it has been held for this long; notes are written this often.
WRITE_AFTER_S = 1.0
WRITE_EVERY_S = 0.25
# A note is renewed so many times in the visibility timeout.
RENEWALS = 4
MAX_FETCHED = 64


# kombu's stubs know little of its transports.
_Channel: Any = redis.Channel


class LateQoS(redis.QoS):
    """A channel's notes of unacknowledged messages. `room` returns how many more messages its consumer can take."""

    room: Callable[[], int] = staticmethod(lambda: 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By delivery tag: when it was fetched, on the monotonic clock and on the wall clock, and the message.
        self._unwritten: dict[str, tuple[float, float, Any]] = {}
        # Delivery tags that are noted in Redis, and those whose notes are to be removed.
        self._noted: set[str] = set()
        self._settled: list[str] = []
        # On the monotonic clock.
        self._renewed_s = time.monotonic()

    @property
    def behind(self) -> bool:
        """Whether `write` has anything to do, now or later."""
        return bool(self._unwritten or self._noted or self._settled)

    def can_consume(self) -> bool:
        """Whether to fetch another message."""
        return bool(self.room() > 0 and super().can_consume())

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message that was fetched; `write` notes it in Redis."""
        self._unwritten[delivery_tag] = (time.monotonic(), time.time(), message)
        self._arm()
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message."""
        if self._unwritten.pop(delivery_tag, None) is None:
            self._noted.discard(delivery_tag)
            self._settled.append(delivery_tag)
            self._arm()
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message, or put it back at the front of the queue: the list's right end (kombu's own takes the left)."""
        if not requeue:
            self.ack(delivery_tag)
            return
        self._put_back(delivery_tag, last=False)

    def reject_to_end(self, delivery_tag: str) -> None:
        """Put a message back behind all others."""
        self._put_back(delivery_tag, last=True)

    def restore_unacked(self, client: Any = None) -> None:
        """Put all messages back, the oldest last, so that it becomes the first again.

        If the broker does not take them, they come again by their notes, or from the edge's window, and the channel is closed
        all the same.
        """
        channel: Any = self.channel
        held: dict[str, Any] = self._delivered or {}
        with suppress(*channel.connection_errors, RedisError):
            self.write(0.0)
            for delivery_tag in reversed(held):
                self.restore_by_tag(delivery_tag, client)
        held.clear()
        self._noted.clear()

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Give back what workers that are gone have fetched. Only a worker does that: Flower may not, and fetches none."""
        # A closed channel has no transport.
        transport: Any = self.channel.connection
        if transport and transport.is_worker:
            super().restore_visible(*args, **kwargs)

    def _arm(self) -> None:
        # A closed channel has no transport.
        transport: Any = self.channel.connection
        if transport:
            transport.arm()

    def _put_back(self, delivery_tag: str, *, last: bool) -> None:
        self.write(0.0)
        self.restore_by_tag(delivery_tag, leftmost=last)
        self._noted.discard(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def write(self, older_than_s: float = WRITE_AFTER_S) -> None:
        """Bring the notes in Redis up to date, except those of younger messages. After an error the next call goes on."""
        now_s = time.monotonic()
        due = {tag: held for tag, held in self._unwritten.items() if held[0] <= now_s - older_than_s}
        renewed = set(self._noted) if now_s - self._renewed_s >= self.visibility_timeout / RENEWALS else set()
        settled = list(self._settled)
        if not due and not renewed and not settled:
            return
        with self.pipe_or_acquire() as pipe:
            for tag, (_, fetched_at, message) in due.items():
                place = message.delivery_info
                pipe.zadd(self.unacked_index_key, {tag: fetched_at})
                pipe.hset(self.unacked_key, tag, dumps([message._raw, place["exchange"], place["routing_key"]]))  # noqa: SLF001
            if renewed:
                # One that another worker has given back since stays given back.
                pipe.zadd(self.unacked_index_key, dict.fromkeys(renewed, time.time()), xx=True)
            if settled:
                pipe.zrem(self.unacked_index_key, *settled)
                pipe.hdel(self.unacked_key, *settled)
            pipe.execute()
        for tag in due:
            self._unwritten.pop(tag, None)
        self._noted.update(due)
        if renewed:
            self._renewed_s = now_s
        del self._settled[: len(settled)]


class Channel(_Channel):  # type: ignore[misc]
    """A channel with late notes that fetches many messages at once.

    `stray_task` gets bytes that are not a valid message, and the beginning of one of more than `max_message_bytes`. `sentinels`
    say where the primary is, if there are any.
    """

    QoS = LateQoS
    Message = Message
    connection_class = failover.Tcp
    connection_class_ssl = failover.Tls
    from_transport_options = (*_Channel.from_transport_options, "stray_task", "max_message_bytes", "sentinels")
    stray_task: str | None = None
    max_message_bytes = 1 << 62
    sentinels: Sentinels | None = None
    fetched = ("", b"")
    _many = True

    def close(self) -> None:
        """Close the channel, also if the read that is under way finds the connection broken; kombu would leave it half open."""
        if self._in_poll:
            with suppress(Empty, RedisError, *self.connection_errors):
                self._brpop_read()
        super().close()

    def _receive_one(self, c: Any) -> Any:
        """Read what a pub/sub connection has brought. Raises Disconnected if it is lost, or its server is the primary no more.

        redis-py would connect again by itself, and then wait here for the next message while the loop stands still.
        """
        if c.connection is not None:
            c.connection.retry = Retry(NoBackoff(), 0)
            # A Unix socket has no sentinels, and is no connection of ours.
            if self.sentinels and c.connection.is_outdated:
                self._in_listen = None
                raise Disconnected("another server is the primary")
        return super()._receive_one(c)

    def _connparams(self, **options: Any) -> Any:
        """Where to connect. Raises Disconnected on a closed channel, which kombu calls an AttributeError and Celery ends on."""
        if getattr(self.connection, "client", None) is None:
            raise Disconnected("the channel is closed")
        found = super()._connparams(**options)
        return found | {"sentinels": self.sentinels} if self.sentinels else found

    def _do_restore_message(self, payload: Any, *args: Any, **kwargs: Any) -> None:
        """Give a message back, which was delivered once more."""
        headers = payload.setdefault("headers", {})
        headers[DELIVERIES] = deliveries(headers) + 1
        super()._do_restore_message(payload, *args, **kwargs)

    def _brpop_start(self, timeout: int | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        client: Any = self.client
        self._in_poll = client.connection
        self._brpop_sent_at = time.monotonic()
        room = max(1, min(self.qos.room(), MAX_FETCHED))
        timeout = timeout or self.brpop_timeout
        if self._many:
            client.connection.send_command("BLMPOP", timeout, len(queues), *queues, "RIGHT", "COUNT", room)
        else:
            client.connection.send_command("BRPOP", *queues, timeout)

    def _brpop_read(self, **options: Any) -> bool:
        client: Any = self.client
        try:
            reply = client.parse_response(client.connection, "BLMPOP" if self._many else "BRPOP", **options)
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
        if not reply:
            raise Empty
        queue, messages = bytes_to_str(reply[0]), reply[1] if self._many else [reply[1]]
        for message in messages:
            self.fetched = (queue, message)
            try:
                is_long = len(message) > self.max_message_bytes
                payload = beginning(message, queue, self.stray_task) if is_long else loads(bytes_to_str(message))
            except Exception:  # noqa: BLE001 - bytes of a stranger
                payload = None
            self.connection._deliver(payload, queue)  # noqa: SLF001
        return True


class Transport(redis.Transport):
    """The transport. It writes notes from its consumer's loop, and wakes the loop for that only while there are any."""

    Channel = Channel
    _loop: Any = None
    is_armed = False

    @property
    def is_worker(self) -> bool:
        """Whether a worker's loop drives it, so that notes are written."""
        return self._loop is not None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Remember the worker's loop."""
        self._loop = loop
        super().register_with_event_loop(connection, loop)

    def arm(self) -> None:
        """Write notes soon, if there is a loop."""
        if self.is_worker and not self.is_armed:
            self.is_armed = True
            self._loop.call_later(WRITE_EVERY_S, self._write)

    def _write(self) -> None:
        self.is_armed = False
        notes: list[Any] = [channel.qos for channel in self.channels or ()]
        try:
            for qos in notes:
                # The loop notices a lost connection by itself, and a broker out of memory may take the notes later.
                with suppress(*self.connection_errors, *self.channel_errors):
                    qos.write()
        finally:
            if any(qos.behind for qos in notes):
                self.arm()
