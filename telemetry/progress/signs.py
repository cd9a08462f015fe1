"""Signs of life of the edges that stream for good: when each came last, and how overdue the next one is.

A streamer announces its edge at its ticks (`claims.Claims.expect`). An edge is silent while its next sign is overdue, whether
its streamer was killed, stopped in order, or cannot reach the broker. All times are the broker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

import redis

from telemetry import broker
from telemetry.progress.claims import REMEMBER_S
from telemetry.progress.keys import Keys

# A time in ms, of any year that Python knows.
MAX_DIGITS = 15


class Sign(NamedTuple):
    """When an edge announced itself last, and until when it must do so again. Edges of the version before do not say when."""

    seen_ms: int | None
    until_ms: int

    def age_s(self, now_us: int) -> float:
        """How long ago it announced itself."""
        return max(0.0, now_us / 1000 - (self.until_ms if self.seen_ms is None else self.seen_ms)) / 1000

    def silent_s(self, now_us: int) -> float:
        """For how long the next sign is overdue; 0 while it is not."""
        return max(0.0, now_us / 1000 - self.until_ms) / 1000


def signs(client: redis.Redis, keys: Keys) -> dict[str, Sign]:
    """The last sign of each edge that streams for good."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.smembers(keys.edges())
        pipeline.zrange(keys.expected(), 0, -1, withscores=True)
        pipeline.zrange(keys.seen(), 0, -1, withscores=True)
        pipeline.time()
        names, expected, seen, time = pipeline.execute()
    seen_ms = {edge: int(at_ms) for edge, at_ms in seen}
    # Nobody writes these keys any more, so nobody forgets what is old in them.
    oldest_ms = broker.microseconds(*time) / 1000 - REMEMBER_S * 1000
    of_before = {edge.decode(): Sign(seen_ms.get(edge), int(at_ms)) for edge, at_ms in expected if at_ms > oldest_ms}
    edges = sorted(name.decode() for name in names)
    texts: list[bytes | None] = client.mget([keys.sign(edge) for edge in edges]) if edges else []  # type: ignore[assignment]
    signed = {edge: sign for edge, text in zip(edges, texts, strict=True) if (sign := read(text))}
    # An edge that went back to the version before goes on in the old keys.
    return of_before | {
        edge: sign for edge, sign in signed.items() if edge not in of_before or sign.until_ms >= of_before[edge].until_ms
    }


def ages_s(client: redis.Redis, keys: Keys, edges: Iterable[str]) -> dict[str, float]:
    """How long ago a broker heard of some edges, by its own clock; infinity if it never did.

    Of one that does not stream for good, as that of `telemetry ingest`, it says when a source was claimed last.
    """
    names = list(edges)
    with client.pipeline(transaction=False) as pipeline:
        for edge in names:
            pipeline.get(keys.sign(edge))
            pipeline.pttl(keys.sources(edge))
        pipeline.time()
        *answers, time = pipeline.execute(raise_on_error=False)
    if isinstance(time, Exception):
        raise time
    now_us = broker.microseconds(*time)
    each = zip(names, answers[::2], answers[1::2], strict=True)
    return {edge: _age_s(text, left_ms, now_us) for edge, text, left_ms in each}


def _age_s(text: bytes | None, left_ms: int | Exception, now_us: int) -> float:
    if isinstance(text, Exception):
        raise text
    if sign := read(text):
        return sign.age_s(now_us)
    # Users that the version before has made may not ask.
    return inf if isinstance(left_ms, Exception) or left_ms <= 0 else max(0.0, REMEMBER_S - left_ms / 1000)


def read(text: bytes | None) -> Sign | None:
    """What an edge has written; None for what is no sign."""
    words = (text or b"").split()
    is_sign = len(words) == len(Sign._fields) and all(word.isdigit() and len(word) <= MAX_DIGITS for word in words)
    return Sign(*map(int, words)) if is_sign else None
