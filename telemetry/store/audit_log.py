"""The audit log: who changed what, and when. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, desc, insert, select

from telemetry.store.models import AuditEntry


def note(connection: Connection, actor: str, action: str, target: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add an entry. Call it in the transaction of the change itself, so that neither is there without the other."""
    connection.execute(insert(AuditEntry).values(actor=actor, action=action, target=target, detail=dict(detail or {})))


def entries(before: int | None = None) -> Select[Any]:
    """Entries, the latest first, before the one of an id. `detail` comes as the text of its JSON."""
    detail = cast(AuditEntry.detail, Text).label("detail")
    columns: list[Any] = [AuditEntry.id, AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.target, detail]
    rows = select(*columns)
    return (rows if before is None else rows.where(AuditEntry.id < before)).order_by(desc(AuditEntry.id))
