"""Tells edges which of their batches are settled. Written after the commit only: an acknowledgement is never a promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import redis

from telemetry import broker
from telemetry.progress.keys import Keys


class Ack(NamedTuple):
    """A batch that is settled: stored, or dead."""

    edge: str
    source_id: str
    batch_id: str
    status: Literal["stored", "dead"]


@dataclass(frozen=True, slots=True)
class Acks:
    """Where acknowledgements go: one hash for each source, which expires if nobody fetches it."""

    client: redis.Redis
    keys: Keys
    ttl_s: int

    def send(self, acks: Iterable[Ack]) -> int:
        """Acknowledge batches in one round trip.

        Returns the broker's clock at that moment, in microseconds; 0 if there was nothing to acknowledge.
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
            return broker.microseconds(*pipeline.execute()[-1])
