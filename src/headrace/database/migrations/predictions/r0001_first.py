"""The tables of the prediction log as releases before migrations wrote them; the first ones had no checksums."""

from __future__ import annotations

from typing import NoReturn

import sqlalchemy as sa
from alembic import op

from headrace.database.column_types import Whole
from headrace.database.migrations.operations import execute_each, refuse_downgrade

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    execute_each(
        """CREATE TABLE IF NOT EXISTS predictions (
            id TEXT PRIMARY KEY, cutoff_us {whole} NOT NULL, made_us {whole} NOT NULL, model_version TEXT NOT NULL,
            join_keys TEXT NOT NULL, probability {double}, source TEXT NOT NULL, request TEXT NOT NULL,
            features {text_or_bytes} NOT NULL, ticks TEXT NOT NULL, statuses TEXT NOT NULL, row_key TEXT NOT NULL,
            row_sum {whole})""",
        "CREATE TABLE IF NOT EXISTS feature_names (digest {bytes} PRIMARY KEY, content TEXT NOT NULL)",
    )
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("predictions")}
    if "row_sum" not in present:
        op.add_column("predictions", sa.Column("row_sum", Whole))
    execute_each("CREATE INDEX IF NOT EXISTS predictions_made ON predictions (made_us)")


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
