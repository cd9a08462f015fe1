"""The initial tables.

Revision 0001, after None.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("edge", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("header", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("died_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letters_pkey")),
    )
    op.create_table(
        "gpus",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("gpu_index", sa.Integer(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("driver_version", sa.Text(), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("gpus_pkey")),
        sa.UniqueConstraint("identity", name=op.f("gpus_identity_key")),
    )
    op.create_index(op.f("gpus_host_idx"), "gpus", ["host"], unique=False)
    op.create_table(
        "metrics",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="gauge", nullable=False),
        sa.CheckConstraint("kind IN ('gauge', 'counter')", name=op.f("metrics_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("metrics_pkey")),
        sa.UniqueConstraint("name", name=op.f("metrics_name_key")),
    )
    op.create_table(
        "samples",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "ts", name=op.f("samples_pkey")),
        postgresql_partition_by="RANGE (ts)",
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("sources_pkey")),
        sa.UniqueConstraint("edge", "fingerprint", "path", name=op.f("sources_edge_fingerprint_path_key")),
    )
    op.create_table(
        "batches",
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("anchor", sa.BigInteger(), nullable=True),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("first_line", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("conflict", sa.Integer(), nullable=False),
        sa.Column("blank", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("status IN ('stored', 'dead')", name=op.f("batches_status_check")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("batches_source_id_fkey")),
        sa.PrimaryKeyConstraint("edge", "batch_id", name=op.f("batches_pkey")),
    )
    op.create_index(op.f("batches_committed_at_idx"), "batches", ["committed_at"], unique=False)
    op.create_index(op.f("batches_source_id_start_offset_idx"), "batches", ["source_id", "start_offset"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("quarantine_source_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("quarantine_pkey")),
        sa.UniqueConstraint("fingerprint", "byte_offset", "digest", name=op.f("quarantine_fingerprint_byte_offset_digest_key")),
    )
    op.create_index(op.f("quarantine_source_id_idx"), "quarantine", ["source_id"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("labels_digest", sa.LargeBinary(), nullable=False),
        sa.Column("mig_instance", sa.Text(), nullable=True),
        sa.Column("container", sa.Text(), nullable=True),
        sa.Column("pod", sa.Text(), nullable=True),
        sa.Column("namespace", sa.Text(), nullable=True),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("series_gpu_id_fkey")),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name=op.f("series_metric_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("series_pkey")),
        sa.UniqueConstraint("gpu_id", "metric_id", "labels_digest", name=op.f("series_gpu_id_metric_id_labels_digest_key")),
    )
    op.create_index(op.f("series_metric_id_idx"), "series", ["metric_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("series_metric_id_idx"), table_name="series")
    op.drop_table("series")
    op.drop_index(op.f("quarantine_source_id_idx"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_index(op.f("batches_source_id_start_offset_idx"), table_name="batches")
    op.drop_index(op.f("batches_committed_at_idx"), table_name="batches")
    op.drop_table("batches")
    op.drop_table("sources")
    op.drop_table("samples")
    op.drop_table("metrics")
    op.drop_index(op.f("gpus_host_idx"), table_name="gpus")
    op.drop_table("gpus")
    op.drop_table("dead_letters")
