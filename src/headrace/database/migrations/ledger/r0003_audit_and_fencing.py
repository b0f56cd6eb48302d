"""Changes of champion whose line in the audit log is not written yet, and the fencing tokens of runs."""

from __future__ import annotations

from typing import NoReturn

from headrace.database.migrations.operations import execute_each, refuse_downgrade

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    """Create the tables."""
    execute_each(
        """CREATE TABLE IF NOT EXISTS audit_outbox (
            sequence {whole} PRIMARY KEY, who TEXT NOT NULL, made_us {whole} NOT NULL)""",
        """CREATE TABLE IF NOT EXISTS fencing_token (
            work TEXT PRIMARY KEY, number {whole} NOT NULL, holder TEXT NOT NULL)""",
    )


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
