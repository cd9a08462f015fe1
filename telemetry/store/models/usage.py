"""The tables of how GPUs were used: a summary of each hour, and which hours have to be summed up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class UsageHour(Base):
    """What an owner had of a GPU (or `instance`) in an hour, in seconds and joules. The owner without labels is nobody.

    `held_s` has short gaps in it, `read_s` has none. `known_s` is the time whose utilisation is known, `busy_s` the part of it
    that was busy, `below_…_s` the part in which less than so many percent were. Energy is from a counter, or from power.
    """

    __tablename__ = "usage_hours"
    __table_args__ = (Index(None, "owner_id", "hour"),)

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), primary_key=True)
    instance: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    held_s: Mapped[float]
    read_s: Mapped[float]
    known_s: Mapped[float]
    busy_s: Mapped[float]
    below_1_s: Mapped[float]
    below_5_s: Mapped[float]
    below_10_s: Mapped[float]
    below_15_s: Mapped[float]
    below_25_s: Mapped[float]
    below_50_s: Mapped[float]
    counter_j: Mapped[float]
    power_j: Mapped[float]


class UsageMark(Base):
    """An hour of a GPU that got readings, and is to be summed up. Marks are added by collectors, and taken away by upkeep."""

    __tablename__ = "usage_marks"
    __table_args__ = (Index(None, "hour", "gpu_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    gpu_id: Mapped[int] = mapped_column(BigInteger)
    hour: Mapped[datetime]
