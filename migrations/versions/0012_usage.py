"""How GPUs were used: a summary of each hour.

Revision 0012, after 0011. Every hour of which there are allocations is marked, so that upkeep sums it up. Collectors of before
may run on: they mark nothing, so an hour that only they wrote to is missing until a reading of it comes again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SUMS = ("held_s", "read_s", "known_s", "busy_s", *(f"below_{percent}_s" for percent in (1, 5, 10, 15, 25, 50)))


def upgrade() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in (*SUMS, "counter_j", "power_j")),
        sa.PrimaryKeyConstraint("hour", "gpu_id", "instance", "owner_id", name=op.f("usage_hours_pkey")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("usage_hours_gpu_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("usage_hours_owner_id_fkey")),
    )
    op.create_index(op.f("usage_hours_owner_id_hour_idx"), "usage_hours", ["owner_id", "hour"])
    op.create_table(
        "usage_marks",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("usage_marks_pkey")),
    )
    op.create_index(op.f("usage_marks_hour_idx"), "usage_marks", ["hour"])
    op.execute("""
        INSERT INTO usage_marks (gpu_id, hour)
        SELECT DISTINCT gpu_id, hour FROM allocations CROSS JOIN LATERAL unnest(held) AS r (span)
        CROSS JOIN LATERAL generate_series(
            date_trunc('hour', lower(span), 'UTC'), upper(span) - interval '1 minute', interval '1 hour'
        ) AS hour
    """)


def downgrade() -> None:
    op.drop_table("usage_marks")
    op.drop_table("usage_hours")
