"""What came in: edges, sources, batches, and the rows and messages that could not be stored.

Each function returns a statement whose columns carry the names that readers see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, Integer, Select, and_, asc, cast, desc, func, literal, or_, select, true, tuple_

from telemetry.store.models import LEDGER, Batch, DeadLetter, LedgerRange, Quarantined, Source

CLASSES = ("rows", "stored", "duplicate", "conflict", "blank", "quarantined")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of batches ended: its last batch."""

    committed_at: datetime
    edge: str
    id: str


def edges(most: int | None, offset: int) -> Select[Any]:
    """Edges by name: sources, and when something of each was committed last."""
    each = (
        select(Source.edge, func.count().label("sources"), func.min(Source.first_seen).label("first_seen"))
        .group_by(Source.edge)
        .subquery()
    )
    last = select(Batch.committed_at).where(Batch.edge == each.c.edge).order_by(desc(Batch.committed_at)).limit(1).lateral()
    folded = select(func.max(LedgerRange.last_committed_at)).join(Source).where(Source.edge == each.c.edge).scalar_subquery()
    last_commit = func.coalesce(last.c.committed_at, folded).label("last_commit")
    rows = select(each.c.edge.label("name"), each.c.sources, each.c.first_seen, last_commit)
    return rows.outerjoin_from(each, last, true()).order_by(each.c.edge).limit(most).offset(offset or None)


def sources(edge: str | None, path: str | None, most: int | None, offset: int) -> Select[Any]:
    """Sources in the order they appeared, with what the ledger has of each."""
    held = LEDGER.c
    sums = [cast(func.coalesce(func.sum(held[name]), 0), BigInteger).label(name) for name in ("batches", *CLASSES)]
    ledger = (
        select(
            *sums,
            cast(func.count().filter(held.status == "dead"), Integer).label("dead_batches"),
            func.coalesce(func.max(held.end_offset), 0).label("committed_bytes"),
            func.max(held.last_committed_at).label("last_commit"),
        )
        .where(held.source_id == Source.id)
        .lateral()
    )
    counts = [ledger.c[name] for name in ("batches", *CLASSES, "dead_batches", "committed_bytes", "last_commit")]
    rows = select(Source.id, Source.edge, Source.path, Source.fingerprint, Source.format, Source.first_seen, *counts)
    pairs: list[tuple[Any, Any]] = [(Source.edge, edge), (Source.path, path)]
    rows = rows.join_from(Source, ledger, true()).where(*(column == value for column, value in pairs if value is not None))
    return rows.order_by(Source.id).limit(most).offset(offset or None)


def batches(
    edge: str | None,
    source: int | None,
    status: Literal["stored", "dead"] | None,
    most: int | None,
    offset: int,
    after: Place | None = None,
) -> Select[Any]:
    """Batches, those committed last first."""
    pairs: list[tuple[Any, Any]] = [(Batch.edge, edge), (Batch.source_id, source), (Batch.status, status)]
    rows = select(
        Batch.batch_id.label("id"),
        Batch.edge,
        Batch.source_id.label("source"),
        Source.path,
        Batch.status,
        Batch.error,
        Batch.start.label("start"),
        Batch.end.label("end"),
        Batch.first_line,
        *(getattr(Batch, name) for name in CLASSES),
        Batch.read_at,
        Batch.published_at,
        Batch.committed_at,
    )
    rows = rows.join(Source).where(*(column == value for column, value in pairs if value is not None))
    if after:
        ties: Any = tuple_(Batch.edge, Batch.batch_id) > tuple_(literal(after.edge), literal(after.id))
        # The first part says nothing new, but an index can use it.
        rows = rows.where(
            Batch.committed_at <= after.committed_at,
            or_(Batch.committed_at < after.committed_at, and_(Batch.committed_at == after.committed_at, ties)),
        )
    return rows.order_by(desc(Batch.committed_at), Batch.edge, Batch.batch_id).limit(most).offset(offset or None)


def quarantine(
    edge: str | None, source: int | None, reason: str | None, most: int | None, offset: int, after: int | None = None
) -> Select[Any]:
    """Quarantined rows in the order they came; what is no ASCII in them is written as octal escapes."""
    pairs: list[tuple[Any, Any]] = [(Source.edge, edge), (Quarantined.source_id, source), (Quarantined.reason, reason)]
    rows = select(
        Quarantined.id,
        Source.edge,
        Quarantined.source_id.label("source"),
        Source.path,
        Quarantined.batch_id.label("batch"),
        Quarantined.line,
        Quarantined.byte_offset,
        Quarantined.reason,
        func.encode(Quarantined.raw, "escape").label("raw"),
        Quarantined.quarantined_at,
    )
    rows = rows.join(Source).where(*(column == value for column, value in pairs if value is not None))
    if after is not None:
        rows = rows.where(Quarantined.id > after)
    return rows.order_by(asc(Quarantined.id)).limit(most).offset(offset or None)


def dead_letters(most: int | None, offset: int, after: int | None = None) -> Select[Any]:
    """Dead letters in the order they died, without their payloads."""
    rows = select(
        DeadLetter.id,
        DeadLetter.edge,
        DeadLetter.batch_id.label("batch"),
        DeadLetter.error,
        func.length(DeadLetter.payload).label("payload_bytes"),
        DeadLetter.died_at,
    )
    if after is not None:
        rows = rows.where(DeadLetter.id > after)
    return rows.order_by(DeadLetter.id).limit(most).offset(offset or None)
