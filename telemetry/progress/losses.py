"""Ranges that are lost: bytes of a source that were not committed and are no longer there. Kept in Redis for a person to see.

A range is told once, however often it is found; the latest MOST are kept, for as long as an edge remembers its sources.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import redis

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.progress.registry import REMEMBER_S

log = logging.getLogger(__name__)

MOST = 1000


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes [start, end) of a file, and how they were lost."""

    path: str
    fingerprint: str
    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Losses:
    """Where an edge enters what it lost."""

    client: redis.Redis
    keys: Keys
    edge: str

    def enter(self, lost: Range) -> None:
        """Record a range and say so."""
        log.error(
            "LOST: bytes %d to %d of %s were not committed, and %s (%s)",
            *(lost.start, lost.end, lost.path, lost.reason, lost.fingerprint),
        )
        key = self.keys.lost(self.edge)
        now_s = broker.now_us(self.client) / 1_000_000
        with self.client.pipeline() as pipeline:
            pipeline.zadd(key, {json.dumps(asdict(lost), separators=(",", ":")): now_s}, nx=True)
            pipeline.zremrangebyrank(key, 0, -MOST - 1)
            pipeline.expire(key, REMEMBER_S)
            pipeline.execute()


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, those that touch as one."""
    made: list[tuple[int, int]] = []
    for start, end in ranges:
        made.append((made.pop()[0] if made and made[-1][1] == start else start, end))
    return made


def lost_ranges(client: redis.Redis, keys: Keys, edge: str) -> list[tuple[Range, float]]:
    """What an edge has lost, each with the time it was found lost (seconds since 1970, broker's clock), oldest first."""
    found: Any = client.zrange(keys.lost(edge), 0, -1, withscores=True)
    return [(Range(**json.loads(text)), float(at)) for text, at in found]
