"""Migrate the tables of a group to this release with Alembic, and refuse tables of a newer one."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from headrace.core.errors import ConflictError
from headrace.database.table_group import TableGroup

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).with_name("migrations")
#: Alembic's context is one for the process.
_one_at_a_time = threading.Lock()


@cache
def revisions(group: TableGroup) -> tuple[str, ...]:
    """Return the revisions of a group that this release knows, oldest first, from the names of its migrations."""
    return tuple(sorted(path.stem.partition("_")[0] for path in (FOLDER / group.name).glob("r[0-9]*.py")))


def require_known(group: TableGroup, revision: str | None, *, where: str) -> None:
    """Raise ConflictError if the tables are of a revision that this release does not know.

    Args:
        group: The tables.
        revision: Their recorded revision; None for those of before there were revisions.
        where: The database, for the error.
    """
    known = revisions(group)
    if revision is not None and revision not in known:
        raise ConflictError(
            f"a newer release of Headrace wrote its tables (revision {revision}; this release knows {known[-1]})",
            where=where,
            fix="use that release, or restore a backup that this release wrote: tables are never migrated back",
        )


def migrate(connection: Connection, group: TableGroup) -> None:
    """Apply the missing migrations, inside the caller's transaction.

    Args:
        connection: A connection with an open transaction.
        group: The tables.
    """
    from alembic import command

    config = migration_config(group)
    config.attributes["connection"] = connection
    config.attributes["group"] = group
    if not connection.in_transaction():  # Alembic commits a transaction that it begins itself
        connection.begin()
    with _one_at_a_time:
        command.upgrade(config, group.revision)


def migration_config(group: TableGroup) -> Config:
    """Return Alembic's configuration for the migrations of a group."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(FOLDER / group.name).replace("%", "%%"))
    return config
