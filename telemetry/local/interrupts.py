"""Signals to a command in the foreground: the first asks it to stop, the second kills the processes that it runs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Catches the signals while it is entered. Until `patient` is set, the first signal raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.stopping = False
        self.patient = False
        self.victims: list[Callable[[], None]] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for sign in SIGNALS:
            # Under nohup a hang-up is ignored, and stays so.
            if signal.getsignal(sign) is not signal.SIG_IGN:
                self._before[sign] = signal.signal(sign, self._received)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for sign, handler in self._before.items():
            signal.signal(sign, handler)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        again, self.stopping = self.stopping, True
        if again:
            for kill in self.victims:
                kill()
        elif not self.patient:
            raise KeyboardInterrupt
