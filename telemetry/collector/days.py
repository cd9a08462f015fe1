"""Bounds the days that the readings of one edge may fall on, in an hour: counted in the broker for all collectors together.

A day costs more than its readings: a partition if it is new, marks for what is to be computed anew, and a sealed one is sealed
again. A few messages with a reading of each day would have all of history made anew.

What is beyond is refused as by `intake`, and comes again: only its edge is later. A batch of more days than the whole bound
would come for ever. It ends as a dead letter, which a person may retry once the bound is higher. Days that an edge has touched
in this hour cost nothing more. Without a bound the broker is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import redis

from telemetry.collector.messages import Readable, Refused, Unreadable
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings

WINDOW_S = 3600
DAY_US = 86_400_000_000
SETTING = "TELEMETRY_EDGE_DAYS_PER_HOUR"
# The window begins with its first day. In one piece: a count that did not expire would shut an edge out.
CHARGE = """
    redis.call('SADD', KEYS[1], unpack(ARGV, 2))
    if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
"""

Content = Readable | Unreadable | Refused
Days = frozenset[int]
NONE: Days = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of each message of a group, in order. `admitted` are days that edges touch anew with the others."""

    contents: Sequence[Content]
    admitted: Mapping[str, Days]


@dataclass(frozen=True, slots=True)
class DayBound:
    """The days that each edge may touch in a window; 0 is no bound."""

    client: redis.Redis
    keys: Keys
    limit: int

    @classmethod
    def of(cls, settings: Settings, client: redis.Redis) -> DayBound:
        """That of the settings."""
        return cls(client, Keys(settings.key_prefix), settings.edge_days_per_hour)

    def judge(self, contents: Sequence[Content]) -> Judged:
        """Which messages bring readings of more days than their edges may. Raises RedisError."""
        if not self.limit:
            return Judged(contents, {})
        days = [_days(content) for content in contents]
        asked: dict[str, Days] = {}
        for content, own in zip(contents, days, strict=True):
            if isinstance(content, Readable) and own:
                asked[content.batch.edge] = asked.get(content.batch.edge, NONE) | own
        counted, new = self._counted(asked)
        judged: list[Content] = []
        admitted: dict[str, Days] = {}
        for content, own in zip(contents, days, strict=True):
            if not isinstance(content, Readable) or not own:
                judged.append(content)
                continue
            edge = content.batch.edge
            touched = admitted.get(edge, NONE) | (own & new[edge])
            if len(own) > self.limit:
                judged.append(Unreadable(content.message, content.header, wire.WireError(self._too_many(len(own)))))
            elif touched != admitted.get(edge, NONE) and counted[edge] + len(touched) > self.limit:
                judged.append(Refused(self._beyond(edge), edge))
            else:
                judged.append(content)
                admitted[edge] = touched
        return Judged(judged, {edge: touched for edge, touched in admitted.items() if touched})

    def charge(self, admitted: Mapping[str, Days]) -> None:
        """Count days that were admitted, once they are settled. While the broker is away nothing is counted."""
        if not admitted:
            return
        with suppress(redis.RedisError), self.client.pipeline(transaction=False) as pipeline:
            for edge, days in admitted.items():
                pipeline.eval(CHARGE, 1, self.keys.days(edge), WINDOW_S, *sorted(days))
            pipeline.execute()

    def _counted(self, asked: Mapping[str, Days]) -> tuple[dict[str, int], dict[str, Days]]:
        """How many days each edge has touched in its window, and those of the asked ones that are not among them."""
        if not asked:
            return {}, {}
        with self.client.pipeline(transaction=False) as pipeline:
            for edge, days in asked.items():
                pipeline.scard(self.keys.days(edge))
                pipeline.smismember(self.keys.days(edge), sorted(days))
            answers = iter(pipeline.execute())
        counted, new = {}, {}
        for edge, days in asked.items():
            counted[edge] = int(next(answers))
            new[edge] = frozenset(day for day, is_known in zip(sorted(days), next(answers), strict=True) if not is_known)
        return counted, new

    def _beyond(self, edge: str) -> str:
        return f"{edge} sends readings of more than {self.limit} days in an hour ({SETTING}), and sends it again"

    def _too_many(self, number: int) -> str:
        return (
            f"it has readings of {number} days, and an edge may send those of {self.limit} in an hour ({SETTING}): retry it "
            "once that is more, or ingest the file with a smaller --batch-size"
        )


def _days(content: Content) -> Days:
    """The days of a message's readings, counted from 1970-01-01."""
    if not isinstance(content, Readable) or content.is_probe:
        return NONE
    return frozenset(np.unique(content.batch.readings.ts_us // DAY_US).tolist())
