"""Tables of a group in a PostgreSQL database that several machines share.

Each problem has a schema of its own, `headrace_<problem>`: its tables are those of an SQLite file, a problem can be
dropped, granted and dumped alone, and no statement needs the problem's name. A writing transaction first takes an
advisory lock of the problem and the group, so that transactions of writers follow each other, as in SQLite.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from headrace.core.errors import DeclarationError, UnavailableError
from headrace.database.migrate import migrate, require_known
from headrace.database.table_group import TableGroup

_log = logging.getLogger(__name__)

#: How long a writer waits for another one, and a connection for the server.
LOCK_S, CONNECT_S = 30, 5
_LONGEST_NAME = 63
_LOCK = text(f"SELECT set_config('lock_timeout', '{LOCK_S}s', true), pg_advisory_xact_lock(hashtextextended(:name, 0))")
#: Engines of this process: a child that was forked must not use their connections.
_ENGINES: WeakSet[Engine] = WeakSet()
#: (address, schema, group) whose tables this process has seen at the revision of this release.
_CURRENT: set[tuple[str, str, str]] = set()


def schema_name(problem: str) -> str:
    """Return the name of a problem's schema; a long one is cut and ends with a digest."""
    name = f"headrace_{problem}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"{name.encode()[:46].decode(errors='ignore')}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


#: Engines by address, the one used longest ago first: one that is dropped closes its connections.
_BY_ADDRESS: dict[str, Engine] = {}
_MOST, _GUARD = 4, Lock()


def engine(address: str) -> Engine:
    """Return the process's engine for an address, `postgresql://user:password@host:port/database`.

    Raises:
        DeclarationError: It is no address of PostgreSQL, or psycopg is not installed.
    """
    with _GUARD:
        found = _BY_ADDRESS.pop(address, None) or _new_engine(address)
        _BY_ADDRESS[address] = found  # the one used last is last
        while len(_BY_ADDRESS) > _MOST:
            _BY_ADDRESS.pop(next(iter(_BY_ADDRESS))).dispose()
    return found


def _new_engine(address: str) -> Engine:
    where = "setting HEADRACE_DATABASE_URL"
    try:
        url = make_url(address)
    except ArgumentError:
        raise DeclarationError("is no address", where=where, fix="postgresql://user@host:5432/database") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise DeclarationError(
            "names another database than PostgreSQL",
            where=where,
            found=[url.drivername],
            fix="postgresql://user@host:5432/database; without it, SQLite files in the home are used",
        )
    options = {"connect_timeout": CONNECT_S, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    try:
        made = create_engine(
            url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=2, max_overflow=20,
            connect_args={**options, "application_name": "headrace"},
        )  # fmt: skip
    except (ModuleNotFoundError, NoSuchModuleError):
        raise DeclarationError(
            "PostgreSQL needs psycopg", where=where, fix="install the extra: pip install 'headrace[postgres]'"
        ) from None
    _ENGINES.add(made)
    return made


def place_of(address: str, schema: str) -> str:
    """Return the database without its password, and a schema, for messages."""
    return f"{make_url(address).render_as_string(hide_password=True)} {schema}"


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Convert errors of the connection and of rights to UnavailableError; other errors stay as they are.

    Args:
        place: The database, without its password, for the message.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state[:2] in ("22", "23", "42") and state != "42501":
            raise
        reason = " ".join(str(error.orig).split())[:200]
        raise UnavailableError(
            f"the database cannot be used ({reason})",
            where=place,
            fix="see that PostgreSQL runs, that the address in HEADRACE_DATABASE_URL is right and that its user may"
            " create schemas, then do it again",
        ) from error


def _forget_connections() -> None:
    for one in list(_ENGINES):
        one.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


@dataclass(frozen=True, kw_only=True)
class PostgresqlTables:
    """The tables of a group of one problem.

    Attributes:
        address: Address of the database. It contains a password.
        problem: Name of the problem.
        group: The tables.
    """

    address: str
    problem: str
    group: TableGroup

    @property
    def schema(self) -> str:
        """The problem's schema."""
        return schema_name(self.problem)

    @cached_property
    def place(self) -> str:
        """The database, the schema and the group, without a password, for messages."""
        return f"{place_of(self.address, self.schema)} {self.group.name}"

    def exists(self) -> bool:
        """Return True: the tables are created when they are first used."""
        return True

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees the tables as of one instant.

        Raises:
            UnavailableError: The database cannot be reached or used.
            ConflictError: A newer release wrote the tables.
        """
        with self.translated(), self._connection("REPEATABLE READ") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection with an open transaction, committed at the end of the block. Raises as `read` does."""
        with self.translated(), self._connection("READ COMMITTED") as connection, connection.begin():
            self.lock(connection)
            yield connection

    @contextmanager
    def append(self) -> Iterator[Connection]:
        """As `write`, without waiting for other writers: for rows that nobody changes."""
        with self.translated(), self._connection("READ COMMITTED") as connection, connection.begin() as transaction:
            yield connection
            if not transaction.is_active:  # the block rolled it back
                return

    def lock(self, connection: Connection) -> None:
        """Wait for other writers of the group; until the end of the transaction no other one writes."""
        connection.execute(_LOCK, {"name": f"{self.schema} {self.group.name}"})

    def translated(self) -> AbstractContextManager[None]:
        """Convert errors of the connection and of rights to UnavailableError; other errors stay as they are."""
        return translated(self.place)

    @contextmanager
    def _connection(self, isolation: Any) -> Iterator[Connection]:
        self._require_tables()
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level=isolation)

    @cached_property
    def engine(self) -> Engine:
        """The engine; tables without a schema are those of the problem's schema."""
        return engine(self.address).execution_options(schema_translate_map={None: self.schema})

    def _require_tables(self) -> None:
        """Create or migrate the tables, one process at a time; a process looks once."""
        key = (self.address, self.schema, self.group.name)
        if key in _CURRENT:
            return
        with self.engine.begin() as connection:
            self.lock(connection)
            revision = self._revision(connection)
            require_known(self.group, revision, where=self.place)
            if revision != self.group.revision:
                self._prepare(connection, revision)
        _CURRENT.add(key)

    def _revision(self, connection: Connection) -> str | None:
        name = f'"{self.schema}".{self.group.version_table}'
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
            return None
        found = connection.execute(text(f"SELECT version_num FROM {name}")).scalar()
        return None if found is None else str(found)

    def _prepare(self, connection: Connection, revision: str | None) -> None:
        if revision is None:
            # Another group of the problem may create the schema at the same moment.
            connection.execute(_LOCK, {"name": self.schema})
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"'))
        connection.execute(text(f'SET LOCAL search_path TO "{self.schema}"'))
        if revision is None:
            for statement in self.group.statements("postgresql"):
                connection.exec_driver_sql(statement)
            return
        migrate(connection, self.group)
        _log.info("%s: migrated from %s to %s", self.place, revision, self.group.revision)
