"""The tables. Alembic's migrations create them; a test compares the two.

`samples` is narrow and partitioned by time (`partitions`). Its rows are (series, time, value); what describes them is stored
once, in `series`, `gpus` and `metrics`. `batches` is the ledger, by which a batch is stored only once.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    column,
    false,
    func,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZMULTIRANGE
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Time = DateTime(timezone=True)
# A name that makes a row unique: ordered by its bytes, as other orders change with the operating system.
Name = Annotated[str, mapped_column(Text(collation="C"))]


class Base(DeclarativeBase):
    """Common metadata: constraint names that Alembic can drop again."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {datetime: Time, str: Text, float: Double, bytes: LargeBinary, dict[str, Any]: JSONB}  # noqa: RUF012


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


class Owner(Base):
    """Who used GPUs: a set of labels (none: nobody), `digest` of all of them, and the parts that people ask by."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    namespace: Mapped[str | None] = mapped_column(index=True)
    pod: Mapped[str | None] = mapped_column(index=True)
    container: Mapped[str | None]
    job: Mapped[str | None] = mapped_column(index=True)
    user: Mapped[str | None] = mapped_column(index=True)
    account: Mapped[str | None]
    labels: Mapped[dict[str, Any]]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class Allocation(Base):
    """When an owner had a GPU, or an `instance` of it, on a day of UTC: the minutes with a reading that names this owner."""

    __tablename__ = "allocations"
    __table_args__ = (Index(None, "day"), Index(None, "owner_id", "day"), {"postgresql_with": {"fillfactor": 80}})

    gpu_id: Mapped[int] = mapped_column(ForeignKey("gpus.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    instance: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    held: Mapped[Any] = mapped_column(TSTZMULTIRANGE)


class Sample(Base):
    """A stored reading. No foreign key: it would cost a lookup a row, and `series` rows are never deleted before theirs."""

    __tablename__ = "samples"
    __table_args__ = {"postgresql_partition_by": "RANGE (ts)"}  # noqa: RUF012

    series_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ts: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]


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


class LedgerRange(Base):
    """Batches of the ledger folded into one row: a contiguous range of a source (and replay pass), the rows by class.

    `last_start` and `last_line` are of its last batch. `anchor` is -1 for all replay passes but the last. The view `ledger`
    shows `batches` and these together.
    """

    __tablename__ = "ledger_ranges"
    __table_args__ = (Index(None, "source_id"),)

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


# The view: queries for totals and ranges read it, never `batches` alone.
LEDGER = table(
    "ledger",
    *map(column, ("source_id", "status", "end_offset", "batches", "last_committed_at")),
    *map(column, ("rows", "stored", "duplicate", "conflict", "blank", "quarantined", "records")),
)


class Generation(Base):
    """A stretch of this database's history in which nothing that was committed was forgotten: see `generations`.

    `mark` is random. `origin` tells server, database and timeline from others, `reason` why it began.
    """

    __tablename__ = "generations"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    mark: Mapped[str]
    origin: Mapped[str]
    reason: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Quarantined(Base):
    """A row that cannot be read as a reading, as it stood in the file, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("fingerprint", "byte_offset", "digest"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    batch_id: Mapped[str]
    fingerprint: Mapped[str]
    byte_offset: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    line: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    raw: Mapped[bytes]
    quarantined_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Conflict(Base):
    """A reading whose key was stored with another value: what it says in `value`, and what stayed in `stored`.

    No foreign key to `series`, for the reason that `Sample` gives.
    """

    __tablename__ = "conflicts"
    __table_args__ = (UniqueConstraint("series_id", "ts", "value", "source_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    batch_id: Mapped[str]
    series_id: Mapped[int] = mapped_column(BigInteger)
    ts: Mapped[datetime]
    value: Mapped[float]
    stored: Mapped[float]
    kept_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DeadLetter(Base):
    """A whole message that cannot be processed, kept until a person retries or drops it."""

    __tablename__ = "dead_letters"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    edge: Mapped[str | None]
    batch_id: Mapped[str | None]
    error: Mapped[str]
    header: Mapped[dict[str, Any]]
    payload: Mapped[bytes]
    died_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Upload(Base):
    """A file that came through the API: `name` is that of its file in the spool directory.

    Its records are bytes [`start_bytes`, `size_bytes`) there; with the path, `fingerprint` makes the id of the source.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    fingerprint: Mapped[str]
    start_bytes: Mapped[int] = mapped_column(BigInteger)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    uploaded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key of the API: `public` is the part that finds it, `digest` the SHA-256 of the part that nobody but its owner has."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    public: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who changed what: `actor` is a key or a person at the command line, `target` what was changed."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    detail: Mapped[dict[str, Any]]
