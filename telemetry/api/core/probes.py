"""Probes: whether the database and the broker can be used. They answer within seconds, whatever hangs.

The client of a frozen server waits without end. So each server is asked in a thread of its own, and the request goes on
without an answer when its time is up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from time import monotonic
from typing import Any, cast

import redis
import sqlalchemy.exc
from flask import Flask, current_app

from telemetry.api.core import deadlines
from telemetry.api.core.connections import Connections
from telemetry.store import migrate
from telemetry.store.read import totals

# `status`: ok, unreachable, not answering, or not migrated; of the database also `revision` and `mend`.
State = dict[str, Any]


class Probe:
    """Asks one server how it is. While it hangs it is not asked again, so that its silence cannot use up the threads."""

    def __init__(self, ask: Callable[[], State]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._asked: Future[State] | None = None

    def begin(self) -> Future[State]:
        """Ask. Requests that come at the same time share one question."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                # A daemon thread: one that hangs must not keep the process from ending.
                Thread(target=self._run, args=[self._asked], name="probe", daemon=True).start()
            return self._asked

    def state(self) -> State:
        """The state, within PROBE_S."""
        return _answer(self.begin(), monotonic() + deadlines.PROBE_S)

    def _run(self, asked: Future[State]) -> None:
        try:
            asked.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
            asked.set_exception(error)


class Probes:
    """The probes of one process."""

    def __init__(self, connections: Connections) -> None:
        self.database = Probe(lambda: _database(connections))
        self.broker = Probe(lambda: _broker(connections))

    def states(self) -> State:
        """The state of both servers, and `status`: whether both are ok. Within PROBE_S."""
        deadline = monotonic() + deadlines.PROBE_S
        asked = {"database": self.database.begin(), "broker": self.broker.begin()}
        states = {name: _answer(future, deadline) for name, future in asked.items()}
        healthy = all(state["status"] == "ok" for state in states.values())
        return {"status": "ok" if healthy else "unavailable", **states}


def install(app: Flask) -> None:
    """Give an application its probes."""
    app.extensions["probes"] = Probes(app.extensions["connections"])


def probes() -> Probes:
    """The probes of the application that answers this request."""
    return cast("Probes", current_app.extensions["probes"])


def _answer(asked: Future[State], deadline: float) -> State:
    try:
        return asked.result(max(0.0, deadline - monotonic()))
    except TimeoutError:
        return {"status": "not answering"}


def _database(connections: Connections) -> State:
    try:
        with connections.engine.connect() as connection:
            revision = totals.revision(connection, deadlines.PROBE_S)
    except sqlalchemy.exc.ProgrammingError:
        return {"status": "not migrated", "mend": "run: telemetry db upgrade"}
    except sqlalchemy.exc.SQLAlchemyError:
        return {"status": "unreachable"}
    if not migrate.serves(revision):
        return {"status": "not migrated", "revision": revision, "mend": "run: telemetry db upgrade"}
    return {"status": "ok", "revision": revision}


def _broker(connections: Connections) -> State:
    try:
        connections.broker.ping()
    except (redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "ok"}
