"""API keys: made, listed, revoked and verified. A key is shown once, when it is made; only its digest is stored.

The secret part has 256 random bits, so nobody can search for the text of a SHA-256 digest. A slow hash would only make
every request slower. The audit log says who made and revoked keys. A login by a provider is a key, too, with a name of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, or_, select, text, update

from telemetry.store import audit_log
from telemetry.store.models import ApiKey

SCOPES = ("read", "ingest", "admin")
# The time of last use is exact to a minute: writing it at every request would cost more than the request.
USE_NOTED = text("interval '1 minute'")
# So the names of keys begin that logins make. They go a day after they have expired.
LOGIN = "login "
LOGIN_GOES_AFTER = text("interval '1 day'")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that is known, not revoked and not expired. `public` is the part of it that may be shown.

    It sees its `namespaces` alone; all, if it has none.
    """

    name: str
    public: str
    scopes: Sequence[str]
    namespaces: Sequence[str] = ()


def create(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
    by: str,
    namespaces: Sequence[str] = (),
) -> str:
    """Make a key and return it: it can never be read again. Raises IntegrityError if the name is taken."""
    public, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    may = {"scopes": list(scopes), "namespaces": list(namespaces)}
    values = {"name": name, "public": public, "digest": _digest(secret), "expires_at": expires_at, **may}
    connection.execute(insert(ApiKey).values(values))
    expiry = expires_at.isoformat() if expires_at else None
    audit_log.note(connection, by, "apikey.create", name, {**may, "expires_at": expiry})
    return f"tk_{public}_{secret}"


def log_in(connection: Connection, person: str, scopes: Sequence[str], namespaces: Sequence[str], lasts_s: int) -> str:
    """Make the key of a person who logs in by a provider, and return it. Those of logins that are over go."""
    is_over = ApiKey.expires_at < func.now() - LOGIN_GOES_AFTER
    connection.execute(delete(ApiKey).where(ApiKey.name.startswith(LOGIN, autoescape=True), is_over))
    name = f"{LOGIN}{person} {secrets.token_hex(4)}"
    expires_at = datetime.now(UTC) + timedelta(seconds=lasts_s)
    return create(connection, name, scopes, expires_at, f"login of {person}", namespaces)


def log_out(connection: Connection, key: str) -> None:
    """End a key, if a login made it."""
    known = verify(connection, key)
    if known and known.name.startswith(LOGIN):
        revoke(connection, known.name, f"key {known.name}")


def listed(connection: Connection) -> Sequence[RowMapping]:
    """All keys by name, without their digests."""
    columns = (
        ApiKey.name,
        ApiKey.public,
        ApiKey.scopes,
        ApiKey.namespaces,
        ApiKey.created_at,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
    )
    return connection.execute(select(*columns).order_by(ApiKey.name)).mappings().all()


def revoke(connection: Connection, name: str, by: str) -> bool:
    """End a key, from the next request on. False if there is no such key, or it was revoked before."""
    revoked = update(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    if connection.execute(revoked.returning(ApiKey.id)).first() is None:
        return False
    audit_log.note(connection, by, "apikey.revoke", name)
    return True


def verify(connection: Connection, key: str) -> KnownKey | None:
    """The key, if it is known, not revoked and not expired; None otherwise. Its use is recorded."""
    parts = key.split("_", 2)
    if len(parts) != 3 or parts[0] != "tk" or not key.isascii() or "\0" in key:  # noqa: PLR2004
        return None
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - USE_NOTED)
    shown = (ApiKey.name, ApiKey.public, ApiKey.scopes, ApiKey.namespaces)
    columns = (ApiKey.id, ApiKey.digest, *shown, stale.label("stale"))
    row = connection.execute(select(*columns).where(ApiKey.public == parts[1], *_valid())).first()
    if row is None or not secrets.compare_digest(row.digest, _digest(parts[2])):
        return None
    if row.stale:
        connection.execute(update(ApiKey).where(ApiKey.id == row.id, stale).values(last_used_at=func.now()))
    return KnownKey(row.name, row.public, row.scopes, row.namespaces)


def is_valid(connection: Connection, name: str) -> bool:
    """Whether the key of a name is neither revoked nor expired."""
    return connection.execute(select(ApiKey.id).where(ApiKey.name == name, *_valid())).first() is not None


def _valid() -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
