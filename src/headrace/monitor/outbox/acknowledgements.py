"""Journal of acknowledgements in the outbox's database: who has seen the alert of a decision, when, and a note.

Rows are only added. The first acknowledgement of a decision counts for the policy; all are kept. The table is created
by the first one, so that an outbox of an earlier version can be read and written.
"""

from __future__ import annotations

import sqlite3

from headrace.core.errors import ConflictError, NotFoundError
from headrace.monitor.policy.decision import Acknowledgement

_TABLE = """
CREATE TABLE IF NOT EXISTS acknowledgement (
    decision_id TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, at_us INTEGER NOT NULL,
    PRIMARY KEY (decision_id, at_us, who))
"""


def add(database: sqlite3.Connection, decision_id: str, acknowledgement: Acknowledgement) -> None:
    """Write an acknowledgement. Idempotent by decision, person and time."""
    database.execute(_TABLE)
    database.execute(
        "INSERT OR IGNORE INTO acknowledgement VALUES (?, ?, ?, ?)",
        (decision_id, acknowledgement.who, acknowledgement.note, acknowledgement.at_us),
    )


def first_by_decision(database: sqlite3.Connection) -> dict[str, Acknowledgement]:
    """Return decision id -> its first acknowledgement."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'acknowledgement'").fetchone() is None:
        return {}
    rows = database.execute("SELECT decision_id, who, note, at_us FROM acknowledgement ORDER BY at_us DESC, who DESC")
    return {decision: Acknowledgement(who=who, note=note, at_us=at_us) for decision, who, note, at_us in rows}


def full_id(database: sqlite3.Connection, prefix: str) -> str:
    """Return the id of the decision that begins with a text.

    Raises:
        NotFoundError: No decision begins so.
        ConflictError: Several do.
    """
    rows = database.execute("SELECT id FROM decision WHERE substr(id, 1, ?) = ?", (len(prefix), prefix)).fetchall()
    ids = [str(row[0]) for row in rows if prefix]
    if not ids:
        raise NotFoundError(f"no decision {prefix!r}", where="outbox", fix="`headrace alerts` lists them")
    if len(ids) > 1 and prefix not in ids:
        raise ConflictError(
            f"several decisions begin with {prefix!r}", where="outbox", found=ids, fix="write more of it"
        )
    return prefix if prefix in ids else ids[0]
