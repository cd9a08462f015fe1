"""Keeps a run to the wall clock, and ends it between two writes at SIGINT or SIGTERM.

A second signal has its usual effect, so that a run that hangs in a write can be ended too.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A clock that is set forward during a long wait is noticed after this time.
MAX_WAIT_S = 30.0


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


class Pace:
    """While it is entered, `stopped` says whether a signal came."""

    stopped = False

    def __enter__(self) -> Self:
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        # The signal's byte wakes a wait that began just before it. A flag alone would be seen only after the wait.
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._before: dict[int, Any] = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._ear.close()
        self._mouth.close()

    def until(self, time_us: int) -> bool:
        """Wait for a time; False if the run is to stop instead."""
        while not self.stopped and (left := (time_us - now_us()) / 1e6) > 0:
            select.select([self._ear], [], [], min(left, MAX_WAIT_S))
        return not self.stopped

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(number, self._before[number])
