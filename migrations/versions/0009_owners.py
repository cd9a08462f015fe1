"""Owners are intervals: who used a GPU makes no series any more, but allocations.

Revision 0009, after 0008. Series that were made under labels of an owner are marked, and go on as what they are: their readings
are found by their old identity, and their owner is read from themselves. Nothing is written into `allocations` for the time
before. Collectors of before may run on: they make series of owners that are new to them, and no allocations; `telemetry verify`
finds what they stored. A reading that such a collector and one of this version both are given, in batches cut in another way,
is stored under both series.

Downgraded, readings that were stored under series without an owner stay there; who had a GPU in that time is gone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# As `telemetry.readings.owners` had them at this revision.
OWNER_LABELS = (
    *("exported_namespace", "namespace", "exported_pod", "pod", "exported_container", "container", "hpc_job", "slurm_job_id"),
    *("user", "slurm_user", "account", "slurm_account", "pod_uid", "exported_pod_uid"),
)


def upgrade() -> None:
    op.add_column("series", sa.Column("of_owner", sa.Boolean(), server_default=sa.false(), nullable=False))
    names = ", ".join(f"'{name}'" for name in OWNER_LABELS)
    op.execute(f"UPDATE series SET of_owner = true WHERE labels ?| ARRAY[{names}]")  # noqa: S608 - names of above
    op.create_index("series_lasting_idx", "series", ["gpu_id"], postgresql_where=sa.text("NOT of_owner"))
    op.create_index("series_of_owner_idx", "series", ["gpu_id", "pod", "namespace"], postgresql_where=sa.text("of_owner"))
    op.create_table(
        "owners",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("namespace", "pod", "container", "job", "user", "account")),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("owners_pkey")),
        sa.UniqueConstraint("digest", name=op.f("owners_digest_key")),
    )
    for name in ("namespace", "pod", "job", "user"):
        op.create_index(op.f(f"owners_{name}_idx"), "owners", [name])
    op.create_table(
        "allocations",
        sa.Column("gpu_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("held", postgresql.TSTZMULTIRANGE(), nullable=False),
        sa.PrimaryKeyConstraint("gpu_id", "day", "instance", "owner_id", name=op.f("allocations_pkey")),
        sa.ForeignKeyConstraint(["gpu_id"], ["gpus.id"], name=op.f("allocations_gpu_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("allocations_owner_id_fkey")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("allocations_day_idx"), "allocations", ["day"])
    op.create_index(op.f("allocations_owner_id_day_idx"), "allocations", ["owner_id", "day"])


def downgrade() -> None:
    op.drop_table("allocations")
    op.drop_table("owners")
    op.drop_index("series_of_owner_idx", "series")
    op.drop_index("series_lasting_idx", "series")
    op.drop_column("series", "of_owner")
