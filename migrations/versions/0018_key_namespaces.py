"""A key of the API may be bound to namespaces.

Only a column comes, which is empty for every key there is: those see all namespaces, as before. An API of before, which may run
on while the centre is upgraded, does not know of bounds: make bound keys when all of it is of this version.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("namespaces", sa.ARRAY(sa.Text()), server_default="{}", nullable=False))


def downgrade() -> None:
    # A bound key would see everything.
    op.execute("UPDATE api_keys SET revoked_at = now() WHERE namespaces <> '{}' AND revoked_at IS NULL")
    op.drop_column("api_keys", "namespaces")
