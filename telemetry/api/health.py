"""`GET /health`: whether the database and the broker can be used. It answers within seconds, whatever hangs.

Owns the patience. A server that is frozen leaves its clients waiting without end, as the database's own time limits
rest with it; so each part is asked in a thread, and who asked goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from time import monotonic
from typing import Any

import redis
import sqlalchemy.exc
from flask import Blueprint, current_app
from flask.blueprints import BlueprintSetupState

from telemetry.api import parameters
from telemetry.api.connections import Connections
from telemetry.store import migrate, queries

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


@blueprint.get("/health")
def health() -> tuple[Part, int]:
    """200 when everything can be used, 503 with the part that cannot."""
    parameters.only()
    deadline = monotonic() + PATIENCE_S
    asked = {name: probe.begin() for name, probe in current_app.extensions["probes"].items()}
    parts = {name: _answer(each, deadline) for name, each in asked.items()}
    well = all(part["status"] == "ok" for part in parts.values())
    return {"status": "ok" if well else "unavailable", **parts}, 200 if well else 503


def _answer(asked: Future[Part], deadline: float) -> Part:
    try:
        return asked.result(max(0.0, deadline - monotonic()))
    except TimeoutError:
        return {"status": "not answering"}


def _database(where: Connections) -> Part:
    try:
        with where.engine.connect() as connection:
            revision = queries.revision(connection, PATIENCE_S)
    except sqlalchemy.exc.ProgrammingError:
        return {"status": "not migrated", "mend": "run: telemetry db upgrade"}
    except sqlalchemy.exc.SQLAlchemyError:
        return {"status": "unreachable"}
    if revision != migrate.head():
        return {"status": "not migrated", "revision": revision, "mend": "run: telemetry db upgrade"}
    return {"status": "ok", "revision": revision}


def _broker(where: Connections) -> Part:
    try:
        where.broker.ping()
    except (redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "ok"}
