"""A batch that is published and not yet acknowledged, and the clock that tells its age."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from telemetry.readings.extent import Extent


@dataclass(frozen=True, slots=True)
class Clock:
    """The edge's monotonic clock: seconds, and the boot they count from.

    A stamp of another boot has unknown age. So has one that is ahead: the machine was set back to a snapshot of this boot.
    """

    seconds: float
    boot: str


class Flight(Struct, frozen=True, array_like=True):
    """One published batch: its extent, and when it was published. Written as an array, in the order of the fields.

    `sent_s`, `boot` and `epoch` (the broker's mark) are of the last publication, `first_published_us` (broker's clock) of
    the first; `tries` counts publications. `header` and `end_header` are as in `Extent`; streamers of before had only 0.
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
    header: int = 0
    end_header: int = 0

    @classmethod
    def first(cls, batch_id: str, extent: Extent, now: Clock, epoch: str, published_us: int) -> Flight:
        """A batch that is published for the first time."""
        place = (extent.start, extent.end, extent.line, extent.end_line)
        sent = (now.seconds, now.boot, epoch, published_us)
        return cls(batch_id, *place, *sent, header=extent.header, end_header=extent.end_header)

    @property
    def extent(self) -> Extent:
        """Its bytes and lines."""
        return Extent(self.start, self.end, self.line, self.end_line, self.header, self.end_header)

    def has_age(self, now: Clock) -> bool:
        """Whether the stamp of the last publication can be compared with `now`."""
        return self.boot == now.boot and self.sent_s <= now.seconds

    def age_s(self, now: Clock) -> float:
        """Seconds since the last publication; for ever if that is not known."""
        return now.seconds - self.sent_s if self.has_age(now) else float("inf")
