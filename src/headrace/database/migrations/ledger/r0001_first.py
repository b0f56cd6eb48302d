"""The tables of the ledger as releases before migrations wrote them; those created the table `identity` later."""

from __future__ import annotations

from typing import NoReturn

from headrace.database.migrations.operations import execute_each, refuse_downgrade

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that are missing."""
    execute_each(
        """CREATE TABLE IF NOT EXISTS change (
            sequence {whole} PRIMARY KEY, action TEXT NOT NULL, version TEXT NOT NULL, previous TEXT,
            reason TEXT NOT NULL, at_us {whole} NOT NULL)""",
        """CREATE TABLE IF NOT EXISTS version (
            version TEXT PRIMARY KEY, metrics TEXT NOT NULL DEFAULT '{{}}', barred TEXT)""",
        """CREATE TABLE IF NOT EXISTS challenger (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1), version TEXT)""",
        "CREATE TABLE IF NOT EXISTS alias (name TEXT PRIMARY KEY, written TEXT, writing TEXT)",
        """CREATE TABLE IF NOT EXISTS identity (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1), id TEXT NOT NULL)""",
    )


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
