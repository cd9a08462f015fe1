"""The ledger counts records beside readings: a record of a wide format holds many.

Revision 0004, after 0003. The columns stay nullable and old rows are left as they are, so that the upgrade holds its lock for
a moment only: where `records` is null, each record is one reading, and the view says so. Collectors of before, which may run
on while the centre is upgraded, do not write it. If one of them folds a batch of a wide format, each of its rows counts as a
record.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEDGER = """
    CREATE OR REPLACE VIEW ledger AS
    SELECT source_id, status, anchor, start_offset, end_offset, first_line, start_offset AS last_start, first_line AS last_line,
           1::bigint AS batches, rows::bigint, stored::bigint, duplicate::bigint, conflict::bigint, blank::bigint,
           quarantined::bigint, committed_at, committed_at AS last_committed_at{}
    FROM batches
    UNION ALL
    SELECT source_id, 'stored', anchor, start_offset, end_offset, first_line, last_start, last_line, batches, rows, stored,
           duplicate, conflict, blank, quarantined, committed_at, last_committed_at{}
    FROM ledger_ranges
"""


def upgrade() -> None:
    op.add_column("batches", sa.Column("records", sa.Integer(), nullable=True))
    op.add_column("ledger_ranges", sa.Column("records", sa.BigInteger(), nullable=True))
    op.execute(LEDGER.format(", coalesce(records, rows)::bigint AS records", ", coalesce(records, rows)"))


def downgrade() -> None:
    op.execute("DROP VIEW ledger")
    op.drop_column("ledger_ranges", "records")
    op.drop_column("batches", "records")
    op.execute(LEDGER.format("", ""))
