"""The tables of readings: `samples`, and what describes them, stored once: `series`, `gpus`, `metrics`.

`samples` is narrow and partitioned by time (`telemetry.store.partitions`). Its rows are (series, time, value). Who used a GPU
is in `owners`, what came and is no sample in `unstored`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, UniqueConstraint, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base, Name


class Gpu(Base):
    """A GPU: `identity` is its UUID, or `host:index` where a file has none. The rest is what was read last."""

    __tablename__ = "gpus"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    identity: Mapped[Name] = mapped_column(unique=True)
    uuid: Mapped[str | None]
    host: Mapped[str | None] = mapped_column(index=True)
    index: Mapped[int | None] = mapped_column("gpu_index", Integer)
    device: Mapped[str | None]
    model: Mapped[str | None]
    driver_version: Mapped[str | None]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class Metric(Base):
    """A metric by its field name, such as DCGM_FI_DEV_GPU_UTIL."""

    __tablename__ = "metrics"
    __table_args__ = (CheckConstraint("kind IN ('gauge', 'counter')", name="kind"),)

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[Name] = mapped_column(unique=True)
    unit: Mapped[str | None]
    description: Mapped[str | None]
    kind: Mapped[str] = mapped_column(server_default="gauge")


class Series(Base):
    """One metric of one GPU (or MIG instance) under one set of labels; `labels_digest` is of all lasting labels.

    `of_owner`: made before revision 0009 under labels that name an owner; `container`, `pod` and `namespace` are of such alone.
    """

    __tablename__ = "series"
    __table_args__ = (
        UniqueConstraint("gpu_id", "metric_id", "labels_digest"),
        Index("series_lasting_idx", "gpu_id", postgresql_where=text("NOT of_owner")),
        Index("series_of_owner_idx", "gpu_id", "pod", "namespace", postgresql_where=text("of_owner")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"))
    metric_id: Mapped[int] = mapped_column(ForeignKey("metrics.id"), index=True)
    labels_digest: Mapped[bytes]
    mig_instance: Mapped[str | None]
    container: Mapped[str | None]
    pod: Mapped[str | None]
    namespace: Mapped[str | None]
    labels: Mapped[dict[str, Any]]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())
    of_owner: Mapped[bool] = mapped_column(server_default=false())


class Sample(Base):
    """A stored reading. No foreign key: it would cost a lookup a row, and `series` rows are never deleted before theirs."""

    __tablename__ = "samples"
    __table_args__ = {"postgresql_partition_by": "RANGE (ts)"}  # noqa: RUF012

    series_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ts: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]
