"""Uploads: which files came through the API, and what the ledger has of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, text

from telemetry.store.audit_log import note
from telemetry.store.models import Upload

# By the name alone: the streamer may see the spool directory at another place.
PROGRESS = text("""
    SELECT u.id, u.name, u.fingerprint, u.size_bytes, u.uploaded_at, u.start_bytes,
           coalesce(sum(b.end_offset - b.start_offset), 0)::bigint AS covered_bytes,
           coalesce(sum(b.batches), 0)::bigint AS batches,
           count(*) FILTER (WHERE b.status = 'dead') AS dead_batches, coalesce(sum(b.rows), 0)::bigint AS rows,
           coalesce(sum(b.stored), 0)::bigint AS stored, coalesce(sum(b.duplicate), 0)::bigint AS duplicate,
           coalesce(sum(b.conflict), 0)::bigint AS conflict, coalesce(sum(b.blank), 0)::bigint AS blank,
           coalesce(sum(b.quarantined), 0)::bigint AS quarantined
    FROM uploads u
    LEFT JOIN sources s ON s.edge = :edge AND right(s.path, length(u.name) + 1) = '/' || u.name
    LEFT JOIN ledger b ON b.source_id = s.id
    WHERE u.id = :id GROUP BY u.id
""")


def add(connection: Connection, values: Mapping[str, Any], by: str) -> None:
    """Enter an upload: id, name, fingerprint, start_bytes, size_bytes."""
    connection.execute(insert(Upload).values(**values))
    note(connection, by, "upload", values["id"], {"size_bytes": values["size_bytes"]})


def find(connection: Connection, upload_id: str, edge: str) -> dict[str, Any] | None:
    """An upload with the rows of its batches by class, and the bytes these cover; None if there is none of this id.

    Batches that an earlier upload had already are under that one: the ledger has each once.
    """
    row = connection.execute(PROGRESS, {"id": upload_id, "edge": edge}).mappings().first()
    return None if row is None else dict(row)
