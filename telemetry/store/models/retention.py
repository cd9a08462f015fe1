"""The table of retention: from when on each level is kept, and what was dropped."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class Retention(Base):
    """A level (`samples`, `quarantine`, `events`): nothing of before `kept_since` is kept; null where nothing was dropped.

    Of samples it is the floor, the begin of a day of UTC: a reading of before is `expired`. `days` is what the process that
    looked last is set to, null where retention is off, `done_at` when it had nothing left to do. `dropped` counts samples or
    rows, `partitions` tables.
    """

    __tablename__ = "retention"

    level: Mapped[str] = mapped_column(primary_key=True)
    kept_since: Mapped[datetime | None]
    days: Mapped[int | None]
    done_at: Mapped[datetime | None]
    dropped: Mapped[int] = mapped_column(BigInteger, server_default="0")
    partitions: Mapped[int] = mapped_column(BigInteger, server_default="0")
