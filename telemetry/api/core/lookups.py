"""Finds the things that a path or a parameter names, such as a GPU, or says that there is none, and what may be meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, Executable, RowMapping

from telemetry.api.core.connections import database
from telemetry.api.core.nearest import in_words, nearest
from telemetry.api.core.parameters import is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.shared import shared
from telemetry.store.read import inventory, names
from telemetry.store.read.names import Kind

# What is said about a name that does not exist, and where those that do are listed.
NOT_FOUND = {
    "gpu_not_found": ("no GPU has this UUID or host:index", "GET /api/v1/gpus lists all GPUs"),
    "host_not_found": ("no GPU was ever seen on this host", "GET /api/v1/hosts lists all hosts"),
    "metric_not_found": ("no reading ever had this metric", "GET /api/v1/metrics lists all metrics"),
    "upload_not_found": ("no upload has this id", "POST /api/v1/telemetry answers with the id of an upload"),
}
KINDS: dict[str, Kind] = {"gpu_not_found": "gpu", "host_not_found": "host", "metric_not_found": "metric"}
SHOWN_CHARACTERS = 100
# What is there is hardly ever forgotten, and what is not is looked for at each request.
THERE_S = 5.0


def row(
    statement: Executable, name: str, code: str, parameter: str | None = None, *, by: Callable[[], Connection] = database
) -> RowMapping:
    """The row of `name`, by a statement that gives at most one. Raises ProblemError with `code`, a key of NOT_FOUND."""
    result = by().execute(statement).mappings().first() if is_name(name) else None
    if result is None:
        raise not_found(code, name, parameter)
    return result


def gpu(name: str, parameter: str | None = None) -> RowMapping:
    """The GPU of a UUID or host:index: `id`, and `gpu_id`, its number in the database. Raises ProblemError."""
    return row(inventory.gpu(name), name, "gpu_not_found", parameter)


def check(*, metrics: Sequence[str] = (), host: Sequence[str] = ()) -> None:
    """Refuse a filter by a metric or a host that does not exist: it would select nothing, silently. Raises ProblemError."""
    for parameter, asked in (("metric", tuple(metrics)), ("host", tuple(host))):
        if asked:
            shared().get((parameter, asked), THERE_S, partial(_check, parameter, asked))


def _check(parameter: str, asked: Sequence[str]) -> None:
    code = f"{parameter}_not_found"
    there = set(database().scalars(names.existing(KINDS[code], asked)))
    for name in asked:
        if name not in there:
            raise not_found(code, name, parameter)


def not_found(code: str, name: str, parameter: str | None = None) -> ProblemError:
    """The problem of a name that does not exist, with the nearest ones that do."""
    meaning, where = NOT_FOUND[code]
    if not is_name(name):
        return ProblemError(code, f"{meaning}; {where}", parameter)
    kind = KINDS.get(code)
    meant = nearest(name, database().scalars(names.candidates(kind, name))) if kind else []
    return ProblemError(code, f"{meaning}: {name[:SHOWN_CHARACTERS]!r}{in_words(meant) or ';'} {where}", parameter)
