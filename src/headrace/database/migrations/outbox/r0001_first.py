"""The tables of the outbox as releases before migrations wrote them; those created `acknowledgement` later."""

from __future__ import annotations

from typing import NoReturn

from headrace.database.migrations.operations import execute_each, refuse_downgrade

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that are missing."""
    execute_each(
        """CREATE TABLE IF NOT EXISTS decision (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, end_us {whole} NOT NULL, body TEXT NOT NULL,
            put_us {whole} NOT NULL, holder TEXT, token INTEGER NOT NULL DEFAULT 0, until_us {whole}, last_error TEXT,
            outcome TEXT, outcome_reason TEXT NOT NULL DEFAULT '', version TEXT, finished_us {whole})""",
        """CREATE TABLE IF NOT EXISTS alert (
            id TEXT PRIMARY KEY, decision_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
            level TEXT NOT NULL, at_us {whole} NOT NULL, links TEXT NOT NULL, put_us {whole} NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, next_us {whole} NOT NULL, last_error TEXT, delivered_us {whole})""",
        """CREATE TABLE IF NOT EXISTS delivery (
            alert_id TEXT NOT NULL, receiver TEXT NOT NULL, at_us {whole} NOT NULL,
            PRIMARY KEY (alert_id, receiver))""",
        """CREATE TABLE IF NOT EXISTS acknowledgement (
            decision_id TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, at_us {whole} NOT NULL,
            PRIMARY KEY (decision_id, at_us, who))""",
    )


def downgrade() -> NoReturn:
    """Refuse."""
    refuse_downgrade()
