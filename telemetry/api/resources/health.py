"""`/health`: whether the database and the broker can be used. It answers within seconds, whatever hangs.

Owns the patience. A server that is frozen leaves its clients waiting without end, as the database's own time limits
rest with it; so each part is asked in a thread, and who asked goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock, Thread
from time import monotonic
from typing import Any, Literal

import redis
import sqlalchemy.exc
from flask import Blueprint, current_app
from flask.blueprints import BlueprintSetupState
from pydantic import BaseModel

from telemetry.api.core.connections import Connections
from telemetry.api.core.parameters import Query
from telemetry.api.core.problems import ProblemError
from telemetry.api.operations import operation
from telemetry.store import migrate
from telemetry.store.read import totals

PATIENCE_S = 3

Part = dict[str, Any]

blueprint = Blueprint("health", __name__)


class Probe:
    """Asks one part how it is. While it hangs it is not asked again, so that its silence cannot use up the threads."""

    def __init__(self, ask: Callable[[], Part]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._asked: Future[Part] | None = None

    def begin(self) -> Future[Part]:
        """What it will have answered; requests that come together share one question."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                # A daemon: one that hangs must not keep the process from ending.
                Thread(target=self._run, args=[self._asked], name="health", daemon=True).start()
            return self._asked

    def _run(self, asked: Future[Part]) -> None:
        try:
            asked.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
            asked.set_exception(error)


@blueprint.record
def _prepare(state: BlueprintSetupState) -> None:
    where: Connections = state.app.extensions["connections"]
    state.app.extensions["probes"] = {"database": Probe(lambda: _database(where)), "broker": Probe(lambda: _broker(where))}


class Broker(BaseModel):
    """A part that can be used, or cannot: ok, unreachable, not answering or not migrated."""

    status: str


class Database(Broker):
    """The database, with the migration it stands at, and what to run where that is another than needed."""

    revision: str | None = None
    mend: str | None = None


class Health(BaseModel):
    """ok, or unavailable with the part that cannot be used."""

    status: str
    database: Database
    broker: Broker


class Alive(BaseModel):
    """It runs."""

    status: Literal["ok"]


@operation(blueprint, "/health", Health, Query, scope=None, others={503: Health})
def show_health(_: Query) -> tuple[Part, int]:
    """Whether everything can be used: 200, or 503 with the part that cannot."""
    found = look(current_app.extensions["probes"])
    return found, 200 if found["status"] == "ok" else 503


@operation(blueprint, "/api/v1/health/live", Alive, Query, scope=None)
def show_live(_: Query) -> Part:
    """Whether this process answers at all, whatever else is away: a liveness probe."""
    return {"status": "ok"}


@operation(blueprint, "/api/v1/health/ready", Alive, Query, scope=None, codes=("database_unavailable",))
def show_ready(_: Query) -> Part:
    """Whether queries can be answered: a readiness probe. It asks the database alone, for a query needs no broker."""
    asked = current_app.extensions["probes"]["database"].begin()
    part = _answer(asked, monotonic() + PATIENCE_S)
    if part["status"] != "ok":
        raise ProblemError("database_unavailable", f"the database is {part['status']}")
    return {"status": "ok"}


def look(probes: Mapping[str, Probe]) -> Part:
    """How everything is now."""
    deadline = monotonic() + PATIENCE_S
    asked = {name: probe.begin() for name, probe in probes.items()}
    parts = {name: _answer(each, deadline) for name, each in asked.items()}
    well = all(part["status"] == "ok" for part in parts.values())
    return {"status": "ok" if well else "unavailable", **parts}


def _answer(asked: Future[Part], deadline: float) -> Part:
    try:
        return asked.result(max(0.0, deadline - monotonic()))
    except TimeoutError:
        return {"status": "not answering"}


def _database(where: Connections) -> Part:
    try:
        with where.engine.connect() as connection:
            revision = totals.revision(connection, PATIENCE_S)
    except sqlalchemy.exc.ProgrammingError:
        return {"status": "not migrated", "mend": "run: telemetry db upgrade"}
    except sqlalchemy.exc.SQLAlchemyError:
        return {"status": "unreachable"}
    if not migrate.serves(revision):
        return {"status": "not migrated", "revision": revision, "mend": "run: telemetry db upgrade"}
    return {"status": "ok", "revision": revision}


def _broker(where: Connections) -> Part:
    try:
        where.broker.ping()
    except (redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "ok"}
