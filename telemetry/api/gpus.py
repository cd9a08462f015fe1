"""`/gpus`: the GPUs, and the readings of one."""

from __future__ import annotations

from math import isfinite
from typing import Any

from flask import Blueprint
from sqlalchemy import Connection

from telemetry.api import parameters
from telemetry.api.connections import connections
from telemetry.api.errors import ProblemError
from telemetry.api.formatting import instant
from telemetry.store import queries

blueprint = Blueprint("gpus", __name__)


@blueprint.get("/gpus")
def list_gpus() -> dict[str, Any]:
    """GPUs by host and index: {items, total, limit, offset}."""
    parameters.only("host", "model", "limit", "offset")
    page = parameters.page(default=100, most=1000)
    with connections().engine.connect() as connection:
        found, total = queries.gpus(connection, page, host=parameters.text("host"), model=parameters.text("model"))
    return {"items": [_gpu(row) for row in found], "total": total, "limit": page.limit, "offset": page.offset}


@blueprint.get("/gpus/<name>")
def show_gpu(name: str) -> dict[str, Any]:
    """One GPU, by its UUID or by host:index."""
    parameters.only()
    with connections().engine.connect() as connection:
        return _gpu(_found(connection, name))


@blueprint.get("/gpus/<name>/telemetry")
def list_telemetry(name: str) -> dict[str, Any]:
    """The readings of one GPU: {items, limit, offset, next_offset}; next_offset is null at the end."""
    known = ("start_time", "end_time", "metric", "order", "limit", "offset")
    parameters.only(*known, repeatable={"metric"})
    page = parameters.page(default=1000, most=10_000)
    span, order, metrics = parameters.span(), parameters.order(), parameters.texts("metric")
    with connections().engine.connect() as connection:
        gpu = _found(connection, name)
        rows = queries.telemetry(connection, gpu.id, page, span=span, metrics=metrics, order=order)
    more = len(rows) > page.limit
    return {
        "gpu": gpu.identity,
        "items": [_reading(row) for row in rows[: page.limit]],
        "limit": page.limit,
        "offset": page.offset,
        "next_offset": page.offset + page.limit if more else None,
    }


def _found(connection: Connection, name: str) -> queries.Record:
    usable = len(name) <= parameters.MAX_TEXT and "\0" not in name and name.isprintable()
    found = queries.gpu(connection, name) if usable else None
    if found is None:
        raise ProblemError(404, "gpu_not_found", "no GPU has this UUID or host:index; /api/v1/gpus lists those there are")
    return found


def _gpu(row: queries.Record) -> dict[str, Any]:
    return {
        "id": row.identity,
        "uuid": row.uuid,
        "host": row.host,
        "index": row.gpu_index,
        "device": row.device,
        "model": row.model,
        "driver_version": row.driver_version,
        "first_seen": instant(row.first_seen),
    }


def _reading(row: queries.Record) -> dict[str, Any]:
    return {
        "timestamp": instant(row.ts),
        "metric": row.name,
        # Streamers let no other through, but JSON has no word for NaN and a strict reader would refuse the whole page.
        "value": row.value if isfinite(row.value) else None,
        "unit": row.unit,
        "labels": row.labels,
    }
