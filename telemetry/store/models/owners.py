"""The tables of who used which GPU, and when. The readings of that time are in `samples`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import TSTZMULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class Owner(Base):
    """Who used GPUs: a set of labels (none: nobody), `digest` of all of them, and the parts that people ask by."""

    __tablename__ = "owners"
    # Those that a scheduler tells of: whoever asks when a GPU was read leaves them out.
    __table_args__ = (Index("owners_told_idx", "id", postgresql_where=text("labels ? 'told_by'")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    namespace: Mapped[str | None] = mapped_column(index=True)
    pod: Mapped[str | None] = mapped_column(index=True)
    container: Mapped[str | None]
    job: Mapped[str | None] = mapped_column(index=True)
    user: Mapped[str | None] = mapped_column(index=True)
    account: Mapped[str | None]
    labels: Mapped[dict[str, Any]]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class Allocation(Base):
    """When an owner had a GPU, or an `instance` of it, on a day of UTC: the minutes with a reading that names this owner."""

    __tablename__ = "allocations"
    __table_args__ = (Index(None, "day"), Index(None, "owner_id", "day"), {"postgresql_with": {"fillfactor": 80}})

    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    instance: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    held: Mapped[Any] = mapped_column(TSTZMULTIRANGE)
