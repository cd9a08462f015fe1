"""The window of one source: what is published and not yet acknowledged, and every decision about it. Pure.

The committed offset moves over the contiguous acknowledged prefix only. The span from there to the end of the last flight
is bounded by the caller: it is the backpressure. Nothing is published again for its age alone: see `suspects`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

MAX_BACK_OFF_DOUBLINGS = 5
# The state of a source is written whole at each change.
MAX_FLIGHTS = 2000
PROBE = "probe-"


@dataclass(frozen=True, slots=True)
class Clock:
    """The edge's monotonic clock: seconds, and the boot they count from. A stamp of another boot has unknown age."""

    seconds: float
    boot: str


@dataclass(frozen=True, slots=True)
class Flight:
    """One published batch: its bytes [start, end), the lines it begins and the next begins at, and when it was published.

    `sent_s`, `boot` and `epoch` (the broker's mark) are of the last publication, `first_published_us` (broker's clock) of
    the first; `tries` counts.
    """

    batch_id: str
    start: int
    end: int
    line: int
    end_line: int
    sent_s: float
    boot: str
    epoch: str
    first_published_us: int
    tries: int = 1
    acked: bool = False

    def age_s(self, now: Clock) -> float:
        """Seconds since the last publication; for ever if another boot's clock stamped it."""
        return now.seconds - self.sent_s if self.boot == now.boot else float("inf")


@dataclass(frozen=True, slots=True)
class Probe:
    """A message without rows, sent when batches are overdue and nothing speaks for their loss yet.

    The queue is first in, first out: its acknowledgement says that what was published clearly before it was lost.
    """

    batch_id: str
    sent_s: float
    tries: int

    def is_due_again(self, now: Clock, after_s: float) -> bool:
        """Whether it too may be lost. Waits ever longer: with the centre dead, probes must not fill the broker."""
        return now.seconds - self.sent_s >= after_s * (1 << min(self.tries, MAX_BACK_OFF_DOUBLINGS))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a loss. Instants are on the monotonic clock of this boot.

    `epoch` is the broker's mark now. At `empty_since_s` neither the queue nor its unacknowledged set held anything, nor do
    they now, so long after that whoever had fetched a message before would have noted it. `acked_sent_s` is when the latest
    acknowledged batch of this edge was published. At `taken_s` the source was taken: what another boot stamped is older.
    """

    epoch: str
    empty_since_s: float | None = None
    acked_sent_s: float | None = None
    taken_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Window:
    """Committed offset and line (from 1), and the flights behind it in order, without gaps."""

    committed: int
    line: int
    flights: tuple[Flight, ...] = ()

    @property
    def end(self) -> int:
        """Where the next batch begins."""
        return self.flights[-1].end if self.flights else self.committed

    @property
    def end_line(self) -> int:
        """The line there."""
        return self.flights[-1].end_line if self.flights else self.line

    @property
    def span(self) -> int:
        """Bytes published and not yet committed."""
        return self.end - self.committed

    def publish(self, flight: Flight) -> Window:
        """Add the next batch."""
        if flight.start != self.end or flight.end <= flight.start:
            raise ValueError(f"[{flight.start}, {flight.end}) does not continue a window that ends at {self.end}")
        return replace(self, flights=(*self.flights, flight))

    def acknowledge(self, batch_ids: frozenset[str]) -> Window:
        """Mark batches as acknowledged and commit the contiguous prefix. Ids of no flight change nothing."""
        flights = [replace(f, acked=True) if f.batch_id in batch_ids else f for f in self.flights]
        done = 0
        while done < len(flights) and flights[done].acked:
            done += 1
        if not done:
            return replace(self, flights=tuple(flights))
        last = flights[done - 1]
        return Window(last.end, last.end_line, tuple(flights[done:]))

    def sent_again(self, batch_id: str, now: Clock, epoch: str) -> Window:
        """Note another publication of a flight."""
        return replace(
            self,
            flights=tuple(
                replace(f, sent_s=now.seconds, boot=now.boot, epoch=epoch, tries=f.tries + 1) if f.batch_id == batch_id else f
                for f in self.flights
            ),
        )

    def suspects(self, evidence: Evidence, now: Clock, after_s: float) -> list[Flight]:
        """The flights that are lost, in order.

        Those that another broker swallowed at once; others when they are old enough (with back-off and jitter) and
        something speaks for their loss.
        """
        return [
            f
            for f in self.flights
            if not f.acked and (f.epoch != evidence.epoch or (_is_old(f, now, after_s) and _is_lost(f, evidence, now, after_s)))
        ]

    def overdue(self, now: Clock, after_s: float) -> bool:
        """Whether a flight is old enough to be asked after."""
        return any(not f.acked and _is_old(f, now, after_s) for f in self.flights)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        flights = [[getattr(f, name) for name in Flight.__slots__] for f in self.flights]
        return {"committed": self.committed, "line": self.line, "flights": flights}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Window:
        """The window that `to_json` wrote."""
        return cls(state["committed"], state["line"], tuple(Flight(*each) for each in state["flights"]))


def _is_old(flight: Flight, now: Clock, after_s: float) -> bool:
    age_s = flight.age_s(now)
    if age_s < after_s:
        return False
    doublings = min(flight.tries - 1, MAX_BACK_OFF_DOUBLINGS)
    # The batch id gives the jitter, so that the decision is a function of its inputs and batches still spread out.
    jitter = 1 + crc32(flight.batch_id.encode()) / (1 << 34)
    return age_s >= after_s * (1 << doublings) * jitter


def _is_lost(flight: Flight, evidence: Evidence, now: Clock, after_s: float) -> bool:
    sent_s = flight.sent_s if flight.boot == now.boot else evidence.taken_s
    nowhere = evidence.empty_since_s is not None and sent_s <= evidence.empty_since_s
    passed = evidence.acked_sent_s is not None and evidence.acked_sent_s - sent_s >= after_s
    return nowhere or passed
