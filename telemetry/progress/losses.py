"""Ranges that are lost: bytes of a source that were not committed and are no longer there. Kept in Redis for a person to see.

A range is recorded once, however often it is found lost; the latest MAX_RANGES are kept, as long as an edge's sources are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import redis

from telemetry import broker
from telemetry.progress import reading
from telemetry.progress.claims import REMEMBER_S
from telemetry.progress.keys import Keys
from telemetry.readings.reported import Lost

log = logging.getLogger(__name__)

MAX_RANGES = 1000


class LostRange(msgspec.Struct, frozen=True):
    """Bytes [start, end) of a file, and how they were lost."""

    path: str
    fingerprint: str
    start: int
    end: int
    reason: str


class Loss(NamedTuple):
    """A range that an edge has lost, and when it was recorded (seconds since 1970, broker's clock)."""

    edge: str
    lost: LostRange
    recorded_s: float


@dataclass(frozen=True, slots=True)
class Losses:
    """Where an edge records what it lost."""

    client: redis.Redis
    keys: Keys
    edge: str

    def record(self, lost: LostRange) -> None:
        """Record a range, and log it as an error."""
        log.error(
            "LOST: bytes %d to %d of %s were not committed, and %s (%s)",
            *(lost.start, lost.end, lost.path, lost.reason, lost.fingerprint),
        )
        key = self.keys.lost(self.edge)
        now_s = broker.now_us(self.client) / 1_000_000
        with self.client.pipeline() as pipeline:
            # As the version before wrote it, to the letter: the text is what a range is known by.
            document = json.dumps(msgspec.to_builtins(lost), separators=(",", ":"))
            pipeline.zadd(key, {document: now_s}, nx=True)
            pipeline.zremrangebyrank(key, 0, -MAX_RANGES - 1)
            pipeline.expire(key, REMEMBER_S)
            pipeline.execute()

    def withdraw(self, committed: Mapping[tuple[str, str], int], reasons: Collection[str]) -> None:
        """Remove ranges that were lost for one of these reasons, and are committed after all: their file came back.

        `committed`: how far files are committed now, by path and fingerprint.
        """
        key = self.keys.lost(self.edge)
        documents: list[bytes] = self.client.zrange(key, 0, -1)  # type: ignore[assignment]
        for document in documents:
            lost = decoded(document)
            if lost and lost.reason in reasons and committed.get((lost.path, lost.fingerprint), -1) >= lost.end:
                self.client.zrem(key, document)
                place = (lost.start, lost.end, lost.path)
                log.warning("bytes %d to %d of %s are not lost: the file came back, and they are committed", *place)


def forget(client: redis.Redis, keys: Keys, edge: str, path: str) -> int:
    """Remove what an edge has lost of the files at a path. Returns how many ranges that were."""
    key = keys.lost(edge)
    documents: list[bytes] = client.zrange(key, 0, -1)  # type: ignore[assignment]
    gone = [document for document in documents if (lost := decoded(document)) and lost.path == path]
    return int(client.zrem(key, *gone)) if gone else 0


def decoded(document: bytes) -> LostRange | None:
    """The range that an edge wrote; None for what cannot be read, as the edge may write what it likes."""
    try:
        return msgspec.json.decode(document, type=LostRange)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        log.warning("what an edge wrote as a lost range cannot be read: %r", document[:200])
        return None


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order; those that touch become one."""
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        joined.append((joined.pop()[0] if joined and joined[-1][1] == start else start, end))
    return joined


def given_up(recorded: Iterable[Loss]) -> list[Lost]:
    """What the edges have lost, for the audit of gaps."""
    return [Lost(loss.edge, loss.lost.fingerprint, loss.lost.start, loss.lost.end) for loss in recorded]


def of_edge(client: redis.Redis, keys: Keys, edge: str) -> list[Loss]:
    """What an edge has lost, oldest first."""
    entries: list[tuple[bytes, float]] = client.zrange(keys.lost(edge), 0, -1, withscores=True)  # type: ignore[assignment]
    return [Loss(edge, lost, float(at_s)) for document, at_s in entries if (lost := decoded(document))]


def of_all_edges(client: redis.Redis, keys: Keys, max_edges: int | None = None) -> list[Loss]:
    """What each edge has lost; of so many edges at most."""
    return [loss for edge in reading.edges(client, keys)[:max_edges] for loss in of_edge(client, keys, edge)]
