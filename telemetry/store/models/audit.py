"""The tables of the audit: how many samples there should be, which partitions were counted, and where samples went missing.

`telemetry.store.read.counted` compares, `telemetry.store.shortfalls` writes what was found.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, Integer, Table, false, func
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base, Name

# How many samples were stored new, by the hour of their time (hours since 1970). Each transaction that stores adds rows of its
# own, so that none waits for another; the sum counts, and a chore adds them up. Without a key, as rows are never looked up.
TALLIES = Table("tallies", Base.metadata, Column("hour", Integer, nullable=False), Column("stored", BigInteger, nullable=False))


class CountedPartition(Base):
    """A partition whose tallies are complete, by its name: it was empty when they began, or was counted then.

    `samples` is how many it had when it was counted last.
    """

    __tablename__ = "counted_partitions"

    name: Mapped[Name] = mapped_column(primary_key=True)
    counted_at: Mapped[datetime | None]
    samples: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Shortfall(Base):
    """Samples of the hours [first_hour, end_hour) (since 1970) that were gone; `restored` of them came back and were counted.

    Until it is settled (all came back, or a person has accepted the loss) what is found gone besides is added to it.
    """

    __tablename__ = "shortfalls"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    first_hour: Mapped[int]
    end_hour: Mapped[int]
    missing: Mapped[int] = mapped_column(BigInteger)
    restored: Mapped[int] = mapped_column(BigInteger, server_default="0")
    found_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    settled_at: Mapped[datetime | None]


class Reread(Base):
    """Bytes [start, end) of the files of one fingerprint that are read again for the shortfall that is not settled.

    `is_due`: they must be read again once more, as more was found gone since.
    """

    __tablename__ = "rereads"

    edge: Mapped[Name] = mapped_column(primary_key=True)
    fingerprint: Mapped[Name] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column("start_offset", BigInteger)
    end: Mapped[int] = mapped_column("end_offset", BigInteger)
    asked_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    is_due: Mapped[bool] = mapped_column(server_default=false())
