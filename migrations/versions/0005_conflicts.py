"""Readings whose key is stored with another value are kept, with both values.

Revision 0005, after 0004. Collectors of before, which may run on while the centre is upgraded, count them and keep nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conflicts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("stored", sa.Double(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("conflicts_pkey")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("conflicts_source_id_fkey")),
        sa.UniqueConstraint("series_id", "ts", "value", "source_id", name=op.f("conflicts_series_id_ts_value_source_id_key")),
    )
    op.create_index(op.f("conflicts_source_id_idx"), "conflicts", ["source_id"])


def downgrade() -> None:
    op.drop_table("conflicts")
