"""How often a batch that went alone has cost the process that worked on it its life, or all of its time.

An attempt is noted in the broker before it begins and removed when it ends in order, whatever it ended with; so it stays
noted when nobody is left to count: the process, or the whole container, is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import redis

from telemetry.progress.keys import Keys

log = logging.getLogger(__name__)

MOST = 4
# Long enough to see it again after the visibility timeout some times, short enough to forgive accidents.
REMEMBER_S = 86_400


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts by the names of messages; `connected` lends a client. Without the broker nothing is counted."""

    connected: Callable[[], AbstractContextManager[redis.Redis]]
    keys: Keys
    most: int = MOST

    def begin(self, message_id: str) -> bool:
        """Note one. Says whether there were too many before it."""
        key = self.keys.attempts(message_id)
        try:
            with self.connected() as client, client.pipeline(transaction=False) as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, REMEMBER_S)
                count, _ = pipeline.execute()
        except redis.RedisError as error:
            log.warning("cannot count the attempts at %s: %s", message_id, error)
            return False
        return int(count) > self.most

    def settled(self, message_id: str) -> None:
        """The batch is stored, or buried."""
        with suppress(redis.RedisError), self.connected() as client:
            client.delete(self.keys.attempts(message_id))

    def excused(self, message_id: str) -> None:
        """The last attempt failed of something that is not the batch's fault."""
        key = self.keys.attempts(message_id)
        with suppress(redis.RedisError), self.connected() as client, client.pipeline(transaction=False) as pipeline:
            pipeline.decr(key)
            pipeline.expire(key, REMEMBER_S)
            pipeline.execute()
