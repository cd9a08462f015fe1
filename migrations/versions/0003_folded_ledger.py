"""Ranges that old batches of the ledger are folded into, and a view of both.

Revision 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LEDGER = """
    CREATE VIEW ledger AS
    SELECT source_id, status, anchor, start_offset, end_offset, first_line, start_offset AS last_start, first_line AS last_line,
           1::bigint AS batches, rows::bigint, stored::bigint, duplicate::bigint, conflict::bigint, blank::bigint,
           quarantined::bigint, committed_at, committed_at AS last_committed_at
    FROM batches
    UNION ALL
    SELECT source_id, 'stored', anchor, start_offset, end_offset, first_line, last_start, last_line, batches, rows, stored,
           duplicate, conflict, blank, quarantined, committed_at, last_committed_at
    FROM ledger_ranges
"""


def upgrade() -> None:
    op.create_table(
        "ledger_ranges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("anchor", sa.BigInteger(), nullable=True),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in (
                *("start_offset", "end_offset", "first_line", "last_start", "last_line", "batches", "rows"),
                *("stored", "duplicate", "conflict", "blank", "quarantined"),
            )
        ),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("ledger_ranges_source_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("ledger_ranges_pkey")),
    )
    op.create_index(op.f("ledger_ranges_source_id_idx"), "ledger_ranges", ["source_id"], unique=False)
    op.execute(LEDGER)


def downgrade() -> None:
    op.execute("DROP VIEW ledger")
    op.drop_index(op.f("ledger_ranges_source_id_idx"), table_name="ledger_ranges")
    op.drop_table("ledger_ranges")
