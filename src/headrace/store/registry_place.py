"""Locate Feast's registry: an SQLite file of the home, or a schema of the PostgreSQL that HEADRACE_DATABASE_URL names.

The registry mirrors what is published (`store.published`), so a registry that cannot be used is made again from that.
Nothing here imports Feast, which takes seconds: a stage asks on every run whether its service is registered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headrace.core.errors import CorruptError, UnavailableError
from headrace.core.settings import settings
from headrace.core.sqlite_files import accepts_writes, failure, is_refused_by_header, require_sound, set_aside

#: The schema of the registry's tables in PostgreSQL. Those of problems begin with `headrace_`.
SCHEMA = "feast_registry"
_SERVICES = "SELECT count(*) FROM {}feature_services WHERE feature_service_name = {}"


class RegistryPlace(Protocol):
    """Where Feast's registry is.

    Attributes:
        is_shared: Whether other homes use it too: it may then have features that were published after this home's.
    """

    @property
    def is_shared(self) -> bool: ...

    def options(self) -> dict[str, Any]:
        """Return the part of Feast's `registry:` settings that names the place. It may contain a password."""
        ...

    def prepare(self) -> None:
        """Create what Feast does not create itself."""
        ...

    def exists(self) -> bool:
        """Whether there is anything, sound or not."""
        ...

    def is_sound(self) -> bool:
        """Whether the registry exists and can be read."""
        ...

    def accepts_writes(self) -> bool:
        """Whether nothing but its content keeps the registry, which exists, from being written."""
        ...

    def has_service(self, name: str) -> bool:
        """Whether a feature service is registered. The registry is sound."""
        ...

    def set_aside(self) -> None:
        """Keep a damaged registry under another name."""
        ...

    def may_be_damage(self, error: Exception) -> bool:
        """Whether an error that Feast met can come from a value that changed on disk."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Convert errors of the database, also Feast's, to UnavailableError."""
        ...


@dataclass(frozen=True, kw_only=True)
class RegistryFile:
    """A registry in an SQLite file.

    Attributes:
        path: The file.
    """

    path: Path
    is_shared: bool = False

    def options(self) -> dict[str, Any]:
        return {"path": f"sqlite:///{self.path}"}

    def prepare(self) -> None:
        """Do nothing: SQLite creates the file."""

    def exists(self) -> bool:
        return self.path.exists()

    def is_sound(self) -> bool:
        try:
            require_sound(self.path, "", indexes=True)
        except CorruptError:
            return False
        return self.path.exists()

    def accepts_writes(self) -> bool:
        return accepts_writes(self.path)

    def has_service(self, name: str) -> bool:
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
                return bool(connection.execute(_SERVICES.format("", "?"), (name,)).fetchone()[0])
        except sqlite3.DatabaseError:  # a file without tables
            return False

    def set_aside(self) -> None:
        if self.path.exists():
            set_aside(self.path)

    def may_be_damage(self, error: Exception) -> bool:
        """Return False where the disk is full, or the file cannot be used for another reason than its content."""
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps SQLite's errors
        if is_refused_by_header(cause, self.path):
            return True
        return not (isinstance(cause, sqlite3.Error) and isinstance(failure(cause, self.path, ""), UnavailableError))

    @contextmanager
    def translated(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, kw_only=True)
class RegistryInPostgresql:
    """A registry in a schema of PostgreSQL, which all homes of this database share.

    Attributes:
        address: `postgresql://user:password@host:port/database`. A secret.
    """

    address: str
    is_shared: bool = True

    def options(self) -> dict[str, Any]:
        from sqlalchemy.engine import make_url
        from sqlalchemy.pool import NullPool

        url = make_url(self.address).set(drivername="postgresql+psycopg")
        # Feast never disposes of its engine: a pool would leave connections open for each store that was opened.
        engine = {"poolclass": NullPool, "connect_args": {"options": f"-csearch_path={SCHEMA}"}}
        return {"path": url.render_as_string(hide_password=False), "sqlalchemy_config_kwargs": engine}

    def prepare(self) -> None:
        from sqlalchemy import text

        with self.translated(), self._engine().begin() as connection:
            # Two processes that create one schema at the same moment would fail.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": SCHEMA})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))

    def exists(self) -> bool:
        return self.is_sound()

    def is_sound(self) -> bool:
        from sqlalchemy import text

        with self.translated(), self._engine().connect() as connection:
            name = {"name": f"{SCHEMA}.feature_services"}
            return connection.execute(text("SELECT to_regclass(:name)"), name).scalar() is not None

    def accepts_writes(self) -> bool:
        return True

    def has_service(self, name: str) -> bool:
        from sqlalchemy import text

        with self.translated(), self._engine().connect() as connection:
            query = text(_SERVICES.format(f"{SCHEMA}.", ":name"))
            return bool(connection.execute(query, {"name": name}).scalar())

    def set_aside(self) -> None:
        """Do nothing: missing tables are created, and PostgreSQL checks its own files."""

    def may_be_damage(self, error: Exception) -> bool:
        """Return False: PostgreSQL checks its own files."""
        return False

    def translated(self) -> AbstractContextManager[None]:
        from headrace.database.postgresql import place_of, translated

        return translated(place_of(self.address, SCHEMA))

    def _engine(self) -> Any:
        from headrace.database.postgresql import engine

        return engine(self.address)


def registry_place(root: Path, *, database_url: str | None = None) -> RegistryPlace:
    """Locate Feast's registry of a home folder.

    Args:
        root: Home folder.
        database_url: Address of PostgreSQL; None for the setting `database_url`, empty for SQLite in any case.
    """
    address = settings().database_address if database_url is None else database_url
    if address:
        return RegistryInPostgresql(address=address)
    return RegistryFile(path=root.absolute() / "store" / "registry.db")
