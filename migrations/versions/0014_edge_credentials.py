"""The database knows which credentials of edges are valid, by their numbers; it holds none of them.

Revision 0014, after 0013. Only a table comes. Collectors of before, which may run on while the centre is upgraded, do not look
at it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "edge_credentials",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("holder", "serial", name="edge_credentials_pkey"),
    )


def downgrade() -> None:
    op.drop_table("edge_credentials")
