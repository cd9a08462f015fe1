"""Beside the arrays of a sealed day, what its samples come to in each hour: long spans are answered without the arrays.

Revision 0017. The sealer fills in what is sealed already, some rows at a time, which it finds by the index. A collector of
before may run on: what it merges has another number of samples than its hours say, and is read from the arrays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("sealed", "sealing"):
        op.add_column(table, sa.Column("hours", sa.ARRAY(sa.Double()), nullable=True))
    where = sa.text("hours IS NULL AND n >= 720")
    op.create_index("sealed_without_hours_idx", "sealed", ["day"], postgresql_where=where)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("sealed_without_hours_idx", "sealed")
    for table in ("sealing", "sealed"):
        op.drop_column(table, "hours")
