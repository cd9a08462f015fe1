"""What came in: edges, sources, batches, and the rows and messages that could not be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Integer,
    Select,
    Text,
    cast,
    desc,
    func,
    literal,
    select,
    true,
)

from telemetry.readings.names import TRIAL
from telemetry.store.models import LEDGER, Batch, Conflict, DeadLetter, Gpu, LedgerRange, Metric, Quarantined, Series, Source
from telemetry.store.read.filters import equal
from telemetry.store.read.places import Order, Place

COUNTS = ("rows", "stored", "duplicate", "conflict", "blank", "quarantined", "expired")


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Some sources. A field that is None leaves all of them in."""

    edge: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Some batches: of an edge, of a source by its id, of a status."""

    edge: str | None = None
    source: int | None = None
    status: Literal["stored", "dead"] | None = None


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Some quarantined rows: of an edge, of a source by its id, with a reason, in quarantine since a time."""

    edge: str | None = None
    source: int | None = None
    reason: str | None = None
    since: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on quarantined rows joined to their sources."""
        pairs = ((Source.edge, self.edge), (Quarantined.source_id, self.source), (Quarantined.reason, self.reason))
        return [*equal(*pairs), *([] if self.since is None else [Quarantined.quarantined_at >= self.since])]


@dataclass(frozen=True, slots=True)
class ConflictFilter:
    """Some readings in conflict: of an edge, of a source by its id."""

    edge: str | None = None
    source: int | None = None


class EdgeSign(NamedTuple):
    """What the broker knows of an edge: when it said last that it is at work, and for how long it is overdue."""

    edge: str
    last_seen: datetime | None
    silent_s: float | None


def edges(signs: Sequence[EdgeSign] = ()) -> Select[Any]:
    """Edges by name: how many sources each has, when something of it was committed last, and its sign, if it has one.

    An edge of which nothing was committed yet has a sign alone.
    """
    edge = (
        select(Source.edge, func.count().label("sources"), func.min(Source.first_seen).label("first_seen"))
        .where(Source.fingerprint != TRIAL)
        .group_by(Source.edge)
        .subquery()
    )
    columns: list[ColumnElement[Any]] = [
        literal([sign.edge for sign in signs], ARRAY(Text)),
        literal([sign.last_seen for sign in signs], ARRAY(DateTime(timezone=True))),
        literal([sign.silent_s for sign in signs], ARRAY(Double)),
    ]
    sign = func.unnest(*columns).table_valued(*EdgeSign._fields, name="sign").render_derived()
    name = func.coalesce(edge.c.edge, sign.c.edge).label("name")
    known = (
        select(name, func.coalesce(edge.c.sources, 0).label("sources"), edge.c.first_seen, sign.c.last_seen, sign.c.silent_s)
        .join_from(edge, sign, sign.c.edge == edge.c.edge, full=True)
        .subquery()
        .c
    )
    last = select(Batch.committed_at).where(Batch.edge == known.name).order_by(desc(Batch.committed_at)).limit(1).lateral()
    folded = select(func.max(LedgerRange.last_committed_at)).join(Source).where(Source.edge == known.name).scalar_subquery()
    last_commit = func.coalesce(last.c.committed_at, folded).label("last_commit")
    rows = select(known.name, known.sources, known.first_seen, last_commit, known.last_seen, known.silent_s)
    return rows.outerjoin(last, true()).order_by(known.name)


def sources(some: SourceFilter) -> Select[Any]:
    """Sources in the order they appeared, with what the ledger has of each. Those of which it has nothing were forgotten.

    Trials are none.
    """
    held = LEDGER.c
    sums = [cast(func.coalesce(func.sum(held[name]), 0), BigInteger).label(name) for name in ("batches", *COUNTS)]
    dead = cast(func.count().filter(held.status == "dead"), Integer).label("dead_batches")
    committed_bytes = func.coalesce(func.max(held.end_offset), 0).label("committed_bytes")
    last_commit = func.max(held.last_committed_at).label("last_commit")
    ledger = select(*sums, dead, committed_bytes, last_commit).where(held.source_id == Source.id).lateral()
    rows = select(Source.id, Source.edge, Source.path, Source.fingerprint, Source.format, Source.first_seen, *ledger.c)
    return (
        rows.join_from(Source, ledger, true())
        .where(ledger.c.batches > 0, Source.fingerprint != TRIAL, *equal((Source.edge, some.edge), (Source.path, some.path)))
        .order_by(Source.id)
    )


def batches(some: BatchFilter, after: Place | None = None) -> Select[Any]:
    """Batches, those committed last first, ties by edge and id."""
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
        *(getattr(Batch, name) for name in COUNTS),
        Batch.read_at,
        Batch.published_at,
        Batch.committed_at,
    ).join(Source)
    rows = rows.where(*equal((Batch.edge, some.edge), (Batch.source_id, some.source), (Batch.status, some.status)))
    if after:
        rows = rows.where(after.passed_by(Batch.committed_at, [Batch.edge, Batch.batch_id], "desc"))
    return rows.order_by(desc(Batch.committed_at), Batch.edge, Batch.batch_id)


def quarantine(some: QuarantineFilter, after: int | None = None, order: Order = "asc") -> Select[Any]:
    """Quarantined rows in the order they came, or the newest first, after the one of an id.

    Bytes beyond ASCII are written as octal escapes.
    """
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
    ).join(Source)
    rows = rows.where(*some.conditions())
    if order == "desc":
        return (rows if after is None else rows.where(Quarantined.id < after)).order_by(desc(Quarantined.id))
    return (rows if after is None else rows.where(Quarantined.id > after)).order_by(Quarantined.id)


def conflicts(some: ConflictFilter, after: int | None = None) -> Select[Any]:
    """Readings in conflict in the order they came, after the one of an id, with the value that they say and the stored one."""
    columns: list[Any] = [
        Conflict.id,
        Source.edge,
        Conflict.source_id.label("source"),
        Source.path,
        Conflict.batch_id.label("batch"),
        Gpu.identity.label("gpu"),
        Metric.name.label("metric"),
        Conflict.ts.label("timestamp"),
        Conflict.value,
        Conflict.stored,
        Conflict.kept_at,
    ]
    rows = (
        select(*columns)
        .join(Source, Source.id == Conflict.source_id)
        .join(Series, Series.id == Conflict.series_id)
        .join(Gpu)
        .join(Metric)
    )
    rows = rows.where(*equal((Source.edge, some.edge), (Conflict.source_id, some.source)))
    return (rows if after is None else rows.where(Conflict.id > after)).order_by(Conflict.id)


def dead_letters(after: int | None = None) -> Select[Any]:
    """Dead letters in the order they died, after the one of an id, without their payloads."""
    rows = select(
        DeadLetter.id,
        DeadLetter.edge,
        DeadLetter.batch_id.label("batch"),
        DeadLetter.error,
        func.length(DeadLetter.payload).label("payload_bytes"),
        DeadLetter.died_at,
    )
    return (rows if after is None else rows.where(DeadLetter.id > after)).order_by(DeadLetter.id)
