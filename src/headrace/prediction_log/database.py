"""The prediction log of one problem in PostgreSQL, where several machines write and read it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from headrace.core.errors import CorruptError
from headrace.database.postgresql import PostgresqlTables
from headrace.prediction_log.packed_features import FeatureNames, names_by_digest
from headrace.prediction_log.queries import PredictionQueries
from headrace.prediction_log.rows import CHECKSUM, NAMES, PROBE, to_row
from headrace.prediction_log.tables import PREDICTIONS, feature_names, predictions

_STORED = (*NAMES, CHECKSUM)
_INSERT = insert(predictions).on_conflict_do_nothing()
_INSERT_NAMES = insert(feature_names).on_conflict_do_nothing()


class PredictionDatabase(PredictionQueries):
    """The log of one problem. Safe for many threads, processes and machines.

    Args:
        address: Address of the database.
        problem: Name of the problem.
    """

    def __init__(self, address: str, problem: str) -> None:
        self._tables = PostgresqlTables(address=address, problem=problem, group=PREDICTIONS)
        self._names: dict[bytes, FeatureNames] = {}

    @property
    def place(self) -> str:
        """The database and schema, for messages."""
        return self._tables.place

    @property
    def fix(self) -> str:
        """What to do about damaged rows, for errors."""
        return "bring the table back from a backup"

    def insert(self, values: Sequence[tuple[Any, ...]], names: Collection[FeatureNames]) -> int:
        """Write rows in one transaction, durable on return; returns the number of new ones.

        Args:
            values: Values of each row in the order of `STORED`.
            names: Names of their packed features.
        """
        if not values:
            return 0
        new = {one.digest: one for one in names if one.digest not in self._names}
        with self._tables.append() as connection:
            if new:
                rows = [{"digest": digest, "content": one.content} for digest, one in new.items()]
                connection.execute(_INSERT_NAMES, rows)
            rows = [dict(zip(_STORED, row, strict=True)) for row in values]
            added = connection.execute(_INSERT, rows, execution_options={"preserve_rowcount": True}).rowcount
        self._names.update(new)
        return int(added)

    def check_writable(self) -> None:
        """Check that an append would succeed, without adding a row; raises what it would raise."""
        with self._tables.append() as connection:
            connection.execute(_INSERT, [dict(zip(_STORED, to_row(replace(PROBE, id=uuid.uuid4().hex)), strict=True))])
            connection.rollback()

    def connected(self) -> AbstractContextManager[Connection]:
        """Yield a connection for reading."""
        return self._reading()

    def writing(self) -> AbstractContextManager[Connection]:
        """Yield a connection with an open transaction, committed at the end of the block."""
        return self._tables.write()

    def names_of(self, connection: Connection, digest: bytes) -> FeatureNames:
        """Return the names of packed features by their digest."""
        if digest not in self._names:
            rows = [(bytes(row.digest), row.content) for row in connection.execute(select(feature_names))]
            self._names.update(names_by_digest(rows, self.place))
        if digest not in self._names:
            raise CorruptError("the prediction log lacks the names of features", where=self.place, fix=self.fix)
        return self._names[digest]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._tables.read() as connection:
            yield connection
