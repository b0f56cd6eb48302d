"""Steps of rollouts, which releases before migrations created with the first rollout."""

from __future__ import annotations

from typing import NoReturn

from headrace.database.migrations.operations import execute_each, refuse_downgrade

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Create the table where it is missing."""
    execute_each(
        """CREATE TABLE IF NOT EXISTS rollout (
            sequence {whole} PRIMARY KEY, id TEXT NOT NULL, version TEXT NOT NULL, champion TEXT NOT NULL,
            phase TEXT NOT NULL, share {double} NOT NULL, reason TEXT NOT NULL, facts TEXT NOT NULL,
            at_us {whole} NOT NULL)"""
    )


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
