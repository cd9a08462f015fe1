"""Quarantined rows with their bytes as they stood in the file, for a person at the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, desc, func, select

from telemetry.store.models import Quarantined, Source
from telemetry.store.read.ingest import QuarantineFilter

# Rows fetched at a time: each may have 64 kB.
FETCHED = 200
COLUMNS: tuple[Any, ...] = (
    Quarantined.id,
    Source.edge,
    Quarantined.source_id.label("source"),
    Source.path,
    Quarantined.line,
    Quarantined.byte_offset,
    Quarantined.reason,
    Quarantined.raw,
    Quarantined.fingerprint,
    Quarantined.batch_id,
    Quarantined.quarantined_at,
)


def sources_at(connection: Connection, path: str) -> list[int]:
    """The ids of the sources at a path, of every edge."""
    return list(connection.scalars(select(Source.id).where(Source.path == path).order_by(Source.id)))


def reasons(connection: Connection, some: QuarantineFilter) -> Counter[str]:
    """How many rows there are of each reason."""
    rows = select(Quarantined.reason, func.count().label("number")).join(Source).where(*some.conditions())
    return Counter({row.reason: row.number for row in connection.execute(rows.group_by(Quarantined.reason))})


def listed(connection: Connection, some: QuarantineFilter, limit: int | None = None) -> Iterator[Row[Any]]:
    """Rows with all their bytes: with a limit the latest, latest first; without one all, in the order of their files."""
    rows = select(*COLUMNS).join(Source).where(*some.conditions())
    order = (Quarantined.source_id, Quarantined.byte_offset, Quarantined.id) if limit is None else (desc(Quarantined.id),)
    yield from connection.execute(rows.order_by(*order).limit(limit), execution_options={"yield_per": FETCHED})
