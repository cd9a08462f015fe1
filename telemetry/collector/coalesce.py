"""Decides which messages go into one transaction, and when. `consume` holds and sends the messages.

A group is due when it has the readings asked for, when its oldest message has waited long enough, or when nothing more may
be held. A message that was delivered before may have made that fail: such messages go in small groups of their own, so that
few others suffer from the one that is to blame, and after two failures each goes alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# A group of messages that were delivered once before has so much fewer readings.
SMALLER = 10


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A message that waits: about how many readings it has, since when it is held, how often it was delivered before."""

    message: T
    readings: int
    since_s: float
    deliveries: int = 0


@dataclass(slots=True)
class Buffer(Generic[T]):
    """Messages held, in order of arrival. All sizes are readings; `held` counts those of all messages that are not yet done."""

    batch_size: int
    poll_interval_s: float
    buffer_size: int
    held: int = 0
    waiting: deque[Held[T]] = field(default_factory=deque)
    _readings: int = 0
    _usual_readings: float = 100.0

    def room(self) -> int:
        """How many more messages may be fetched, if they are as large as those before."""
        left = self.buffer_size - self.held
        return max(1, int(left / self._usual_readings)) if left > 0 else 0

    def add(self, message: Held[T]) -> None:
        """Hold a message."""
        self.waiting.append(message)
        # The estimate grows at once and shrinks slowly, so that not too many are fetched.
        self._usual_readings = max(message.readings, 0.9 * self._usual_readings + 0.1 * message.readings)
        self.held += message.readings
        self._readings += message.readings

    def due_s(self) -> float | None:
        """When the oldest message has waited long enough; None if there is none."""
        return self.waiting[0].since_s + self.poll_interval_s if self.waiting else None

    def take(self, now_s: float) -> list[Held[T]]:
        """The group that is due, empty if none is."""
        due_s = self.due_s()
        full = self._readings >= self.batch_size or not self.room()
        if due_s is None or not (full or now_s >= due_s or any(held.deliveries for held in self.waiting)):
            return []
        group = [self.waiting.popleft()]
        deliveries, readings = group[0].deliveries, group[0].readings
        most = self._most(deliveries)
        while self.waiting and self.waiting[0].deliveries == deliveries:
            if readings + self.waiting[0].readings > most:
                break
            group.append(self.waiting.popleft())
            readings += group[-1].readings
        self._readings -= readings
        return group

    def _most(self, deliveries: int) -> int:
        """How many readings a group of messages may have that were delivered so often before. One message always may go."""
        match deliveries:
            case 0:
                return self.batch_size
            case 1:
                return self.batch_size // SMALLER
        return 0

    def done(self, group: list[Held[T]]) -> None:
        """Make room again: a group that was taken is committed, or given back to the broker."""
        self.held -= sum(held.readings for held in group)
