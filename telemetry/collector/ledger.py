"""The ledger's statements: entering a batch, correcting its counts, keeping the rows it quarantines.

All but `status` run inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from telemetry.collector.samples import Samples, Written
from telemetry.readings import wire
from telemetry.readings.identity import digest
from telemetry.store.models import Batch, Quarantined


def status(engine: Engine, edge: str, batch_id: str) -> str | None:
    """What the ledger says of a batch: `stored`, `dead`, or nothing."""
    with engine.connect() as connection:
        return connection.scalar(select(Batch.status).where(Batch.edge == edge, Batch.batch_id == batch_id))


def _time(micros: int) -> Any:
    return func.to_timestamp(micros / 1_000_000)


def enter(connection: Connection, batch: wire.Batch, source_id: int, arranged: Samples) -> bool:
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
    return is_new(connection, row)


def is_new(connection: Connection, row: dict[str, Any]) -> bool:
    """Write a row of the ledger. False if the batch has one."""
    # By what comes back: SQLAlchemy's rowcount of an INSERT is not the driver's.
    entered = connection.execute(upsert(Batch).values(row).on_conflict_do_nothing().returning(Batch.batch_id))
    return entered.first() is not None


def correct(connection: Connection, batch: wire.Batch, written: Written) -> None:
    """Write down what the rows of a batch turned out to be."""
    connection.execute(
        update(Batch)
        .where(Batch.edge == batch.edge, Batch.batch_id == batch.batch_id)
        .values(stored=written.stored, duplicate=written.duplicate, conflict=written.conflict)
    )


def quarantine(connection: Connection, batch: wire.Batch, source_id: int) -> None:
    """Keep the rows of a batch that are no readings; those kept before stay as they are."""
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


def dead_row(header: dict[str, Any], source_id: int, error: str) -> dict[str, Any]:
    """The ledger's row of a batch that can never be stored, by its checked header."""
    return {
        "edge": header["edge"],
        "batch_id": header["batch_id"],
        "source_id": source_id,
        "status": "dead",
        "error": error.replace("\0", "\\0"),
        "anchor": header["source"]["anchor"],
        "start": header["start"],
        "end": header["end"],
        "first_line": header["first_line"],
        "rows": min(header["rows"]["read"], wire.MAX_ROWS),
        **dict.fromkeys(("stored", "duplicate", "conflict", "blank", "quarantined"), 0),
        "read_at": _time(header["read_at"]),
        "published_at": _time(header["published_at"]),
    }
