"""Queries over the tables of a prediction log, in whichever database they are."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import CorruptError
from headrace.prediction_log.packed_features import FeatureNames
from headrace.prediction_log.rows import CHECKSUM, NAMES, Prediction, checksum, from_row
from headrace.prediction_log.tables import predictions

_COLUMNS = [predictions.c[name] for name in (*NAMES, CHECKSUM)]
_OLDEST_FIRST = (predictions.c.made_us, predictions.c.id)


class PredictionQueries(ABC):
    """What is read from a prediction log. A row whose checksum differs is a CorruptError."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The file, or the database and schema, for messages."""

    @property
    @abstractmethod
    def fix(self) -> str:
        """What to do about damaged rows, for errors."""

    @abstractmethod
    def connected(self) -> AbstractContextManager[Connection]:
        """Yield a connection for reading; errors become HeadraceErrors."""

    @abstractmethod
    def names_of(self, connection: Connection, digest: bytes) -> FeatureNames:
        """Return the names of packed features by their digest."""

    def read(self, since_us: int = BEFORE_ALL, until_us: int = NEVER) -> list[Prediction]:
        """Return the predictions made in [since_us, until_us), oldest first."""
        made = predictions.c.made_us
        return self._predictions(_select(made >= since_us, made < until_us))

    def pages(
        self, since_us: int = BEFORE_ALL, until_us: int = NEVER, *, size: int = 5_000
    ) -> Iterator[list[Prediction]]:
        """Yield the predictions made in [since_us, until_us), oldest first, at most `size` at a time."""
        last = (since_us, "")
        while True:
            later = tuple_(*_OLDEST_FIRST) > last
            page = self._predictions(_select(later, predictions.c.made_us < until_us).limit(size))
            if not page:
                return
            yield page
            last = (page[-1].made_us, page[-1].id)

    def find(self, prefix: str) -> list[Prediction]:
        """Return the prediction with this id; where there is none, up to ten whose id begins so."""
        found = self._predictions(_select(predictions.c.id == prefix))
        if found or not prefix:
            return found
        begins = func.substr(predictions.c.id, 1, len(prefix)) == prefix
        return self._predictions(select(*_COLUMNS).where(begins).order_by(predictions.c.id).limit(10))

    def read_by_cutoff(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """Return a version's answers with a cutoff in [since_us, until_us), oldest first."""
        answers = predictions.c.source != "shadow"
        return self._predictions(_select(*_cutoffs(since_us, until_us, version), answers))

    def shadows(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """Return a version's shadow predictions with a cutoff in [since_us, until_us), oldest first."""
        shadows = predictions.c.source == "shadow"
        return self._predictions(_select(*_cutoffs(since_us, until_us, version), shadows))

    def probabilities(self, since_us: int, until_us: int, *, version: str) -> dict[tuple[Any, ...], float]:
        """Return row key -> probability of a version's scored rows with a cutoff in [since_us, until_us)."""
        statement = _select(*_cutoffs(since_us, until_us, version), predictions.c.source == "score")
        with self.connected() as connection:
            rows = (dict(zip(NAMES, self.verified(row), strict=True)) for row in connection.execute(statement))
            return {tuple(json.loads(row["row_key"])): float(row["probability"]) for row in rows}

    def scored(self) -> int:
        """Return the number of scored rows."""
        return self._count(predictions.c.source == "score")

    def __len__(self) -> int:
        return self._count()

    def verified(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row's values after comparing them with its checksum."""
        *values, known = row
        if known is not None and known != checksum(values):
            what = f"prediction {values[0]!r} is damaged (its checksum differs)"
            raise CorruptError(what, where=self.place, fix=self.fix)
        return tuple(values)

    def _predictions(self, statement: Select[Any]) -> list[Prediction]:
        with self.connected() as connection:
            rows = connection.execute(statement)
            return [from_row(self.verified(row), lambda digest: self.names_of(connection, digest)) for row in rows]

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        with self.connected() as connection:
            return int(
                connection.execute(select(func.count()).select_from(predictions).where(*conditions)).scalar_one()
            )


def _select(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*_COLUMNS).where(*conditions).order_by(*_OLDEST_FIRST)


def _cutoffs(since_us: int, until_us: int, version: str) -> tuple[ColumnElement[bool], ...]:
    return (
        predictions.c.cutoff_us >= since_us,
        predictions.c.cutoff_us < until_us,
        predictions.c.model_version == version,
        predictions.c.probability.is_not(None),
    )
