"""API keys: made, listed, revoked and verified. A key is shown once, when it is made; what is kept is its digest.

The secret part has 256 random bits, so a plain SHA-256 of it can be searched by nobody; a slow hash would only slow down
every request. The audit log says who made and revoked keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, or_, select, text, update

from telemetry.store.audit_log import note
from telemetry.store.models import ApiKey

SCOPES = ("read", "ingest", "admin")
# The last use is told to the minute: to write it at every request would cost more than the request.
USE_NOTED = text("interval '1 minute'")


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is good."""

    name: str
    public: str
    scopes: Sequence[str]


def create(connection: Connection, name: str, scopes: Sequence[str], expires_at: datetime | None, by: str) -> str:
    """Make a key; the only time that it is seen. Raises IntegrityError if the name is taken."""
    public, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    values = {"name": name, "public": public, "digest": _digest(secret), "scopes": list(scopes), "expires_at": expires_at}
    connection.execute(insert(ApiKey).values(values))
    expiry = expires_at.isoformat() if expires_at else None
    note(connection, by, "apikey.create", name, {"scopes": list(scopes), "expires_at": expiry})
    return f"tk_{public}_{secret}"


def listed(connection: Connection) -> Sequence[RowMapping]:
    """All keys by name, without what would let anybody in."""
    columns = (
        ApiKey.name,
        ApiKey.public,
        ApiKey.scopes,
        ApiKey.created_at,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
    )
    return connection.execute(select(*columns).order_by(ApiKey.name)).mappings().all()


def revoke(connection: Connection, name: str, by: str) -> bool:
    """End a key, from the next request on. False if there is none that is good."""
    ended = update(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    if connection.execute(ended.returning(ApiKey.id)).first() is None:
        return False
    note(connection, by, "apikey.revoke", name)
    return True


def verify(connection: Connection, key: str) -> Known | None:
    """The key, if it is known, not revoked and not expired; its use is noted."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "tk" or not key.isascii() or "\0" in key:  # noqa: PLR2004
        return None
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - USE_NOTED)
    columns = (ApiKey.id, ApiKey.name, ApiKey.public, ApiKey.digest, ApiKey.scopes, stale.label("stale"))
    row = connection.execute(select(*columns).where(ApiKey.public == parts[1], *_good())).first()
    if row is None or not secrets.compare_digest(row.digest, _digest(parts[2])):
        return None
    if row.stale:
        connection.execute(update(ApiKey).where(ApiKey.id == row.id, stale).values(last_used_at=func.now()))
    return Known(row.name, row.public, row.scopes)


def is_good(connection: Connection, name: str) -> bool:
    """Whether a key that was good still is."""
    return connection.execute(select(ApiKey.id).where(ApiKey.name == name, *_good())).first() is not None


def _good() -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
