"""Decides which messages go into one transaction, and when. `consume` holds and sends the messages.

A group is due when it has the readings asked for, when its oldest message has waited long enough, or when nothing more may
be held. A message that was delivered before goes alone, as it may have made the earlier delivery fail.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A message that waits: about how many readings it has, since when it is held, whether it must go alone."""

    message: T
    readings: int
    since_s: float
    alone: bool = False


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
        if due_s is None or not (full or now_s >= due_s or any(held.alone for held in self.waiting)):
            return []
        group = [self.waiting.popleft()]
        readings = group[0].readings
        while self.waiting and not (group[0].alone or self.waiting[0].alone):
            if readings + self.waiting[0].readings > self.batch_size:
                break
            group.append(self.waiting.popleft())
            readings += group[-1].readings
        self._readings -= readings
        return group

    def done(self, group: list[Held[T]]) -> None:
        """Make room again: a group that was taken is committed, or given back to the broker."""
        self.held -= sum(held.readings for held in group)
