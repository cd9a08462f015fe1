"""`/audit`: who changed what."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.operations import operation
from telemetry.api.parameters import Tabular
from telemetry.api.tables import Listed, Page, Table
from telemetry.store import auditlog

blueprint = Blueprint("audit", __name__)


class AuditEntry(BaseModel):
    """A change: who made it, what was done to what, and details as JSON."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: str


@operation(blueprint, "/audit", Listed[AuditEntry], Tabular, scope="admin", table=True)
def list_audit(query: Tabular) -> Table:
    """The audit log, the latest first: API keys made and revoked, files uploaded."""
    page = Page.of(query)
    return Table(AuditEntry, lambda most: auditlog.entries(most, page.offset), page, query.format)
