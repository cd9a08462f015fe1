"""Keeps the system running: steps the supervisor, restarts servers that died, and says when everything answers.

Servers that live and do not answer are `silence`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from telemetry.local import ports
from telemetry.local.interrupts import Interrupts
from telemetry.local.keyboard import enter_pressed
from telemetry.local.servers import ServerError
from telemetry.local.servers.server import Server
from telemetry.local.silence import Silence
from telemetry.local.supervisor import Backoff, Supervisor
from telemetry.local.welcome import Welcome

HEALTH = {"api": "/health", "flower": "/healthcheck"}
# After this time without an answer the user is told which processes are missing.
SLOW_S = 60.0


def watch(
    supervisor: Supervisor,
    interrupts: Interrupts,
    servers: Iterable[Server],
    welcome: Welcome,
    expected: Mapping[str, int],
) -> None:
    """Keep everything running until it is interrupted. `expected` are the ports whose processes must answer once."""
    waiting = set(expected)
    began_s, warned, welcomed = time.monotonic(), False, False
    watchers: list[Revival | Silence] = [kind(server) for server in servers for kind in (Revival, Silence)]
    while not interrupts.stopping and not supervisor.screen.unheard:
        supervisor.step()
        for watcher in watchers:
            watcher.step(supervisor)
        waiting = {name for name in waiting if not ports.answers(expected[name], HEALTH[name])}
        if not waiting and not welcomed:
            supervisor.screen.show(welcome.block)
            supervisor.screen.pin(welcome.last_line)
            welcomed = True
        elif enter_pressed() and welcomed:
            supervisor.screen.show(welcome.block)
        if waiting and not warned and time.monotonic() - began_s > SLOW_S:
            supervisor.say(f"still waiting for an answer from {' and '.join(sorted(waiting))}")
            warned = True


class Revival:
    """Restarts an embedded server when it has died."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._backoff = Backoff()
        self._started = time.monotonic()
        self._due: float | None = None

    def step(self, supervisor: Supervisor) -> None:
        """Restart the server if it has died and its delay is over."""
        now = time.monotonic()
        if self._due is None and self._server.pid is None:
            delay = self._backoff.after(now - self._started)
            self._due = now + delay
            supervisor.say(f"{self._server.name} died; starting it again in {delay:g} s. Its log is {self._server.log}")
        elif self._due is not None and now >= self._due:
            self._due = None
            try:
                self._server.start()
            except ServerError as error:
                supervisor.say(str(error))
            self._started = time.monotonic()
