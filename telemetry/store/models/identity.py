"""The tables of what decides which series a reading belongs to, beside the reading itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, ForeignKey, Identity, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base, Name


class LabelRule(Base):
    """Labels that are no part of a series, of readings from `since` on (null: from ever) until the next rule holds."""

    __tablename__ = "label_rules"

    number: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    since: Mapped[datetime | None] = mapped_column(unique=True)
    volatile: Mapped[list[str]] = mapped_column(ARRAY(Text))
    owner: Mapped[list[str]] = mapped_column(ARRAY(Text))
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class GpuPlace(Base):
    """A GPU that an edge told of at a place, `host:index`; with a UUID or, one at most for each edge and place, without."""

    __tablename__ = "gpu_places"

    place: Mapped[Name] = mapped_column(primary_key=True)
    edge: Mapped[Name] = mapped_column(primary_key=True)
    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), primary_key=True, index=True)
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class GpuJoin(Base):
    """A GPU without a UUID that is known to be one with a UUID, `joined_id`; its series are that one's."""

    __tablename__ = "gpu_joins"

    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), primary_key=True, autoincrement=False)
    joined_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), index=True)
