"""`/gpus`: the GPUs, and what is known of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from telemetry.api.answers.tables import Counted, Listed, Page, Table
from telemetry.api.core.connections import database
from telemetry.api.core.parameters import Instant, Query, Tabular, Text, is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.operations import operation
from telemetry.store.read import inventory, totals

blueprint = Blueprint("gpus", __name__)


class Gpu(BaseModel):
    """A GPU. `id` is its UUID, or host:index where a file had none."""

    id: str
    uuid: str | None
    host: str | None
    index: int | None
    device: str | None
    model: str | None
    driver_version: str | None
    first_seen: datetime


class GpuMetric(BaseModel):
    """A metric of one GPU, with the times of its first and last reading."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    series: int
    first_reading: datetime | None
    last_reading: datetime | None


class GpuQuery(Tabular):
    """Which GPUs, in which order."""

    host: Text | None = Field(None, description="on this host alone")
    model: Text | None = Field(None, description="of this model alone")
    driver: Text | None = Field(None, description="with this driver version alone")
    namespace: Text | None = Field(None, description="that were used by a pod of this namespace")
    pod: Text | None = Field(None, description="that were used by this pod")
    seen_since: Instant | None = Field(None, description="that have a reading from then on; RFC 3339, or relative as -1h")
    sort: inventory.GpuSort = Field("host", description="what they come in order of; - turns it round")


@operation(blueprint, "/gpus", Counted[Gpu], GpuQuery, table=True)
def list_gpus(query: GpuQuery) -> Table:
    """GPUs, by host and index unless sorted otherwise."""
    wanted = inventory.GpuFilter(query.host, query.model, query.driver, query.namespace, query.pod, query.seen_since)
    page = Page.of(query)
    return Table(
        Gpu,
        lambda most: inventory.gpus(wanted, query.sort, most, page.offset),
        page,
        query.format,
        total=lambda connection: connection.scalar(inventory.gpus_counted(wanted)) or 0,
    )


@operation(blueprint, "/gpus/<path:gpu>", Gpu, Query, codes=("gpu_not_found",))
def show_gpu(_: Query, gpu: str) -> dict[str, Any]:
    """One GPU, by its UUID or by host:index."""
    row = found(database(), gpu)
    return {
        "id": row.identity,
        "uuid": row.uuid,
        "host": row.host,
        "index": row.gpu_index,
        "device": row.device,
        "model": row.model,
        "driver_version": row.driver_version,
        "first_seen": row.first_seen,
    }


@operation(blueprint, "/gpus/<path:gpu>/metrics", Listed[GpuMetric], Tabular, table=True, codes=("gpu_not_found",))
def list_gpu_metrics(query: Tabular, gpu: str) -> Table:
    """The metrics of one GPU, by name."""
    page = Page.of(query)
    gpu_id = found(database(), gpu).id
    return Table(GpuMetric, lambda most: inventory.gpu_metrics(gpu_id, most, page.offset), page, query.format)


def found(connection: Connection, name: str) -> totals.Record:
    """The GPU of a name. Raises ProblemError if there is none."""
    row = totals.gpu(connection, name) if is_name(name) else None
    if row is None:
        raise ProblemError("gpu_not_found", "no GPU has this UUID or host:index; /api/v1/gpus lists those there are")
    return row
