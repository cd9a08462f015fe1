"""Tells edges which of their batches are settled, and what the ledger holds of their sources where they ask for it.

Written after the commit only: an acknowledgement is never a promise. It names the generation of the database that it is true
of. What an edge makes of that is `history`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import redis

from telemetry import broker
from telemetry.progress.keys import Keys

# A byte offset or a line: more digits are none that we have written, and take long to read.
DECIMAL = re.compile(r"[0-9]{1,19}")


class Held(NamedTuple):
    """What the ledger holds of a source without a gap behind some place: all up to `end`.

    `start` and `line` are where the last of these batches begins. `whole_end` is the same of all files of the edge that begin
    like this one: a renamed file is in the ledger under both names.
    """

    end: int
    start: int
    line: int
    whole_end: int


class Ack(NamedTuple):
    """A batch that is settled, stored or dead, or the answer to a question. Without a generation it is true of any.

    `seal` stands behind the text, and shows that the centre wrote it (`telemetry.trust.signatures`).
    """

    edge: str
    source_id: str
    batch_id: str
    status: Literal["stored", "dead", "held"]
    generation: str = ""
    held: Held | None = None
    seal: str = ""

    @property
    def text(self) -> str:
        """What streamers read. Those of before know a dead batch by this one word."""
        if self.status == "dead":
            return self.status
        return " ".join(map(str, (self.status, *filter(None, [self.generation]), *(self.held or ()))))


class Statement(NamedTuple):
    """What an acknowledgement says: its status, the generation that it is true of, and the answer to a question."""

    status: str
    generation: str = ""
    held: Held | None = None


def statement(text: str) -> Statement:
    """What the text of an acknowledgement says."""
    status, *rest = text.split(" ")
    numbers = rest[1:]
    is_answer = len(numbers) == len(Held._fields) and all(DECIMAL.fullmatch(number) for number in numbers)
    return Statement(status, rest[0] if rest else "", Held(*map(int, numbers)) if is_answer else None)


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
        generation = ""
        for ack in acks:
            by_key.setdefault(self.keys.acks(ack.edge, ack.source_id), {})[ack.batch_id] = ack.text + ack.seal
            generation = ack.generation or generation
        if not by_key:
            return 0
        with self.client.pipeline(transaction=False) as pipeline:
            for key, statuses in by_key.items():
                pipeline.hset(key, mapping=statuses)
                pipeline.expire(key, self.ttl_s)
            if generation:
                pipeline.set(self.keys.generation(), generation)
            pipeline.time()
            return broker.microseconds(*pipeline.execute()[-1])
