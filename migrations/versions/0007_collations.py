"""Names that make a GPU, a metric or a source unique are ordered by their bytes, whatever the database's collation is.

Revision 0007, after 0006. The indexes of other collations break when the operating system under Postgres changes the order
of letters, as glibc 2.28 did: a name that is there is not found, and the GPU gets a second row, with series and samples of its
own. Only indexes are built anew, of tables that are small: the ledger is not, and to enter a batch twice stores nothing twice.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = (("gpus", "identity"), ("metrics", "name"), ("sources", "edge"), ("sources", "fingerprint"), ("sources", "path"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.alter_column(table, column, type_=sa.Text(collation="C"))


def downgrade() -> None:
    for table, column in COLUMNS:
        op.alter_column(table, column, type_=sa.Text(collation="default"))
