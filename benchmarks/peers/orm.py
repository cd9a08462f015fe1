"""The usual pipeline: a task of 100 rows as JSON adds them to a session and commits. Celery with its defaults."""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache

from celery import Celery
from sqlalchemy import Engine, Index, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import DateTime

app = Celery("orm", broker=os.environ.get("TELEMETRY_BROKER_URL"), set_as_current=False)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


class Base(DeclarativeBase):
    """Metadata of the peer's own."""


class Reading(Base):
    """A row as it stands in the file."""

    __tablename__ = "orm_readings"
    __table_args__ = (Index("orm_readings_lookup", "uuid", "metric_name", "timestamp"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    metric_name: Mapped[str]
    gpu_id: Mapped[int]
    device: Mapped[str]
    uuid: Mapped[str]
    model: Mapped[str]
    host: Mapped[str]
    container: Mapped[str]
    pod: Mapped[str]
    namespace: Mapped[str]
    value: Mapped[float]
    labels: Mapped[str]


@cache
def engine() -> Engine:
    """This process's engine."""
    url = os.environ["TELEMETRY_DATABASE_URL"]
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


@app.task(name="store")
def store(rows: list[dict[str, str]]) -> None:
    """Store some rows."""
    with Session(engine()) as session:
        session.add_all(
            Reading(
                timestamp=datetime.fromisoformat(row["timestamp"]),
                metric_name=row["metric_name"],
                gpu_id=int(row["gpu_id"]),
                device=row["device"],
                uuid=row["uuid"],
                model=row["modelName"],
                host=row["Hostname"],
                container=row["container"],
                pod=row["pod"],
                namespace=row["namespace"],
                value=float(row["value"]),
                labels=row["labels_raw"],
            )
            for row in rows
        )
        session.commit()
