"""`/health`: whether the database and the broker can be used."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.core.probes import probes
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query
from telemetry.api.core.shared import shared
from telemetry.api.operations import operation

# Each page that is open asks every second or two, and to ask both servers takes threads and connections of their own.
LASTS_S = 0.5

blueprint = Blueprint("health", __name__)


class Broker(BaseModel):
    """The broker: ok, unreachable, or not answering. Unless it is ok: since when this process has found it so, and the mend."""

    status: str
    since: datetime | None = None
    mend: str | None = None


class Database(BaseModel):
    """The database: as the broker, or not migrated; with its revision."""

    status: str
    revision: str | None = None
    since: datetime | None = None
    mend: str | None = None


class Health(BaseModel):
    """ok, or unavailable with the part that cannot be used.

    Where there are several brokers, each stands in `brokers` by its name; `broker` is then the first that cannot be used.
    """

    status: str
    database: Database
    broker: Broker
    brokers: dict[str, Broker] | None = None


class Alive(BaseModel):
    """It runs."""

    status: Literal["ok"]


@operation(blueprint, "/health", Health, Query, scope=None, others={503: Health})
def show_health(_: Query) -> tuple[dict[str, Any], int]:
    """Whether everything can be used: 200, or 503 with the part that cannot."""
    states = shared().get("health", LASTS_S, probes().states)
    return states, 200 if states["status"] == "ok" else 503


@operation(blueprint, "/api/v1/health/live", Alive, Query, scope=None)
def show_live(_: Query) -> dict[str, Any]:
    """Whether this process answers at all, whatever else is away: a liveness probe."""
    return {"status": "ok"}


@operation(blueprint, "/api/v1/health/ready", Alive, Query, scope=None, codes=("database_unavailable",))
def show_ready(_: Query) -> dict[str, Any]:
    """Whether queries can be answered: a readiness probe. It asks only the database, because a query needs no broker."""
    state = probes().database.state()
    if state["status"] != "ok":
        raise ProblemError("database_unavailable", f"the database is {state['status']}")
    return {"status": "ok"}
