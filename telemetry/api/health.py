"""`GET /health`: whether the database and the broker can be used. It answers within seconds, whatever hangs."""

from __future__ import annotations

from typing import Any

import redis
import sqlalchemy.exc
from flask import Blueprint
from sqlalchemy import text

from telemetry.api import parameters
from telemetry.api.connections import Connections, connections
from telemetry.store import migrate

PATIENCE_S = 3

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> tuple[dict[str, Any], int]:
    """200 when everything can be used, 503 with the part that cannot."""
    parameters.only()
    parts = {"database": _database(connections()), "broker": _broker(connections())}
    well = all(part["status"] == "ok" for part in parts.values())
    return {"status": "ok" if well else "unavailable", **parts}, 200 if well else 503


def _database(where: Connections) -> dict[str, Any]:
    try:
        with where.engine.connect() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'"))
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except sqlalchemy.exc.ProgrammingError:
        return {"status": "not migrated", "mend": "run: telemetry db upgrade"}
    except sqlalchemy.exc.SQLAlchemyError:
        return {"status": "unreachable"}
    if revision != migrate.head():
        return {"status": "not migrated", "revision": revision, "mend": "run: telemetry db upgrade"}
    return {"status": "ok", "revision": revision}


def _broker(where: Connections) -> dict[str, Any]:
    try:
        where.broker.ping()
    except (redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "ok"}
