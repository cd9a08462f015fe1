"""The tables of sealed days: arrays in the place of `samples`, and what came late for those days.

`telemetry.store.packing` says what the arrays mean. Who reads samples of any age asks the functions of revision 0015, or
`telemetry.store.read.history.stored`, and none of these tables.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ARRAY, BigInteger, Double, Index, Integer, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base, Time


class SealedSpan(Base):
    """The days [first, end) whose samples are sealed, or being sealed: those have a partition that is `frozen`.

    `bounds` are the series at which the pieces end that a partition is sealed in.
    """

    __tablename__ = "sealed_spans"

    first_day: Mapped[date] = mapped_column(primary_key=True)
    end_day: Mapped[date]
    frozen: Mapped[str | None]
    bounds: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    samples: Mapped[int] = mapped_column(BigInteger, server_default="0")
    begun_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    sealed_at: Mapped[datetime | None]


class SealedTimes(Base):
    """The times of all series that were read at the same times on a day. `id` is a digest of them."""

    __tablename__ = "sealed_times"
    __table_args__ = {"postgresql_partition_by": "RANGE (day)"}  # noqa: RUF012

    day: Mapped[date] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    times: Mapped[list[datetime]] = mapped_column(ARRAY(Time))


class _Arrays:
    """A series on a day: how many samples, which times, their values, and what they come to in each hour (see `hours`)."""

    series_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    n: Mapped[int]
    times_id: Mapped[int] = mapped_column(BigInteger)
    divisor: Mapped[float]
    low: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    middle: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    high: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    floats: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    hours: Mapped[list[float] | None] = mapped_column(ARRAY(Double))


class Sealed(_Arrays, Base):
    """A series on a sealed day."""

    __tablename__ = "sealed"
    __table_args__ = (
        Index("sealed_without_hours_idx", "day", postgresql_where=text("hours IS NULL AND n >= 720")),
        {"postgresql_partition_by": "RANGE (day)"},
    )


class Sealing(_Arrays, Base):
    """A series on a day that is being sealed. Readers find its samples in the partition, until all of that is sealed."""

    __tablename__ = "sealing"


class Late(Base):
    """A sample of a sealed day that came after it was sealed. It is merged at the next sealing."""

    __tablename__ = "late"

    series_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ts: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]


class PartitionSize(Base):
    """How large a partition was when it was looked at last, and since when: one that does not grow is quiet."""

    __tablename__ = "partition_sizes"

    name: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime]
