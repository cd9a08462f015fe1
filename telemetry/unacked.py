"""Notes in Redis of messages that a worker fetched and has not acknowledged, written late.

kombu writes each message back to Redis as unacknowledged when it is fetched, and removes that note when it is acknowledged: two
round trips a message, one of them with its whole body. Here a message is noted only after it has been held for a second, when
most are acknowledged. A worker that dies within that second loses its messages. The edge's window publishes them again, as it
does after the same loss between kombu's fetch and note (docs/MESSAGE_QUEUE_DESIGN.md).

A worker that lives renews its notes, so the visibility timeout is about workers that are gone or stand still. What it held when
it lost its connection it gives back over the next one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import dumps
from redis.exceptions import RedisError

# A message is noted once it has been held for this long.
WRITE_AFTER_S = 1.0
# A note is renewed so many times in the visibility timeout.
RENEWALS = 4

# What lost connections left, by broker and set of notes. By delivery tag, newest first: a message to be noted, None if it is.
_left: defaultdict[tuple[str, str], dict[str, Any]] = defaultdict(dict)


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
        broker: Any = self.channel.connection
        self._left = _left[broker.client.as_uri(), self.unacked_key]
        # On the monotonic clock.
        self._renewed_s = time.monotonic()

    @property
    def behind(self) -> bool:
        """Whether `write` has anything to do, now or later."""
        return bool(self._unwritten or self._noted or self._settled or self._left)

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

        If the broker does not take them now, this process puts them back over its next connection, and the channel is closed
        all the same.
        """
        channel: Any = self.channel
        held: dict[str, Any] = self._delivered or {}
        for delivery_tag in reversed(held):
            self._left[delivery_tag] = self._unwritten.pop(delivery_tag, (0.0, 0.0, None))[2]
        held.clear()
        self._noted.clear()
        with suppress(*channel.connection_errors, RedisError):
            # It first removes the notes of what is settled.
            self.write()

    def _restore_left(self) -> None:
        """Put back what connections that are lost left. After an error the next call goes on."""
        with self.pipe_or_acquire() as pipe:
            for delivery_tag, message in self._left.items():
                if message is not None:
                    self._note(pipe, delivery_tag, time.time(), message)
            pipe.execute()
        for delivery_tag in list(self._left):
            # Of one that another worker has put back since there is no note.
            self.restore_by_tag(delivery_tag)
            del self._left[delivery_tag]

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
        if due or renewed or settled:
            self._bring_up_to_date(due, renewed, settled)
            self._unwritten = {tag: held for tag, held in self._unwritten.items() if tag not in due}
            self._noted.update(due)
            self._renewed_s = now_s if renewed else self._renewed_s
            del self._settled[: len(settled)]
        if self._left:
            self._restore_left()

    def _bring_up_to_date(
        self, due: Mapping[str, tuple[float, float, Any]], renewed: Collection[str], settled: Collection[str]
    ) -> None:
        with self.pipe_or_acquire() as pipe:
            for tag, (_, fetched_at, message) in due.items():
                self._note(pipe, tag, fetched_at, message)
            if renewed:
                # One that another worker has given back since stays given back.
                pipe.zadd(self.unacked_index_key, dict.fromkeys(renewed, time.time()), xx=True)
            if settled:
                pipe.zrem(self.unacked_index_key, *settled)
                pipe.hdel(self.unacked_key, *settled)
            pipe.execute()

    def _note(self, pipe: Any, delivery_tag: str, fetched_at: float, message: Any) -> None:
        place = message.delivery_info
        pipe.zadd(self.unacked_index_key, {delivery_tag: fetched_at})
        pipe.hset(self.unacked_key, delivery_tag, dumps([message._raw, place["exchange"], place["routing_key"]]))  # noqa: SLF001
