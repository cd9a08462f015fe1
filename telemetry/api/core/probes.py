"""Probes: whether the database and the broker can be used. They answer within seconds, whatever hangs.

The client of a frozen server waits without end. So each server is asked in a thread of its own, and the request goes on
without an answer when its time is up.

A part that cannot be used has in its state since when, and what to do. That time is when this process first asked it in vain:
other processes of the API may have asked at other times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from functools import partial
from threading import Lock, Thread
from time import monotonic
from typing import Any, cast

import psycopg
import redis
import sqlalchemy.exc
from flask import Flask, current_app

from telemetry.api.core import deadlines
from telemetry.api.core.connections import Connections
from telemetry.store import migrate
from telemetry.store.read import totals

# `status`: ok, unreachable, not answering, or not migrated. Unless it is ok, `since` and `mend`. Of the database `revision`.
State = dict[str, Any]
SILENT = "not answering"
LOOK = "it is frozen or overloaded, or the network drops packets: look at its machine, and start it again if it stays so"
MENDS = {
    "database": {
        "unreachable": "see whether it runs, and whether TELEMETRY_DATABASE_URL of the API is right; its log says more",
        SILENT: LOOK,
        "not migrated": "run: telemetry db upgrade",
    },
    "broker": {
        "unreachable": "see whether it runs, and whether TELEMETRY_BROKER_URL of the API is right; runbook RedisConnectionLost",
        SILENT: f"{LOOK}; runbook RedisConnectionLost",
    },
}


class Probe:
    """Asks one server how it is. While it hangs it is not asked again, so that its silence cannot use up the threads."""

    def __init__(self, ask: Callable[[], State], mends: Mapping[str, str] | None = None) -> None:
        self._ask = ask
        self._mends = mends or {}
        self._lock = Lock()
        self._asked: Future[State] | None = None
        self._asked_at = self._failing_since = ""
        self._asked_s = monotonic()
        # When the server last left a question without an answer.
        self._silent_s: float | None = None

    def begin(self) -> Future[State]:
        """Ask. Requests that come at the same time share one question."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked, self._asked_at = Future(), datetime.now(UTC).isoformat(timespec="seconds")
                self._asked_s = monotonic()
                # A daemon thread: one that hangs must not keep the process from ending.
                Thread(target=self._run, args=[self._asked], name="probe", daemon=True).start()
            return self._asked

    def is_silent(self) -> bool:
        """Whether the server answers nobody, as far as is known now: a question of a moment ago got no answer.

        For queries that wait: they ask often, and the server is asked no more than each ASK_AGAIN_S.
        """
        now_s = monotonic()
        with self._lock:
            asked, age_s = self._asked, now_s - self._asked_s
        if asked is None or (asked.done() and age_s > deadlines.ASK_AGAIN_S):
            self.begin()
        elif not asked.done() and age_s > deadlines.FROZEN_S:
            return True
        # Until the next answer, as the question that would bring it waits for the server too.
        return self._silent_s is not None and now_s - self._silent_s < deadlines.CONNECT_S + deadlines.ASK_AGAIN_S

    def settle(self) -> None:
        """Wait until the question that is out has its answer, PROBE_S at most."""
        with self._lock:
            asked = self._asked
        if asked is not None:
            wait([asked], deadlines.PROBE_S)

    def state(self) -> State:
        """The state, within PROBE_S."""
        return self.answer(self.begin(), monotonic() + deadlines.PROBE_S)

    def answer(self, asked: Future[State], deadline: float) -> State:
        """The state that a question brings until a deadline on the monotonic clock."""
        try:
            state = asked.result(max(0.0, deadline - monotonic()))
        except TimeoutError:
            state = {"status": SILENT}
        with self._lock:
            self._failing_since = "" if state["status"] == "ok" else self._failing_since or self._asked_at
            if not self._failing_since:
                return state
            mend = self._mends.get(state["status"])
            return {**state, "since": self._failing_since, **({"mend": mend} if mend else {})}

    def _run(self, asked: Future[State]) -> None:
        try:
            state = self._ask()
            self._silent_s = monotonic() if state["status"] == SILENT else None
            asked.set_result(state)
        except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
            asked.set_exception(error)


class Probes:
    """The probes of one process."""

    def __init__(self, connections: Connections) -> None:
        self.database = Probe(lambda: _database(connections), MENDS["database"])
        self.broker = Probe(lambda: _broker(connections.broker), MENDS["broker"])
        several = connections.settings.brokers if connections.settings.broker_urls else {}
        self.brokers = {name: Probe(partial(_broker_of, connections, name), MENDS["broker"]) for name in several}

    def settle(self) -> None:
        """Wait until nothing is asked any more, within seconds."""
        for probe in (self.database, self.broker, *self.brokers.values()):
            probe.settle()

    def of_brokers(self) -> dict[str, State]:
        """The state of each broker by its name, which is empty where there is one. Within PROBE_S."""
        deadline = monotonic() + deadlines.PROBE_S
        asked = [(name, probe, probe.begin()) for name, probe in (self.brokers or {"": self.broker}).items()]
        return {name: probe.answer(future, deadline) for name, probe, future in asked}

    def states(self) -> State:
        """The state of all servers, and `status`: whether all are ok. Within PROBE_S.

        Several brokers stand in `brokers` by their names, and `broker` is the first that is not ok.
        """
        asked, deadline = self.database.begin(), monotonic() + deadlines.PROBE_S
        states = self.of_brokers()
        database = self.database.answer(asked, deadline)
        every = list(states.values())
        worst = next((state for state in every if state["status"] != "ok"), every[0])
        healthy = database["status"] == worst["status"] == "ok"
        more = {"brokers": states} if self.brokers else {}
        return {"status": "ok" if healthy else "unavailable", "database": database, "broker": worst, **more}


def install(app: Flask) -> None:
    """Give an application its probes."""
    connections: Connections = app.extensions["connections"]
    app.extensions["probes"] = made = Probes(connections)
    connections.is_frozen, connections.settle = made.database.is_silent, made.settle


def probes() -> Probes:
    """The probes of the application that answers this request."""
    return cast("Probes", current_app.extensions["probes"])


def _database(connections: Connections) -> State:
    try:
        with connections.probing_engine.connect() as connection:
            revision = totals.revision(connection, deadlines.PROBE_S)
    except sqlalchemy.exc.ProgrammingError:
        return {"status": "not migrated"}
    except sqlalchemy.exc.OperationalError as error:
        is_silent = isinstance(error.orig, psycopg.errors.ConnectionTimeout | psycopg.errors.QueryCanceled)
        return {"status": SILENT if is_silent else "unreachable"}
    except sqlalchemy.exc.SQLAlchemyError:
        return {"status": "unreachable"}
    if not migrate.serves(revision):
        return {"status": "not migrated", "revision": revision}
    return {"status": "ok", "revision": revision}


def _broker_of(connections: Connections, name: str) -> State:
    return _broker(connections.patient_brokers[name])


def _broker(client: redis.Redis) -> State:
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "ok"}
