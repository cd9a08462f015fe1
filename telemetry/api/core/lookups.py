"""Finds the one thing that a path names, such as a GPU, or says that there is none."""

from __future__ import annotations

from sqlalchemy import Executable, RowMapping

from telemetry.api.core.connections import database
from telemetry.api.core.parameters import is_name
from telemetry.api.core.problems import ProblemError
from telemetry.store.read import inventory

NOT_FOUND = {
    "gpu_not_found": "no GPU has this UUID or host:index; GET /api/v1/gpus lists all GPUs",
    "host_not_found": "no GPU was ever seen on this host; GET /api/v1/hosts lists all hosts",
    "metric_not_found": "no reading ever had this metric; GET /api/v1/metrics lists all metrics",
    "upload_not_found": "no upload has this id; POST /api/v1/telemetry answers with the id of an upload",
}


def row(statement: Executable, name: str, code: str) -> RowMapping:
    """The row of `name`, by a statement that gives at most one. Raises ProblemError with `code`, a key of NOT_FOUND."""
    result = database().execute(statement).mappings().first() if is_name(name) else None
    if result is None:
        raise ProblemError(code, NOT_FOUND[code])
    return result


def gpu(name: str) -> RowMapping:
    """The GPU of a UUID or host:index, with `gpu_id`, its number in the database. Raises ProblemError."""
    return row(inventory.gpu(name), name, "gpu_not_found")
