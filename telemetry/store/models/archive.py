"""The table of the archive: which sealed days were written to which place, and verified there."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class ArchivedDay(Base):
    """A day that `place` has: how many samples and series, and the digest of them (`telemetry.archive.runs`).

    Samples of a day are added and never changed, and whoever drops some deletes the row in the same transaction. So a day is
    archived as it stands if it has as many samples as here. The row is written after the file was read back and compared.
    """

    __tablename__ = "archived_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)
    samples: Mapped[int] = mapped_column(BigInteger)
    series: Mapped[int]
    digest: Mapped[str]
    verified_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
