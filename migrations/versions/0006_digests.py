"""The ledger keeps a digest of the readings of each batch: a second content under a known batch id is found out.

Revision 0006, after 0005. The column may be null, so that the upgrade holds its lock for a moment only. Collectors of before,
which may run on while the centre is upgraded, do not write it; what they entered is not compared.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("digest", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("batches", "digest")
