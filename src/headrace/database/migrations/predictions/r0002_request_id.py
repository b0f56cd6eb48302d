"""The id of the HTTP request that asked for a prediction."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op

from headrace.database.migrations.operations import refuse_downgrade

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Add the column where it is missing."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("predictions")}
    if "request_id" not in present:
        op.add_column("predictions", sa.Column("request_id", sa.Text))


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
