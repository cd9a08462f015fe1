"""Identity outlives settings: the rules by which labels make a series, and where GPUs were told of, stand in the database.

Revision 0010, after 0009. Only tables come. The first collector writes its settings down as the rule that always held.
Collectors of before may run on; they go by their own settings, and tell nothing of where GPUs are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


# By the identity that readings have: the GPU whose series they are, and what is behind the digest of their labels there. That
# is nothing, but where a GPU without a UUID was joined to one with a UUID: both may have a series of the same labels.
SERIES_GPUS = """
    CREATE VIEW series_gpus AS
    SELECT g.identity, coalesce(j.joined_id, g.id) AS gpu_id,
           CASE WHEN j.gpu_id IS NULL THEN ''::bytea ELSE int8send(j.gpu_id) END AS told_as
    FROM gpus g LEFT JOIN gpu_joins j ON j.gpu_id = g.id
"""


def upgrade() -> None:
    op.create_table(
        "label_rules",
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("volatile", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("owner", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("label_rules_pkey")),
        sa.UniqueConstraint("since", name=op.f("label_rules_since_key")),
    )
    op.create_table(
        "gpu_places",
        sa.Column("place", sa.Text(collation="C"), nullable=False),
        sa.Column("edge", sa.Text(collation="C"), nullable=False),
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("place", "edge", "gpu_id", name=op.f("gpu_places_pkey")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("gpu_places_gpu_id_fkey")),
    )
    op.create_index(op.f("gpu_places_gpu_id_idx"), "gpu_places", ["gpu_id"])
    op.create_table(
        "gpu_joins",
        sa.Column("gpu_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("joined_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gpu_id", name=op.f("gpu_joins_pkey")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("gpu_joins_gpu_id_fkey")),
        sa.ForeignKeyConstraint(["joined_id"], ["gpus.id"], name=op.f("gpu_joins_joined_id_fkey")),
    )
    op.create_index(op.f("gpu_joins_joined_id_idx"), "gpu_joins", ["joined_id"])
    op.execute(SERIES_GPUS)


# Series of GPUs that were joined go back to the name under which they were made: `telemetry.store.upkeep.joining`.
PART = """
    UPDATE series s SET gpu_id = j.gpu_id, labels_digest = substr(s.labels_digest, 1, 16)
    FROM gpu_joins j
    WHERE s.gpu_id = j.joined_id AND length(s.labels_digest) = 24 AND substr(s.labels_digest, 17) = int8send(j.gpu_id)
"""


def downgrade() -> None:
    op.execute(PART)
    op.execute("DROP VIEW series_gpus")
    op.drop_table("gpu_joins")
    op.drop_table("gpu_places")
    op.drop_table("label_rules")
