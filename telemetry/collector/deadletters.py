"""Keeps messages that can never be stored, whatever is in them: as a dead letter, and as dead in the ledger.

What strangers send may not fit where it should be noted. Then less is noted of it, for a message that can be neither stored
nor kept would come again for ever. Which errors are hopeless is decided here too, for keeping meets the same.
"""

from __future__ import annotations

import json
import math
from typing import Any

import psycopg
import redis
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, insert

from telemetry.readings import wire
from telemetry.readings.digests import digest
from telemetry.store.models import DeadLetter
from telemetry.store.write import ledger
from telemetry.store.write.series_ids import Registry

Message = tuple[Any, Any]

# Errors that the batch itself causes and that will be the same the next time.
HOPELESS = (wire.WireError, psycopg.errors.DataError, psycopg.errors.CheckViolation)
# Of Postgres, "program limit exceeded": such as a name too long for an index. psycopg calls it operational.
HOPELESS_CLASS = "54"
# Failures of everything around: another time, or another worker, may do better.
DATABASE = (sqlalchemy.exc.SQLAlchemyError, psycopg.Error)
SURROUNDINGS = (*DATABASE, redis.RedisError, OSError, MemoryError, SoftTimeLimitExceeded)
MAX_ERROR_CHARACTERS = 2000
MAX_HEADER_CHARACTERS = 1 << 16
MAX_DEPTH = 20


def hopeless(error: Exception) -> bool:
    """Whether an error is the batch's own, and will be the same the next time."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return isinstance(cause, HOPELESS) or str(getattr(cause, "sqlstate", None)).startswith(HOPELESS_CLASS)


def passes(error: Exception) -> bool:
    """Whether an error is one of the surroundings, of which the batch knows nothing."""
    return isinstance(error, SURROUNDINGS) and not hopeless(error)


def told(error: Exception) -> str:
    """What is kept of an error."""
    text: str = storable(f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS])
    return text


def checked(header: Any) -> dict[str, Any] | None:
    """The header, None if it names no batch that could be entered and acknowledged."""
    try:
        return wire.check_header(header)
    except (wire.WireError, wire.NewerVersionError):
        return None


def storable(value: Any, depth: int = 0) -> Any:
    """A stranger's value as Postgres can hold it in text and JSON."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode(errors="replace").decode()
        case None | bool() | int() | float() if not isinstance(value, float) or math.isfinite(value):
            return value
        case dict() | list() | tuple() if depth == MAX_DEPTH:
            return "…"
        case dict():
            named = ((name if isinstance(name, str) else repr(name), each) for name, each in value.items())
            return {storable(name): storable(each, depth + 1) for name, each in named}
        case list() | tuple():
            return [storable(each, depth + 1) for each in value]
    return storable(repr(value))


class DeadLetters:
    """Where one collector process puts them."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self._engine = engine
        self._registry = registry

    def keep(self, message: Message, error: str) -> str | None:
        """Keep a message, and enter its batch as dead if it says which that is; what the ledger said of it, if it knew it."""
        header, payload = message
        body = payload if isinstance(payload, bytes) else json.dumps(storable(payload)).encode()
        letter = {"error": error, "header": _beginning(storable(header) if isinstance(header, dict) else {}), "payload": body}
        if batch := checked(header):
            try:
                return self._enter(batch, letter)
            except Exception as again:
                if not hopeless(again):
                    raise
        with self._engine.begin() as connection:
            connection.execute(insert(DeadLetter).values(letter | {"batch_id": digest(body)}))
        return None

    def _enter(self, batch: dict[str, Any], letter: dict[str, Any]) -> str | None:
        names = {"edge": batch["edge"], "batch_id": batch["batch_id"]}
        with self._engine.connect() as connection:
            if known := ledger.statuses(connection, [(batch["edge"], batch["batch_id"])]):
                return known.popitem()[1]
        source = wire.source_of(batch)
        (source_id,) = self._registry.source_ids([(batch["edge"], source)])
        with self._engine.begin() as connection:
            if not ledger.is_new(connection, ledger.dead_row(batch, source_id, letter["error"])):
                return "dead"
            connection.execute(insert(DeadLetter).values(letter | names))
        return None


def _beginning(header: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(header)
    return header if len(text) <= MAX_HEADER_CHARACTERS else {"beginning": text[:MAX_HEADER_CHARACTERS]}
