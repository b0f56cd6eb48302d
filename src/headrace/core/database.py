"""Small SQLite files that many threads and processes write: short BEGIN IMMEDIATE transactions, WAL, synchronous=FULL.

A change is there whole and for good, or not at all, whoever else is writing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_BUSY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Database:
    """One file. schema: CREATE TABLE IF NOT EXISTS statements; last: the table that the last of them makes, by which a
    file that has them all is known."""

    path: Path
    schema: str
    last: str

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to look with. Reading makes no file: where there is none yet, empty tables are read."""
        with closing(self._open(self.path if self.path.exists() else ":memory:")) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _open(self, path: Path | str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self.last,)).fetchone():
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(self.schema)
        return connection
