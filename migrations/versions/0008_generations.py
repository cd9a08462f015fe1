"""The database knows its history: a generation begins when it may have forgotten commits, by a restore or a failover.

Revision 0008, after 0007. Only a table comes. Collectors of before, which may run on while the centre is upgraded, do not look
at it; what they acknowledge is believed in whatever generation.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="generations_pkey"),
    )


def downgrade() -> None:
    op.drop_table("generations")
