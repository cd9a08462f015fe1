"""`/audit`: who changed what."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers import cursors
from telemetry.api.answers.tables import Continued, Page, Table
from telemetry.api.core.parameters import Followed
from telemetry.api.operations import operation
from telemetry.store import audit_log

blueprint = Blueprint("audit", __name__)


class AuditEntry(BaseModel):
    """A change: who made it, what was done to what, and details as JSON."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: str


@operation(blueprint, "/audit", Continued[AuditEntry], Followed, scope="admin", table=True)
def list_audit(query: Followed) -> Table:
    """The audit log, the latest first: API keys made and revoked, files uploaded."""
    page = Page.of(query)
    after = cursors.read(query.cursor, cursors.whole)
    return Table(
        AuditEntry, lambda most: audit_log.entries(most, page.offset, after), page, query.format, cursor=lambda row: [row.id]
    )
