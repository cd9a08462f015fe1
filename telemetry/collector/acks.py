"""Tells an edge which of its batches are committed. Written after the commit only, so an acknowledgement is never a promise."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from telemetry.keys import Keys


@dataclass(frozen=True, slots=True)
class Acks:
    """Where acknowledgements go: a hash a source, which expires if nobody fetches it."""

    client: redis.Redis
    keys: Keys
    ttl_s: int

    def send(self, edge: str, source_id: str, batch_id: str, status: str) -> int:
        """Acknowledge one batch as `stored` or `dead`. The broker's clock at that, in microseconds."""
        key = self.keys.acks(edge, source_id)
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, batch_id, status)
            pipeline.expire(key, self.ttl_s)
            pipeline.time()
            seconds, micros = pipeline.execute()[-1]
        return int(seconds) * 1_000_000 + int(micros)
