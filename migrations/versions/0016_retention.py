"""Retention: from when on each level is kept, and readings that came too late to be stored, counted in the ledger.

Revision 0016. Nothing is dropped by it. Collectors of before may run on while nothing is: they know no floor and would store
below it, so retention (`TELEMETRY_RETENTION_DAYS`, `telemetry db retention`) begins when all are of this version. If one of
them folds a batch that has readings which are `expired`, these are in no class of the range.

Downgraded, the floor is lost: files that are read again are stored again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

LEDGER = """
    CREATE OR REPLACE VIEW ledger AS
    SELECT source_id, status, anchor, start_offset, end_offset, first_line, start_offset AS last_start, first_line AS last_line,
           1::bigint AS batches, rows::bigint, stored::bigint, duplicate::bigint, conflict::bigint, blank::bigint,
           quarantined::bigint, committed_at, committed_at AS last_committed_at, coalesce(records, rows)::bigint AS records{}
    FROM batches
    UNION ALL
    SELECT source_id, 'stored', anchor, start_offset, end_offset, first_line, last_start, last_line, batches, rows, stored,
           duplicate, conflict, blank, quarantined, committed_at, last_committed_at, coalesce(records, rows){}
    FROM ledger_ranges
"""
LEVELS = "INSERT INTO retention (level) VALUES ('samples'), ('quarantine'), ('events')"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "retention",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("kept_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("partitions", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("level", name=op.f("retention_pkey")),
    )
    op.execute(LEVELS)
    op.add_column("batches", sa.Column("expired", sa.Integer(), server_default="0", nullable=False))
    op.add_column("ledger_ranges", sa.Column("expired", sa.BigInteger(), server_default="0", nullable=False))
    for table in ("batches", "ledger_ranges"):
        op.create_index(f"{table}_expired_idx", table, ["source_id"], postgresql_where=sa.text("expired > 0"))
    op.execute(LEDGER.format(", expired::bigint", ", expired"))


def downgrade() -> None:
    op.execute("DROP VIEW ledger")
    for table in ("ledger_ranges", "batches"):
        op.drop_index(f"{table}_expired_idx", table)
        op.drop_column(table, "expired")
    op.execute(LEDGER.format("", ""))
    op.drop_table("retention")
