"""The audit log: who changed what, and when. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, desc, insert, select

from telemetry.store.models import AuditEntry


def note(connection: Connection, actor: str, action: str, target: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add an entry, in the transaction of the change itself."""
    connection.execute(insert(AuditEntry).values(actor=actor, action=action, target=target, detail=dict(detail or {})))


def entries(most: int | None, offset: int, before: int | None = None) -> Select[Any]:
    """Entries, the latest first."""
    detail = cast(AuditEntry.detail, Text).label("detail")
    columns: list[Any] = [AuditEntry.id, AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.target, detail]
    rows = select(*columns).where(*([AuditEntry.id < before] if before is not None else []))
    return rows.order_by(desc(AuditEntry.id)).limit(most).offset(offset or None)
