"""Notices an embedded server that lives and does not answer, and says so once; also when it answers again.

A server that has died is `watch`'s: that one is started again. A frozen one is left alone, as a person may have frozen it.
"""

from __future__ import annotations

import time
from threading import Thread

from telemetry.local.servers.server import Server
from telemetry.local.supervisor import Supervisor

PAUSE_S = 3.0
PATIENCE_S = 10.0


class Silence:
    """Asks one server at an interval, in a thread: to ask a frozen one takes seconds."""

    def __init__(self, server: Server, patience_s: float = PATIENCE_S) -> None:
        self._server = server
        self._patience_s = patience_s
        self._pid: int | None = None
        self._answered_s = time.monotonic()
        self._has_warned = False
        Thread(target=self._ask, name=f"silence-{server.name}", daemon=True).start()

    def step(self, supervisor: Supervisor) -> None:
        """Say what has changed."""
        now_s, pid = time.monotonic(), self._server.pid
        if pid != self._pid:
            # It has died, or was started again, which `watch` tells of.
            self._pid, self._answered_s, self._has_warned = pid, now_s, False
        silent_s = now_s - self._answered_s
        if not self._has_warned and silent_s > self._patience_s:
            self._has_warned = True
            supervisor.say(
                f"{self._server.name} has not answered for {silent_s:.0f} s: process {pid} is frozen or overloaded. "
                f"Its log is {self._server.log}"
            )
        elif self._has_warned and silent_s < self._patience_s:
            self._has_warned = False
            supervisor.say(f"{self._server.name} answers again")

    def _ask(self) -> None:
        while True:
            # One that is not there is not silent.
            if self._server.pid is None or self._server.answers():
                self._answered_s = time.monotonic()
            time.sleep(PAUSE_S)
