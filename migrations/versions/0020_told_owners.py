"""An index of the owners that a scheduler tells of: jobs of Slurm, and pods of Kubernetes from now on.

Only an index comes. Before, such owners were found among those that have a job.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("owners_told_idx", "owners", ["id"], postgresql_where=sa.text("labels ? 'told_by'"))


def downgrade() -> None:
    op.drop_index("owners_told_idx", table_name="owners")
