"""The service behind the ingest task: one message becomes one transaction, then an acknowledgement.

It decides what a failure means. A batch that can never be stored ends as dead in the ledger and is acknowledged; a failure
of the surroundings (database away, lock timeout, deadlock) is raised, and the message comes again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, event, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from telemetry.collector import samples
from telemetry.collector.acks import Acks
from telemetry.collector.registry import Registry
from telemetry.readings import wire
from telemetry.readings.identity import digest
from telemetry.settings import Settings
from telemetry.store.models import Batch, DeadLetter, Quarantined
from telemetry.store.partitions import Partitions

Status = Literal["stored", "dead", "known"]

# Errors that the batch itself causes and that will be the same the next time.
HOPELESS = (wire.WireError, psycopg.errors.DataError, psycopg.errors.CheckViolation, sqlalchemy.exc.DataError)
MAX_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: stored now (its rows by class), dead (why, if it died now), or known from before."""

    status: Status
    written: samples.Written | None = None
    error: str | None = None


class Collector:
    """Persists batches with one engine, and acknowledges them."""

    def __init__(self, settings: Settings, engine: Engine, acks: Acks) -> None:
        self._engine = engine
        self._acks = acks
        self._registry = Registry(engine, settings.volatile_labels, settings.series_cache_size)
        self._partitions = Partitions(engine)
        event.listen(engine, "connect", self._forget)

    def persist(self, header: Any, payload: Any) -> Outcome:
        """Store one batch, whatever it holds. Raises NewerVersionError, and the database's and broker's own errors."""
        try:
            batch = wire.decode(header, payload)
            outcome = self._store(batch)
        except HOPELESS as error:
            outcome = self._bury(header, payload, error)
        self._acknowledge(header, "dead" if outcome.status == "dead" else "stored")
        return outcome

    def _store(self, batch: wire.Batch) -> Outcome:
        status = self._status(batch.edge, batch.batch_id)
        if status is not None:
            return Outcome("dead" if status == "dead" else "known")
        readings = batch.readings
        source_id = self._registry.source_id(batch.edge, batch.source)
        ids = self._registry.series_ids(readings.series)
        arranged = samples.arrange(ids[readings.codes], readings.ts_us, readings.values)
        self._partitions.ensure(arranged.days())
        with self._engine.begin() as connection:
            if not _enter(connection, batch, source_id, arranged):
                return Outcome("known")
            written = samples.write(_driver(connection), arranged)
            if (written.duplicate, written.conflict) != (arranged.duplicate, arranged.conflict):
                _correct(connection, batch, written)
            _quarantine(connection, batch, source_id)
        return Outcome("stored", written)

    def _bury(self, header: Any, payload: Any, error: Exception) -> Outcome:
        """Keep a message that can never be stored, and enter it as dead if it says which batch it is."""
        known = header if isinstance(header, dict) else {}
        text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        body = payload if isinstance(payload, bytes) else repr(payload).encode()
        try:
            checked: dict[str, Any] | None = wire.check_header(header)
        except wire.WireError:
            checked = None
        if checked and self._status(checked["edge"], checked["batch_id"]) is not None:
            return Outcome("dead")
        source_id = None
        if checked:
            source = wire.Source(**{name: checked["source"][name] for name in wire.SOURCE})
            source_id = self._registry.source_id(checked["edge"], source)
        with self._engine.begin() as connection:
            if checked and not connection.execute(_ledger_row(checked, source_id, text)).rowcount:
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

    def _status(self, edge: str, batch_id: str) -> str | None:
        with self._engine.connect() as connection:
            return connection.scalar(select(Batch.status).where(Batch.edge == edge, Batch.batch_id == batch_id))

    def _acknowledge(self, header: Any, status: str) -> None:
        try:
            checked = wire.check_header(header)
        except wire.WireError:
            return
        self._acks.send(checked["edge"], checked["source"]["id"], checked["batch_id"], status)

    def _forget(self, *_: Any) -> None:
        self._registry.forget()
        self._partitions.forget()


def _driver(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "the engine's URL names psycopg"  # noqa: S101
    return driver


def _time(micros: int) -> Any:
    return func.to_timestamp(micros / 1_000_000)


def _enter(connection: Connection, batch: wire.Batch, source_id: int, arranged: samples.Samples) -> bool:
    """Enter a batch in the ledger as it will be if nothing of it is stored yet. False if it was entered meanwhile."""
    readings = batch.readings
    row = {
        "edge": batch.edge,
        "batch_id": batch.batch_id,
        "source_id": source_id,
        "status": "stored",
        "anchor": batch.source.anchor,
        "start": batch.start,
        "end": batch.end,
        "first_line": batch.first_line,
        "rows": readings.rows,
        "stored": len(arranged.series),
        "duplicate": arranged.duplicate,
        "conflict": arranged.conflict,
        "blank": readings.blank,
        "quarantined": len(readings.quarantined),
        "read_at": _time(batch.read_at_us),
        "published_at": _time(batch.published_at_us),
    }
    return bool(connection.execute(upsert(Batch).values(row).on_conflict_do_nothing()).rowcount)


def _correct(connection: Connection, batch: wire.Batch, written: samples.Written) -> None:
    connection.execute(
        update(Batch)
        .where(Batch.edge == batch.edge, Batch.batch_id == batch.batch_id)
        .values(stored=written.stored, duplicate=written.duplicate, conflict=written.conflict)
    )


def _quarantine(connection: Connection, batch: wire.Batch, source_id: int) -> None:
    rows = [
        {
            "source_id": source_id,
            "batch_id": batch.batch_id,
            "fingerprint": batch.source.fingerprint,
            "byte_offset": row.offset,
            "digest": bytes.fromhex(digest(row.raw)),
            "line": row.line,
            "reason": row.reason,
            "raw": row.raw,
        }
        for row in sorted(batch.readings.quarantined, key=lambda row: row.offset)
    ]
    if rows:
        connection.execute(upsert(Quarantined).on_conflict_do_nothing(), rows)


def _ledger_row(header: dict[str, Any], source_id: int | None, error: str) -> Any:
    counts = dict.fromkeys(("stored", "duplicate", "conflict", "blank", "quarantined"), 0)
    return (
        upsert(Batch)
        .values(
            edge=header["edge"],
            batch_id=header["batch_id"],
            source_id=source_id,
            status="dead",
            error=error.replace("\0", "\\0"),
            anchor=header["source"]["anchor"],
            start=header["start"],
            end=header["end"],
            first_line=header["first_line"],
            rows=min(header["rows"]["read"], wire.MAX_ROWS),
            read_at=_time(header["read_at"]),
            published_at=_time(header["published_at"]),
            **counts,
        )
        .on_conflict_do_nothing()
    )


def _storable(header: dict[Any, Any]) -> Any:
    """A stranger's header as JSON can hold it."""
    return json.loads(json.dumps(header, default=repr, skipkeys=True).replace("\\u0000", "\\ufffd"))
