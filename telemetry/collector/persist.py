"""The service behind the ingest task: one message becomes one transaction, then an acknowledgement.

It decides what a failure means. A batch that can never be stored ends as dead in the ledger and is acknowledged; a failure
of the surroundings (database away, lock timeout, deadlock) is raised, and the message comes again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
import redis
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection, Engine, event, insert

from telemetry.collector import ledger, samples
from telemetry.collector.acks import Acks
from telemetry.collector.registry import Registry
from telemetry.monitoring import trail
from telemetry.readings import wire
from telemetry.readings.identity import digest
from telemetry.settings import Settings
from telemetry.store.models import DeadLetter
from telemetry.store.partitions import Partitions

log = logging.getLogger(__name__)

Status = Literal["stored", "dead", "known", "probe"]

# Errors that the batch itself causes and that will be the same the next time.
HOPELESS = (wire.WireError, psycopg.errors.DataError, psycopg.errors.CheckViolation, sqlalchemy.exc.DataError)
# Failures of everything around: another time, or another worker, may do better.
SURROUNDINGS = (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, redis.RedisError, OSError, MemoryError, SoftTimeLimitExceeded)
MAX_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: stored now (its rows by class), dead (why, if it died now), known before, or a probe."""

    status: Status
    written: samples.Written | None = None
    error: str | None = None


class Collector:
    """Persists batches with one engine, and acknowledges them."""

    def __init__(self, settings: Settings, engine: Engine, acks: Acks) -> None:
        self._engine = engine
        self._acks = acks
        self._cluster = settings.cluster_name
        self._registry = Registry(engine, settings.volatile_labels, settings.series_cache_size)
        self._partitions = Partitions(engine)
        event.listen(engine, "connect", self._forget)

    def persist(self, header: Any, payload: Any) -> Outcome:
        """Store one batch, whatever it holds. Raises NewerVersionError and SURROUNDINGS.

        An error that nobody thought of kills the batch too: it is kept with its message, and blocks nothing.
        """
        try:
            batch = wire.decode(header, payload)
            outcome = self._store(batch)
        except HOPELESS as error:
            outcome = self._bury(header, payload, error)
        except (wire.NewerVersionError, *SURROUNDINGS):
            raise
        except Exception as error:
            log.exception("an error nobody thought of")
            outcome = self._bury(header, payload, error)
        now_us = self._acknowledge(header, "dead" if outcome.status == "dead" else "stored")
        if now_us is not None:
            rows = _classes(header, outcome)
            trail.settled(header, outcome.status, rows, cluster=self._cluster, acknowledged_us=now_us)
        return outcome

    def _store(self, batch: wire.Batch) -> Outcome:
        if batch.start == batch.end:
            return Outcome("probe")
        status = ledger.status(self._engine, batch.edge, batch.batch_id)
        if status is not None:
            return Outcome("dead" if status == "dead" else "known")
        readings = batch.readings
        source_id = self._registry.source_id(batch.edge, batch.source)
        ids = self._registry.series_ids(readings.series)
        arranged = samples.arrange(ids[readings.codes], readings.ts_us, readings.values)
        self._partitions.ensure(arranged.days())
        with trail.transaction(), self._engine.begin() as connection:
            if not ledger.enter(connection, batch, source_id, arranged):
                return Outcome("known")
            written = samples.write(_driver(connection), arranged)
            if (written.duplicate, written.conflict) != (arranged.duplicate, arranged.conflict):
                ledger.correct(connection, batch, written)
            ledger.quarantine(connection, batch, source_id)
        return Outcome("stored", written)

    def _bury(self, header: Any, payload: Any, error: Exception) -> Outcome:
        """Keep a message that can never be stored, and enter it as dead if it says which batch it is."""
        known = header if isinstance(header, dict) else {}
        text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        body = payload if isinstance(payload, bytes) else repr(payload).encode()
        checked = _checked(header)
        row: dict[str, Any] | None = None
        if checked:
            status = ledger.status(self._engine, checked["edge"], checked["batch_id"])
            if status is not None:
                return Outcome("dead" if status == "dead" else "known")
            source = wire.Source(**{name: checked["source"][name] for name in wire.SOURCE})
            row = ledger.dead_row(checked, self._registry.source_id(checked["edge"], source), text)
        with self._engine.begin() as connection:
            if row and not ledger.is_new(connection, row):
                return Outcome("dead")
            connection.execute(
                insert(DeadLetter).values(
                    edge=checked and checked["edge"],
                    batch_id=checked["batch_id"] if checked else digest(body),
                    error=text.replace("\0", "\\0"),
                    header=_storable(known),
                    payload=body,
                )
            )
        return Outcome("dead", error=text)

    def _acknowledge(self, header: Any, status: str) -> int | None:
        """Tell the edge. The broker's clock at that; None if the header does not say whom to tell."""
        checked = _checked(header)
        return self._acks.send(checked["edge"], checked["source"]["id"], checked["batch_id"], status) if checked else None

    def _forget(self, *_: Any) -> None:
        self._registry.forget()
        self._partitions.forget()


def _driver(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "the engine's URL names psycopg"  # noqa: S101
    return driver


def _checked(header: Any) -> dict[str, Any] | None:
    """The header, None if it names no batch that could be entered and acknowledged."""
    try:
        return wire.check_header(header)
    except wire.WireError:
        return None


def _classes(header: dict[str, Any], outcome: Outcome) -> dict[str, int]:
    """What became of the rows of a batch that this message settled; nothing for one that was known before."""
    rows, written = header["rows"], outcome.written
    if written is not None:
        of_file = {"blank": rows["blank"], "quarantined": rows["quarantined"]}
        return {"stored": written.stored, "duplicate": written.duplicate, "conflict": written.conflict, **of_file}
    return {"dead": rows["read"]} if outcome.error else {}


def _storable(header: dict[Any, Any]) -> Any:
    """A stranger's header as JSON can hold it."""
    return json.loads(json.dumps(header, default=repr, skipkeys=True).replace("\\u0000", "\\ufffd"))
