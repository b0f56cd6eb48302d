"""Wait for the transactions that may still commit an earlier number of a sequence, in PostgreSQL.

A sequence is not in the order of commits: a transaction may take number 5 and commit after another one has committed
number 6. Whoever has read up to 6 would never see 5. Every transaction that has taken a number holds a lock of its
table until it ends, so after the largest number was read, those that hold one then are waited for. Later ones take
larger numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from headrace.core.errors import UnavailableError

#: Seconds between two looks, and how many there are.
_EVERY_S, _LOOKS = 0.1, 300


def wait_for_writers(
    connection: Any, table: Any, where: str, *, sleep: Callable[[float], object] | None = None
) -> None:
    """Wait until the transactions that write a table now have ended.

    Args:
        connection: Of SQLAlchemy. Only PostgreSQL is asked; SQLite has one writer at a time.
        table: The table, as SQLAlchemy has it.
        where: The table, for messages.
        sleep: Waits so many seconds.

    Raises:
        UnavailableError: One of them is still open after half a minute.
    """
    if connection.dialect.name != "postgresql":
        return
    before = _writers(connection, table)
    for _ in range(_LOOKS):
        if not before & _writers(connection, table):
            return
        (sleep or time.sleep)(_EVERY_S)
    raise UnavailableError(
        "a transaction that writes it does not end, and may commit earlier changes",
        where=where,
        found=sorted(before & _writers(connection, table)),
        fix="look for it in pg_stat_activity; run again",
    )


def _writers(connection: Any, table: Any) -> set[str]:
    """The transactions of others that have written a table and are open."""
    from sqlalchemy import text

    name = connection.dialect.identifier_preparer.format_table(table)
    locks = text(
        "SELECT virtualtransaction FROM pg_locks WHERE relation = CAST(:name AS regclass) AND granted "
        "AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()"
    )
    return {str(found) for found in connection.execute(locks, {"name": name}).scalars()}
