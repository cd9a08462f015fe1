"""Marks of usage are found by their hour and GPU: an hour that was marked many times is summed up once.

Only an index takes the place of another one, so a collector of a version before works with it.
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The stronger lock first: who reads the table and deletes from it would wait for us, and we for him.
    op.drop_index(op.f("usage_marks_hour_idx"), table_name="usage_marks")
    op.create_index(op.f("usage_marks_hour_gpu_id_idx"), "usage_marks", ["hour", "gpu_id"])


def downgrade() -> None:
    op.drop_index(op.f("usage_marks_hour_gpu_id_idx"), table_name="usage_marks")
    op.create_index(op.f("usage_marks_hour_idx"), "usage_marks", ["hour"])
