"""`/audit`: who changed what."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core.queries import Followed
from telemetry.api.operations import listing
from telemetry.store import audit_log

ENDS = {"id": cursors.whole}

blueprint = Blueprint("audit", __name__)


class AuditEntry(BaseModel):
    """A change: who made it, what was done to what, and details as JSON."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: str


@listing(blueprint, "/audit", Continued[AuditEntry], Followed, scope="admin")
def list_audit(_: Followed, page: Page) -> Table:
    """The audit log, the latest entry first: API keys made and revoked, files uploaded."""
    (before,) = page.after(ENDS) or (None,)
    return Table(AuditEntry, audit_log.entries(before), page, ends=ENDS, of_primary=True)
