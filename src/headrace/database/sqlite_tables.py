"""Create or migrate the tables of a group in an SQLite file, one process at a time."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock

from headrace.core.errors import CorruptError
from headrace.database.migrate import migrate, require_known
from headrace.database.sqlite_connection import over
from headrace.database.table_group import TableGroup

_log = logging.getLogger(__name__)


def prepare(
    raw: sqlite3.Connection,
    group: TableGroup,
    path: Path | None,
    transaction: Callable[[sqlite3.Connection], AbstractContextManager[None]],
) -> None:
    """Bring the tables of a file to this release; nothing is done where they are.

    Args:
        raw: An open connection without a transaction.
        group: The tables.
        path: The file; None for tables in memory.
        transaction: Begins the transaction of a migration, and commits it.

    Raises:
        ConflictError: A newer release wrote the tables.
        CorruptError: The file has tables of something else.
    """
    if revision_of(raw, group) == group.revision:
        return
    # SQLite does not wait for a change of the journal mode, so the lock is a file.
    with contextlib.nullcontext() if path is None else FileLock(path.with_name(f".{path.name}.lock")):
        revision = revision_of(raw, group)
        if revision == group.revision:
            return
        require_known(group, revision, where=str(path))
        if revision is None and not any(has_table(raw, name) for name in group.metadata.tables):
            if has_table(raw, "seal"):
                raise CorruptError("is of something else", where=str(path), fix="bring it back from a backup")
            raw.execute("PRAGMA journal_mode = WAL")
            raw.executescript(f"BEGIN IMMEDIATE; {group.sqlite_script} COMMIT;")
            return
        with over(raw) as connection, transaction(raw):
            migrate(connection, group)
        _log.info("%s: migrated from %s to %s", path, revision or "before revisions", group.revision)


def revision_of(raw: sqlite3.Connection, group: TableGroup) -> str | None:
    """Return the revision of the tables; None for a new file, and for one of before there were revisions."""
    if not has_table(raw, group.version_table):
        return None
    row = raw.execute(f"SELECT version_num FROM {group.version_table}").fetchone()
    return None if row is None else str(row[0])


def has_table(raw: sqlite3.Connection, name: str) -> bool:
    """Whether the file has a table."""
    return raw.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None
