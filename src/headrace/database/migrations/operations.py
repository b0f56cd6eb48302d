"""What several migrations do."""

from __future__ import annotations

from typing import NoReturn

from alembic import op

from headrace.core.errors import ConflictError

_TYPES = {
    "sqlite": {"whole": "INTEGER", "double": "REAL", "bytes": "BLOB", "text_or_bytes": "TEXT"},
    "postgresql": {"whole": "BIGINT", "double": "DOUBLE PRECISION", "bytes": "BYTEA", "text_or_bytes": "BYTEA"},
}


def execute_each(*statements: str) -> None:
    """Execute statements, with the database's types of columns for `{whole}`, `{double}` and the like."""
    types = _TYPES[op.get_bind().dialect.name]
    for statement in statements:
        op.execute(statement.format_map(types))


def refuse_downgrade() -> NoReturn:
    """Raise the error of every `downgrade`: rows that an earlier release cannot read would be lost."""
    raise ConflictError(
        "tables are never migrated back", where="alembic downgrade", fix="restore a backup of the earlier release"
    )
