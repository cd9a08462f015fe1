"""kombu's Redis transport, changed for many small messages: it fetches many at once, and notes late which are unacknowledged.

kombu's own transport fetches one message a round trip. Here one BLMPOP fetches as many messages as there is room for (Redis 7
and Valkey; an older server gets BRPOP). A message that is given back counts how often it was delivered. Which messages are
unacknowledged is noted by `unacked`.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from queue import Empty
from typing import Any

from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from telemetry import failover
from telemetry.fetched import DELIVERIES, Message, beginning, deliveries
from telemetry.sentinels import Sentinels
from telemetry.unacked import LateQoS

log = logging.getLogger(__name__)

# Notes are written this often.
WRITE_EVERY_S = 0.25
MAX_FETCHED = 64


# kombu's stubs know little of its transports.
_Channel: Any = redis.Channel


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
        parameters = super()._connparams(**options)
        return parameters | {"sentinels": self.sentinels} if self.sentinels else parameters

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
        # The connection before may have left messages.
        self.arm()

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
