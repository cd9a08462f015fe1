"""The ledger, by which a batch is stored only once: `batches`, folded into `ledger_ranges`, of `sources`, in `generations`.

What a batch brought is in `samples` and `unstored`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, column, func, table, text
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.store.models.base import Base, Name


class Source(Base):
    """One CSV file as an edge sees it."""

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("edge", "fingerprint", "path"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    edge: Mapped[Name]
    path: Mapped[Name]
    fingerprint: Mapped[Name]
    format: Mapped[str]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class Batch(Base):
    """The ledger: one row for every batch committed, keyed by (edge, batch_id), with the count of each class of its rows.

    `start` and `end` are byte offsets in the source, `anchor` the replay pass (microseconds) or null. `rows` counts readings,
    `records` the records they stand in; null where a collector of before revision 0004 wrote it: there, as many as rows.
    `digest` stands for the readings (`write.contents`); null for a dead batch, and where one of before 0006 wrote it.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("status IN ('stored', 'dead')", name="status"),
        Index(None, "source_id", "start_offset"),
        Index(None, "committed_at"),
        Index(None, "edge", "committed_at"),
        Index("batches_expired_idx", "source_id", postgresql_where=text("expired > 0")),
    )

    edge: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"))
    status: Mapped[str]
    error: Mapped[str | None]
    anchor: Mapped[int | None] = mapped_column(BigInteger)
    start: Mapped[int] = mapped_column("start_offset", BigInteger)
    end: Mapped[int] = mapped_column("end_offset", BigInteger)
    first_line: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    stored: Mapped[int]
    duplicate: Mapped[int]
    conflict: Mapped[int]
    blank: Mapped[int]
    quarantined: Mapped[int]
    read_at: Mapped[datetime]
    published_at: Mapped[datetime]
    committed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    records: Mapped[int | None]
    digest: Mapped[int | None] = mapped_column(BigInteger)
    expired: Mapped[int] = mapped_column(server_default="0")


class LedgerRange(Base):
    """Batches of the ledger folded into one row: a contiguous range of a source (and replay pass), the rows by class.

    `last_start` and `last_line` are of its last batch. `anchor` is -1 for all replay passes but the last. The view `ledger`
    shows `batches` and these together.
    """

    __tablename__ = "ledger_ranges"
    __table_args__ = (
        Index(None, "source_id"),
        Index("ledger_ranges_expired_idx", "source_id", postgresql_where=text("expired > 0")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"))
    anchor: Mapped[int | None] = mapped_column(BigInteger)
    start: Mapped[int] = mapped_column("start_offset", BigInteger)
    end: Mapped[int] = mapped_column("end_offset", BigInteger)
    first_line: Mapped[int] = mapped_column(BigInteger)
    last_start: Mapped[int] = mapped_column(BigInteger)
    last_line: Mapped[int] = mapped_column(BigInteger)
    batches: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    stored: Mapped[int] = mapped_column(BigInteger)
    duplicate: Mapped[int] = mapped_column(BigInteger)
    conflict: Mapped[int] = mapped_column(BigInteger)
    blank: Mapped[int] = mapped_column(BigInteger)
    quarantined: Mapped[int] = mapped_column(BigInteger)
    committed_at: Mapped[datetime]
    last_committed_at: Mapped[datetime]
    records: Mapped[int | None] = mapped_column(BigInteger)
    expired: Mapped[int] = mapped_column(BigInteger, server_default="0")


# The view: queries for totals and ranges read it, never `batches` alone.
LEDGER = table(
    "ledger",
    *map(column, ("source_id", "status", "end_offset", "batches", "last_committed_at")),
    *map(column, ("rows", "stored", "duplicate", "conflict", "blank", "quarantined", "records", "expired")),
)


class Generation(Base):
    """A stretch of this database's history in which nothing that was committed was forgotten.

    When one begins is decided in `telemetry.store.generations`. `mark` is random. `origin` tells server, database and timeline
    from others, `reason` why it began.
    """

    __tablename__ = "generations"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    mark: Mapped[str]
    origin: Mapped[str]
    reason: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
