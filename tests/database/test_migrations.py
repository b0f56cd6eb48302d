"""Migrations: they create the tables of this release, keep every row of the previous one, and never go back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from headrace.core.clock import DAY
from headrace.core.errors import ConflictError
from headrace.database.migrate import migrate, migration_config, revisions
from headrace.database.postgresql import PostgresqlTables, schema_name
from headrace.database.sealed_file import SealedFile
from headrace.database.table_group import TableGroup
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.outbox.tables import OUTBOX
from headrace.prediction_log.tables import PREDICTIONS
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_schema import LEDGER

GROUPS = [LEDGER, OUTBOX, PREDICTIONS]
HOMES = Path(__file__).parent / "homes"


@contextmanager
def connected(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:") or "sqlite://")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def previous_home(root: Path, release: str = "0.1.0") -> Path:
    """A home with the databases that an earlier release wrote."""
    for script in (HOMES / release).glob("*.sql"):
        (root / script.stem).mkdir(parents=True)
        with closing(sqlite3.connect(root / script.stem / "shop.db")) as connection:
            connection.executescript(script.read_text())
    return root


def is_key_of_sqlite(difference: Any, group: TableGroup, database_url: str) -> bool:
    """Whether only a key of an SQLite table differs: there a key without NOT NULL may be null; none is."""
    if database_url or not isinstance(difference, list):
        return False
    ((kind, _, table, column, *_),) = difference
    return kind == "modify_nullable" and bool(group.metadata.tables[table].columns[column].primary_key)


def set_revision(root: Path, group: TableGroup, revision: str) -> None:
    with closing(sqlite3.connect(root / group.name / "shop.db")) as connection:
        connection.execute(f"UPDATE {group.version_table} SET version_num = ?", (revision,))
        connection.commit()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_all_migrations_create_the_tables_of_this_release(group: TableGroup, database_url: str) -> None:
    with connected(database_url) as connection:
        migrate(connection, group)
        options = {"version_table": group.version_table, "compare_type": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), group.metadata)
    assert [difference for difference in found if not is_key_of_sqlite(difference, group, database_url)] == []
    assert revisions(group)[-1] == group.revision


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_new_tables_are_those_of_all_migrations(group: TableGroup, database_url: str) -> None:
    with connected(database_url) as connection:
        for statement in group.statements(connection.dialect.name):
            connection.exec_driver_sql(statement)
        options = {"version_table": group.version_table, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, group.metadata) == []
        assert context.get_current_revision() == group.revision


def test_a_ledger_of_the_previous_release_is_read_and_written(tmp_path: Path) -> None:
    ledger = Ledger(previous_home(tmp_path), "shop", database_url="")
    assert [(one.action, one.version, one.metrics) for one in ledger.history()] == [
        ("promote", "1", {"auc": 0.75}),
        ("promote", "2", {"auc": 0.8}),
        ("rollback", "1", {"auc": 0.75}),
    ]
    assert (ledger.barred(), ledger.challenger()) == ({"2": "worse in production"}, "3")
    assert ledger.alias_state("champion").written == "1"
    identity = ledger.identity()
    assert identity is not None
    assert ledger.promote("3", "1", "better", {}, 4 * DAY).sequence == 4
    assert ledger.identity() == identity


def test_an_outbox_of_the_previous_release_is_read_and_written(tmp_path: Path) -> None:
    outbox = Outbox(previous_home(tmp_path), "shop", database_url="")
    first, second = outbox.history()
    assert (first.outcome, second.outcome, second.version, second.holder) == (None, "promoted", "2", "worker")
    assert second.acknowledged is not None
    assert second.acknowledged.who == "Ada"
    assert [message.alert.id for message in queued_alerts(outbox)] == ["7b", "14b", "14a"]
    assert outbox.claim(first.decision.id, "other", now_us=50) is not None


def test_the_revision_is_recorded_once_and_the_checksum_covers_the_migrated_tables(tmp_path: Path) -> None:
    root = previous_home(tmp_path)
    Ledger(root, "shop", database_url="").champion()
    tables = SealedFile(path=root / "ledger" / "shop.db", group=LEDGER)
    with tables.read() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {LEDGER.version_table}")).scalars().all() == [
            LEDGER.revision
        ]
    assert (root / "ledger" / ".shop.db.serial").exists()


@pytest.mark.parametrize("group", [LEDGER, OUTBOX], ids=lambda group: group.name)
def test_a_file_of_a_newer_release_is_refused(group: TableGroup, tmp_path: Path) -> None:
    tables = SealedFile(path=tmp_path / group.name / "shop.db", group=group)
    with tables.write():
        pass
    set_revision(tmp_path, group, "r9999")
    for use in (tables.read, tables.write):
        with pytest.raises(ConflictError, match=r"newer release .*r9999.*restore a backup"), use():
            pass


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path, postgresql_url: str) -> None:
    Ledger(tmp_path, "shop", database_url=postgresql_url).promote("1", None, "first", {}, 1)
    with connected(postgresql_url) as connection:
        connection.execute(text(f"UPDATE {schema_name('shop')}.{LEDGER.version_table} SET version_num = 'r9999'"))
    from headrace.database import postgresql

    postgresql._CURRENT.clear()  # as a new process finds it
    with pytest.raises(ConflictError, match=r"newer release .*r9999"):
        Ledger(tmp_path, "shop", database_url=postgresql_url).champion()


def test_a_database_of_an_earlier_release_is_migrated_with_its_rows(postgresql_url: str) -> None:
    with connected(postgresql_url) as connection:
        connection.execute(text("CREATE SCHEMA headrace_shop"))
        connection.execute(text("SET LOCAL search_path TO headrace_shop"))
        config = migration_config(OUTBOX)
        config.attributes |= {"connection": connection, "group": OUTBOX}
        command.upgrade(config, "r0001")
        connection.execute(
            text("INSERT INTO alert VALUES ('a', 'd', 'title', 'body', 'info', 1, '{}', 1, 0, 1, NULL, NULL)")
        )
    assert [one.alert.id for one in queued_alerts(Outbox(Path(), "shop", database_url=postgresql_url))] == ["a"]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_tables_are_never_migrated_back(group: TableGroup, database_url: str) -> None:
    with connected(database_url) as connection:
        migrate(connection, group)
        config = migration_config(group)
        config.attributes |= {"connection": connection, "group": group}
        with pytest.raises(ConflictError, match=r"never migrated back.*restore a backup"):
            command.downgrade(config, "base")


@pytest.mark.parametrize("problem", ["shop", "a" * 60, "ü" * 30])
def test_a_schema_has_a_name_of_at_most_63_bytes(problem: str, postgresql_url: str) -> None:
    assert len(schema_name(problem).encode()) <= 63
    tables = PostgresqlTables(address=postgresql_url, problem=problem, group=LEDGER)
    with tables.write() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_namespace WHERE nspname = :name"),
                                  {"name": tables.schema}).scalar() == 1  # fmt: skip
