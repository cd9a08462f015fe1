"""The database knows how many samples it should have: tallies by the hour, and where samples were found to be gone.

Revision 0011, after 0010. Only tables come. Collectors of before may run on while the centre is upgraded: what they store is
in no tally, so the audit finds more than it expects, and takes that for the new figure.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tallies", sa.Column("hour", sa.Integer(), nullable=False), sa.Column("stored", sa.BigInteger(), nullable=False)
    )
    op.create_table(
        "counted_partitions",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("samples", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("counted_partitions_pkey")),
    )
    op.create_table(
        "shortfalls",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("first_hour", sa.Integer(), nullable=False),
        sa.Column("end_hour", sa.Integer(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("restored", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("shortfalls_pkey")),
    )
    op.create_table(
        "rereads",
        sa.Column("edge", sa.Text(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.Text(collation="C"), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("is_due", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("edge", "fingerprint", name=op.f("rereads_pkey")),
    )


def downgrade() -> None:
    for table in ("rereads", "shortfalls", "counted_partitions", "tallies"):
        op.drop_table(table)
