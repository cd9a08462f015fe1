"""The tables of what was found of the health of GPUs, and of readings that are still to be judged."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base


class Finding(Base):
    """A stretch of time in which a rule's condition held of a series (0: of the GPU as a whole), as its readings say.

    `severity` counts from 1, as `telemetry.health.rules.SEVERITIES` has them. `fired_at` is when it had lasted as long as the
    rule asks, `ended_at` null while no reading has ended it. `told_at` and `told_end_at`: when people were told.
    """

    __tablename__ = "findings"
    __table_args__ = (
        UniqueConstraint("gpu_id", "series_id", "rule", "begun_at"),
        Index(None, "begun_at"),
        Index(None, "ended_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"))
    series_id: Mapped[int] = mapped_column(BigInteger)
    rule: Mapped[str]
    kind: Mapped[str]
    severity: Mapped[int] = mapped_column(SmallInteger)
    begun_at: Mapped[datetime]
    fired_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    value: Mapped[float | None]
    told_at: Mapped[datetime | None]
    told_end_at: Mapped[datetime | None]


class Unjudged(Base):
    """Readings that came late: of which GPUs, between which times. Rows are only added, and removed when they are judged."""

    __tablename__ = "unjudged"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    gpu_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    since: Mapped[datetime]
    until: Mapped[datetime]


class Judgement(Base):
    """One row: up to when readings were judged that came in time, and by which rules."""

    __tablename__ = "judgements"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    judged_at: Mapped[datetime]
    rules: Mapped[str]
