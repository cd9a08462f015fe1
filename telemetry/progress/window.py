"""The window of one source: what is published and not yet acknowledged, and every decision about it. Pure.

The committed offset moves over the contiguous acknowledged prefix only. The span from there to the end of the last flight
is bounded by the caller: it is the backpressure. Nothing is published again for its age alone: see `suspects`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from telemetry.readings.extent import Extent

MAX_BACK_OFF_DOUBLINGS = 5
# The state of a source is written whole at each change.
MAX_FLIGHTS = 2000
PROBE = "probe-"


@dataclass(frozen=True, slots=True)
class Clock:
    """The edge's monotonic clock: seconds, and the boot they count from. A stamp of another boot has unknown age."""

    seconds: float
    boot: str


class Flight(Struct, frozen=True, array_like=True):
    """One published batch: its extent, and when it was published. Written as an array, in the order of the fields.

    `sent_s`, `boot` and `epoch` (the broker's mark) are of the last publication, `first_published_us` (broker's clock) of
    the first; `tries` counts publications.
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

    @property
    def extent(self) -> Extent:
        """Its bytes and lines."""
        return Extent(self.start, self.end, self.line, self.end_line)

    def age_s(self, now: Clock) -> float:
        """Seconds since the last publication; for ever if another boot's clock stamped it."""
        return now.seconds - self.sent_s if self.boot == now.boot else float("inf")


@dataclass(frozen=True, slots=True)
class Probe:
    """A message without rows, sent when batches are overdue and nothing proves their loss yet.

    The queue is first in, first out: when the probe is acknowledged, batches published clearly before it are lost.
    """

    batch_id: str
    sent_s: float
    tries: int

    def is_due_again(self, now: Clock, after_s: float) -> bool:
        """Whether the probe may be lost too. Each wait is longer: with the centre dead, probes must not fill the broker."""
        return now.seconds - self.sent_s >= after_s * (1 << min(self.tries, MAX_BACK_OFF_DOUBLINGS))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts that prove a loss. Instants are on the monotonic clock of this boot.

    `epoch` is the broker's mark now. `empty_since_s`: the queue and its unacknowledged set were empty then and have stayed
    empty for so long that a collector which had fetched a message before would have noted it. `acked_sent_s`: when the
    latest acknowledged batch of this edge was published. `taken_s`: when the source was taken; another boot stamped before it.
    """

    epoch: str
    empty_since_s: float | None = None
    acked_sent_s: float | None = None
    taken_s: float = math.inf


class Window(Struct, frozen=True):
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
        if not batch_ids:
            return self
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

        A flight of another broker's epoch is lost at once. Any other must be old enough (with back-off and jitter), and
        the evidence must prove its loss.
        """
        return [
            f
            for f in self.flights
            if not f.acked and (f.epoch != evidence.epoch or (_is_old(f, now, after_s) and _is_lost(f, evidence, now, after_s)))
        ]

    def overdue(self, now: Clock, after_s: float) -> bool:
        """Whether a flight is old enough to send a probe after it."""
        return any(not f.acked and _is_old(f, now, after_s) for f in self.flights)


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
    was_in_no_queue = evidence.empty_since_s is not None and sent_s <= evidence.empty_since_s
    was_overtaken = evidence.acked_sent_s is not None and evidence.acked_sent_s - sent_s >= after_s
    return was_in_no_queue or was_overtaken
