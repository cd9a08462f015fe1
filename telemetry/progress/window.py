"""The window of one source: what is published and not yet acknowledged, and how it moves. Pure.

The committed offset moves over the contiguous acknowledged prefix only. The span from there to the end of the last flight
is bounded by the caller: it is the backpressure. Which batches are published again is decided by `evidence`.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from telemetry.progress.evidence import Evidence, is_lost, is_old
from telemetry.progress.flight import Clock, Flight
from telemetry.readings.extent import Place

# The state of a source is written whole at each change.
MAX_FLIGHTS = 2000
# Stands for the offset of a header that must be learnt from the file.
NOT_KNOWN = -1


class Window(Struct, frozen=True):
    """Committed offset and line (from 1), the header in force there, and the flights behind it in order, without gaps.

    The header is NOT_KNOWN in what streamers of before have written, and where a source was set back.
    """

    committed: int
    line: int
    flights: tuple[Flight, ...] = ()
    header: int = NOT_KNOWN

    @classmethod
    def at(cls, place: Place) -> Window:
        """A window of which all before a place is committed."""
        return cls(place.offset, place.line, header=place.header)

    @property
    def next(self) -> Place:
        """Where the next batch begins."""
        return self.flights[-1].extent.next if self.flights else Place(self.committed, self.line, max(self.header, 0))

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
        return Window(last.end, last.end_line, tuple(flights[done:]), last.end_header)

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
        return [flight for flight in self.flights if is_lost(flight, evidence, now, after_s)]

    def forgotten(self, since_s: float, until_s: float, now: Clock) -> Window:
        """Note that the broker has nothing of what was published between two instants: another broker swallowed it."""
        flights = (
            replace(f, epoch="") if f.has_age(now) and since_s <= f.sent_s < until_s and not f.acked else f
            for f in self.flights
        )
        return replace(self, flights=tuple(flights))

    def was_swallowed(self, epoch: str) -> bool:
        """Whether a flight is to be published again because another broker than that of `epoch` got it."""
        return any(not flight.acked and flight.epoch != epoch for flight in self.flights)

    def overdue(self, now: Clock, after_s: float) -> bool:
        """Whether a flight is old enough to send a probe after it."""
        return any(not flight.acked and is_old(flight, now, after_s) for flight in self.flights)
