"""Number the alerts in the order in which they were queued, which SQLite alone kept by itself (rowid)."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op

from headrace.database.column_types import Whole
from headrace.database.migrations.operations import refuse_downgrade

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Add the column; the alerts of an SQLite file get their rowid."""
    op.add_column("alert", sa.Column("number", Whole, nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE alert SET number = rowid")


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
