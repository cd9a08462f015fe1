"""Keeping to the wall clock, and stopping when asked: SIGINT and SIGTERM end a run between two writes.

A second signal has its usual effect, so that a run which hangs in a write can still be ended.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A clock set forward during a long wait is noticed after at most this.
_LOOK_UP_S = 30.0


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


class Pace:
    """While entered, `stopped` says whether a signal came."""

    stopped = False

    def __enter__(self) -> Self:
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        # The signal's byte wakes a wait that began just before it; a flag alone would be seen only at its end.
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._before: dict[int, Any] = {number: signal.signal(number, self._stop) for number in _SIGNALS}
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
            select.select([self._ear], [], [], min(left, _LOOK_UP_S))
        return not self.stopped

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(number, self._before[number])
