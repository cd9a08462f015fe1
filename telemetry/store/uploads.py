"""Enters uploads: files that came through the API. How far one is, `telemetry.store.read.uploads` tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert

from telemetry.store import audit_log
from telemetry.store.models import Upload


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An upload in the spool directory: `name` is that of its file, whose records are bytes [`start_bytes`, `size_bytes`)."""

    id: str
    name: str
    fingerprint: str
    start_bytes: int
    size_bytes: int


def add(connection: Connection, upload: NewUpload, by: str) -> None:
    """Enter an upload, and who sent it in the audit log."""
    connection.execute(insert(Upload).values(asdict(upload)))
    audit_log.note(connection, by, "upload", upload.id, {"size_bytes": upload.size_bytes})
