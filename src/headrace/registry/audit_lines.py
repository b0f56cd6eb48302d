"""Write the audit log's line for each change of champion, from the ledger's own record of the change.

A change and its row in `audit_outbox` (who made it, and when) are one transaction of the ledger. The line is written
after it, and the row is removed when the line is on disk. A process that is killed in between leaves the row, and the
next one that changes or recovers the ledger writes the line. A line names the ledger and the number of its change, so
it is never written twice.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from headrace.access.changes import author, record_champion
from headrace.core.errors import HeadraceError
from headrace.database.open_tables import Tables
from headrace.registry.ledger_schema import audit_outbox, change, identity

_log = logging.getLogger(__name__)


def note_author(connection: Connection, sequence: int) -> None:
    """Note who makes a change, in the transaction of the change."""
    who, made_us = author()
    connection.execute(audit_outbox.insert().values(sequence=sequence, who=who, made_us=made_us))


def write_audit_lines(tables: Tables, root: Path, problem: str) -> None:
    """Write the lines that are missing, oldest first.

    A log that cannot be written undoes no change: that is reported in the process's log, and the lines follow later.

    Args:
        tables: The ledger's.
        root: Home folder, which holds the audit log.
        problem: Name of the problem.
    """
    try:
        with tables.read() as connection:
            if not connection.execute(select(func.count()).select_from(audit_outbox)).scalar_one():
                return
        with tables.write() as connection:
            ledger = connection.execute(select(identity.c.id)).scalar()
            for row in _pending(connection):
                facts = {"version": row.version, "previous": row.previous, "reason": row.reason, "at_us": row.at_us}
                made = {"who": row.who, "made_us": row.made_us, "change": f"{ledger}/{row.sequence}"}
                record_champion(root, problem, row.action, facts, **made)
                connection.execute(audit_outbox.delete().where(audit_outbox.c.sequence == row.sequence))
    except (HeadraceError, OSError) as error:
        _log.error("the audit log cannot be written: %s", error)


def _pending(connection: Connection) -> list[Any]:
    joined = audit_outbox.join(change, audit_outbox.c.sequence == change.c.sequence)
    columns = (change, audit_outbox.c.who, audit_outbox.c.made_us)
    return list(connection.execute(select(*columns).select_from(joined).order_by(change.c.sequence)).all())
