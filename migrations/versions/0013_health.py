"""The health of GPUs: stretches of time in which a rule's condition held, and what readings were not judged yet.

Revision 0013. Only tables come. Collectors of before, which may run on meanwhile, mark nothing in `unjudged`: what they store
late, of more than five minutes ago, is not judged. Readings from before are judged from a day ago on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("fired_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("value", sa.Double()),
        sa.Column("told_at", TIME),
        sa.Column("told_end_at", TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("findings_pkey")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("findings_gpu_id_fkey")),
        sa.UniqueConstraint("gpu_id", "series_id", "rule", "begun_at", name="findings_gpu_id_series_id_rule_begun_at_key"),
    )
    op.create_index(op.f("findings_begun_at_idx"), "findings", ["begun_at"])
    op.create_index(op.f("findings_ended_at_idx"), "findings", ["ended_at"])
    op.create_table(
        "unjudged",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("gpu_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("unjudged_pkey")),
    )
    op.create_table(
        "judgements",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("judged_at", TIME, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("judgements_pkey")),
    )


def downgrade() -> None:
    op.drop_table("judgements")
    op.drop_table("unjudged")
    op.drop_table("findings")
