"""One group of tables that are created and migrated together: the ledger, the outbox or the prediction log."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import URL, MetaData
from sqlalchemy.schema import CreateIndex, CreateTable


@dataclass(frozen=True, kw_only=True)
class TableGroup:
    """Tables with one history of migrations.

    Attributes:
        name: Name of the group, of its folder in `migrations`, and of its folder in the home.
        metadata: The tables as this release uses them.
        revision: The last migration. A test compares the tables that all migrations create with `metadata`.
        seal: A text in the checksum of an SQLite file; it must never change.
    """

    name: str
    metadata: MetaData
    revision: str
    seal: str = ""

    @property
    def version_table(self) -> str:
        """The table in which Alembic records the last migration."""
        return f"{self.name}_schema_version"

    @cached_property
    def sqlite_script(self) -> str:
        """The statements for SQLite as one script."""
        return ";\n".join(self.statements("sqlite")) + ";"

    def statements(self, database: str) -> tuple[str, ...]:
        """Return the statements that create the tables at `revision`.

        Args:
            database: `sqlite` or `postgresql`.
        """
        dialect = URL.create("postgresql+psycopg" if database == "postgresql" else database).get_dialect()()
        tables = self.metadata.sorted_tables
        statements = [str(CreateTable(table).compile(dialect=dialect)) for table in tables]
        statements += [
            str(CreateIndex(index).compile(dialect=dialect))
            for table in tables
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
        return (
            *statements,
            f"CREATE TABLE {self.version_table} (version_num VARCHAR(32) PRIMARY KEY)",
            f"INSERT INTO {self.version_table} VALUES ('{self.revision}')",
        )
