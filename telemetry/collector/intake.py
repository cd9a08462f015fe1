"""Bounds what one edge may send in a while: messages, bytes and rows, counted in the broker for all collectors together.

What is beyond a bound is not read, kept or acknowledged. The edge has it in its file, and publishes it again when it sees that
it was lost, so nothing is lost and only that edge is later. Only messages that are believed are counted: nobody can use up what
another edge may send, where signatures are required. Without a bound the broker is not asked.

Messages that name no edge, as their header is broken, have such bounds together: each of them would become a dead letter. Each
of several brokers counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import redis

from telemetry.collector.days import DayBound
from telemetry.collector.messages import Message, Refused
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings

# In place of an edge, for all messages that name none. No edge of ours is called so, as each has a `/` in its name.
NAMELESS = "nameless"
# Bounds hold for so long a time taken together: an edge publishes in bursts.
WINDOW_S = 10
# The window begins with its first message. In one piece: a count that did not expire would shut an edge out.
CHARGE = """
    for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
    if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
"""


class Amount(NamedTuple):
    """How much an edge sends, or may send: messages, bytes of their payloads, rows."""

    messages: int = 0
    bytes: int = 0
    rows: int = 0

    def items(self) -> Iterable[tuple[str, int]]:
        """Each number with its name."""
        return zip(self._fields, self, strict=True)

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(*(own + more for own, more in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of each message of a group, in order: refused or not. `admitted` is what edges send with the others."""

    refusals: Sequence[Refused | None]
    admitted: Mapping[str, Amount]


@dataclass(frozen=True, slots=True)
class Intake:
    """The bounds of each edge, of a window; 0 is none. What is known only once a message was read is bounded by `days`."""

    client: redis.Redis
    keys: Keys
    limits: Amount
    days: DayBound

    @classmethod
    def of(cls, settings: Settings, client: redis.Redis) -> Intake:
        """Those of the settings."""
        per_second = (settings.edge_messages_per_s, settings.edge_bytes_per_s, settings.edge_rows_per_s)
        limits = Amount(*(WINDOW_S * limit for limit in per_second))
        return cls(client, Keys(settings.key_prefix), limits, DayBound.of(settings, client))

    def judge(self, messages: Sequence[Message | None]) -> Judged:
        """Which messages are beyond what their edges may send; None is one that counts for nobody. Raises RedisError."""
        amounts = [_amount(message) if message and any(self.limits) else None for message in messages]
        sent = self._sent({edge for edge, _ in filter(None, amounts)})
        refusals: list[Refused | None] = []
        admitted: dict[str, Amount] = {}
        for edge, amount in (pair or ("", Amount()) for pair in amounts):
            reason = self._beyond(sent[edge].plus(admitted.get(edge, Amount()))) if edge else None
            refusals.append(Refused(_explanation(edge, reason), edge) if reason else None)
            if edge and not reason:
                admitted[edge] = admitted.get(edge, Amount()).plus(amount)
        return Judged(refusals, admitted)

    def charge(self, admitted: Mapping[str, Amount]) -> None:
        """Count what was admitted, once it is settled. While the broker is away nothing is counted."""
        if not admitted:
            return
        with suppress(redis.RedisError), self.client.pipeline(transaction=False) as pipeline:
            for edge, amount in admitted.items():
                pipeline.eval(CHARGE, 1, self.keys.intake(edge), WINDOW_S, *(word for pair in amount.items() for word in pair))
            pipeline.execute()

    def _sent(self, edges: set[str]) -> dict[str, Amount]:
        """What each edge has sent in its window."""
        if not edges:
            return {}
        names = sorted(edges)
        with self.client.pipeline(transaction=False) as pipeline:
            for edge in names:
                pipeline.hmget(self.keys.intake(edge), *Amount._fields)
            return {
                edge: Amount(*(int(text or 0) for text in texts)) for edge, texts in zip(names, pipeline.execute(), strict=True)
            }

    def _beyond(self, sent: Amount) -> str | None:
        """The bound that is used up. A message larger than a whole bound passes while nothing was sent in the window."""
        for (name, limit), number in zip(self.limits.items(), sent, strict=True):
            if limit and number >= limit:
                return f"{limit // WINDOW_S} {name} a second (TELEMETRY_EDGE_{name.upper()}_PER_S)"
        return None


def _explanation(edge: str, bound: str) -> str:
    if edge == NAMELESS:
        return f"those that name no edge are more than {bound}; what sends them is no streamer of ours"
    return f"{edge} sends more than {bound}, and sends it again"


def _amount(message: Message) -> tuple[str, Amount] | None:
    """The edge of a message and how much it sends; None of one that waits for a newer collector, within bounds of `consume`."""
    stated, payload = message
    size_bytes = len(payload) if isinstance(payload, bytes | str) else 0
    try:
        header = wire.check_header(stated)
    except wire.NewerVersionError:
        return None
    except wire.WireError:
        # Its rows cannot be counted, and it is one at least.
        return NAMELESS, Amount(1, size_bytes, 1)
    rows = header["rows"]
    return header["edge"], Amount(1, size_bytes, max(rows["read"], rows["records"]))
