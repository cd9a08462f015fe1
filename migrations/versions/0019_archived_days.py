"""Which sealed days are archived, and verified.

Only a table comes. A collector of before does not know of it, and drops what is old whether it is archived or not: set
TELEMETRY_RETENTION_ARCHIVED when all of the centre is of this version.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archived_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("verified_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("day", "place", name="archived_days_pkey"),
    )


def downgrade() -> None:
    op.drop_table("archived_days")
