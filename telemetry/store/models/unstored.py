"""The tables of what came and is no sample: rows in quarantine, readings in conflict, whole messages that are dead.

How many there were of each batch is counted in `ledger`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class Quarantined(Base):
    """A row that cannot be read as a reading, as it stood in the file, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("fingerprint", "byte_offset", "digest"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    batch_id: Mapped[str]
    fingerprint: Mapped[str]
    byte_offset: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    line: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    raw: Mapped[bytes]
    quarantined_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Conflict(Base):
    """A reading whose key was stored with another value: what it says in `value`, and what stayed in `stored`.

    No foreign key to `series`, for the reason that `Sample` gives.
    """

    __tablename__ = "conflicts"
    __table_args__ = (UniqueConstraint("series_id", "ts", "value", "source_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    batch_id: Mapped[str]
    series_id: Mapped[int] = mapped_column(BigInteger)
    ts: Mapped[datetime]
    value: Mapped[float]
    stored: Mapped[float]
    kept_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DeadLetter(Base):
    """A whole message that cannot be processed, kept until a person retries or drops it."""

    __tablename__ = "dead_letters"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    edge: Mapped[str | None]
    batch_id: Mapped[str | None]
    error: Mapped[str]
    header: Mapped[dict[str, Any]]
    payload: Mapped[bytes]
    died_at: Mapped[datetime] = mapped_column(server_default=func.now())
