"""The tables of what people and the API change: files sent to it, its keys, credentials of edges, and who changed what.

No reading is here. What was read of an uploaded file is in `ledger`, as of any other source.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class Upload(Base):
    """A file that came through the API: `name` is that of its file in the spool directory.

    Its records are bytes [`start_bytes`, `size_bytes`) there; with the path, `fingerprint` makes the id of the source.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    fingerprint: Mapped[str]
    start_bytes: Mapped[int] = mapped_column(BigInteger)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    uploaded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key of the API: `public` is the part that finds it, `digest` the SHA-256 of the part that nobody but its owner has.

    One that is bound to `namespaces` sees nothing else; one without any sees all.
    """

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    public: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    namespaces: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class EdgeCredential(Base):
    """One of the credentials of a holder (an edge, or all of a cluster): its number, and until when it is valid.

    The credentials themselves are nowhere: `telemetry.trust.credentials` makes them of the centre's secret.
    """

    __tablename__ = "edge_credentials"

    holder: Mapped[str] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    retired_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who changed what: `actor` is a key or a person at the command line, `target` what was changed."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    detail: Mapped[dict[str, Any]]
