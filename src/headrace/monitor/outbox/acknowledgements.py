"""Journal of acknowledgements in the outbox's tables: who has seen the alert of a decision, when, and a note.

Rows are only added. The first acknowledgement of a decision counts for the policy; all are kept.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from headrace.core.errors import ConflictError, NotFoundError
from headrace.database.upsert import insert_new
from headrace.monitor.outbox import tables
from headrace.monitor.policy.decision import Acknowledgement


def add(connection: Connection, decision_id: str, acknowledgement: Acknowledgement) -> None:
    """Write an acknowledgement. Idempotent by decision, person and time."""
    row = {"who": acknowledgement.who, "note": acknowledgement.note, "at_us": acknowledgement.at_us}
    insert_new(connection, tables.acknowledgement, {"decision_id": decision_id, **row})


def first_by_decision(connection: Connection) -> dict[str, Acknowledgement]:
    """Return decision id -> its first acknowledgement."""
    table = tables.acknowledgement
    rows = connection.execute(select(table).order_by(table.c.at_us.desc(), table.c.who.desc()))
    return {row.decision_id: Acknowledgement(who=row.who, note=row.note, at_us=row.at_us) for row in rows}


def full_id(connection: Connection, prefix: str) -> str:
    """Return the id of the decision that begins with a text.

    Raises:
        NotFoundError: No decision begins so.
        ConflictError: Several do.
    """
    begins = select(tables.decision.c.id).where(func.substr(tables.decision.c.id, 1, len(prefix)) == prefix)
    ids = [str(found) for found in connection.scalars(begins)] if prefix else []
    if not ids:
        raise NotFoundError(f"no decision {prefix!r}", where="outbox", fix="`headrace alerts` lists them")
    if len(ids) > 1 and prefix not in ids:
        raise ConflictError(
            f"several decisions begin with {prefix!r}", where="outbox", found=ids, fix="write more of it"
        )
    return prefix if prefix in ids else ids[0]
