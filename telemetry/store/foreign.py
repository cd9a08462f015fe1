"""Forgets foreign sources: files whose format nobody knows, of which the database has no reading.

The row of `sources` stays, as collectors keep its id; without a batch in the ledger no list shows it.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.formats.base import UNKNOWN

IDS = text("SELECT id FROM sources WHERE edge = :edge AND path = :path AND format = :unknown")
DELETES = tuple(
    text(f"DELETE FROM {table} WHERE source_id = ANY(:ids)")  # noqa: S608 - the names stand here
    for table in ("quarantine", "batches", "ledger_ranges")
)


def forget(connection: Connection, edge: str, path: str) -> bool:
    """Remove what the ledger and the quarantine have of the foreign sources at a path. Says if there was one.

    Sources that were read are left as they are: their readings stay, and so does the account of them.
    """
    ids = list(connection.scalars(IDS, {"edge": edge, "path": path, "unknown": UNKNOWN}))
    removed = [connection.execute(delete, {"ids": ids}).rowcount for delete in DELETES] if ids else []
    return any(removed)
