"""Decides when people are told: at once after a quiet time, with all that came meanwhile, and again where it failed.

A message that reached some places is sent to the others alone. What was told is noted when all have it: if this process ends
before, all of them are told once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from telemetry.health.rules import Rules
from telemetry.notify.addresses import Address
from telemetry.notify.messages import Message, Notice, message

PAUSE_S = 15.0
LONGEST_PAUSE_S = 600.0


class Telling:
    """What one process tells. `waiting` gives what people have not heard, `note` that they have."""

    def __init__(
        self,
        rules: Rules,
        places: Sequence[Address],
        quiet_s: float,
        waiting: Callable[[], Sequence[Notice]],
        note: Callable[[Sequence[Notice]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._places = places
        self._quiet_s = quiet_s
        self._waiting = waiting
        self._note = note
        self._clock = clock
        self._due_s = 0.0
        self._pause_s = PAUSE_S
        # A message under way, what it tells, and who has not got it.
        self._message: Message | None = None
        self._notices: Sequence[Notice] = ()
        self._left: list[Address] = []

    def step(self) -> None:
        """Tell what waits, if it is time."""
        if self._clock() < self._due_s:
            return
        if self._message is None:
            self._notices = self._waiting()
            if not self._notices:
                return
            self._message, self._left = message(self._rules, self._notices), list(self._places)
        announcement = self._message
        self._left = [place for place in self._left if not place.send(announcement)]
        if self._left:
            self._due_s = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            return
        self._note(self._notices)
        self._message, self._pause_s = None, PAUSE_S
        self._due_s = self._clock() + self._quiet_s
