"""Tells an edge which of its batches are committed. Written after the commit only, so an acknowledgement is never a promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis

from telemetry.progress.keys import Keys


@dataclass(frozen=True, slots=True)
class Acks:
    """Where acknowledgements go: a hash a source, which expires if nobody fetches it."""

    client: redis.Redis
    keys: Keys
    ttl_s: int

    def send(self, acks: Iterable[tuple[str, str, str, str]]) -> int:
        """Acknowledge batches, each (edge, source id, batch id, `stored` or `dead`), in one round trip.

        Returns the broker's clock at that, in microseconds; 0 if there was nothing to acknowledge.
        """
        by_key: dict[str, dict[Any, Any]] = {}
        for edge, source_id, batch_id, status in acks:
            by_key.setdefault(self.keys.acks(edge, source_id), {})[batch_id] = status
        if not by_key:
            return 0
        with self.client.pipeline(transaction=False) as pipeline:
            for key, statuses in by_key.items():
                pipeline.hset(key, mapping=statuses)
                pipeline.expire(key, self.ttl_s)
            pipeline.time()
            seconds, micros = pipeline.execute()[-1]
        return int(seconds) * 1_000_000 + int(micros)
