"""Counts the attempts at a message that broke the process: killed it, used up its time limit, or raised an error that is a bug.

Only messages that go alone are counted, so that the message is to blame, and only once the database has answered: a process
that waits for it may be killed for that. An attempt is noted in the broker before the message is looked at, and removed when
its batch is settled or the surroundings were to blame. So it stays noted when the process, or the whole container, is gone.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

import redis

from telemetry.progress.keys import Keys

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
# Long enough for a message to come again after the visibility timeout some times, short enough to forgive accidents.
REMEMBER_S = 86_400


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts, by the ids of messages. While the broker is away nothing is counted."""

    client: redis.Redis
    keys: Keys
    limit: int = MAX_ATTEMPTS

    def begin(self, message_id: str) -> bool:
        """Note an attempt that begins. Returns whether there were too many before it."""
        key = self.keys.attempts(message_id)
        try:
            with self.client.pipeline(transaction=False) as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, REMEMBER_S)
                count, _ = pipeline.execute()
        except redis.RedisError as error:
            log.warning("cannot count the attempts at message %s: %s", message_id, error)
            return False
        return int(count) > self.limit

    def settled(self, message_id: str) -> None:
        """Forget a message: its batch is stored, or kept as a dead letter."""
        with suppress(redis.RedisError):
            self.client.delete(self.keys.attempts(message_id))

    def excused(self, message_id: str) -> None:
        """Take the last attempt back: it failed because of the surroundings."""
        key = self.keys.attempts(message_id)
        with suppress(redis.RedisError):
            # The broker may have been away when the attempt was to be noted.
            if self.client.decr(key) <= 0:
                self.client.delete(key)
