"""Predict rows with a model folder of `headrace automl`: JSON rows in, answers out, each logged before it is returned.

A request has the columns of the training table, without keys and stored features. Its values are those of JSON:
numbers, texts, true, false, null; dates are ISO texts, or texts as in training; clock times are texts or seconds;
truth values may be texts such as "True", which clients send that read them from CSV files.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, HeadraceError, UnavailableError
from headrace.core.fingerprint import file_digest
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.serving.answers import new_id
from headrace.serving.flags import MAX_LENGTH, MAX_UNKNOWN, UNKNOWN_FIELD
from headrace.serving.values import check_value

if TYPE_CHECKING:
    import pandas as pd

    from headrace.automl.ensemble.model import TableModel
    from headrace.automl.table.columns import Column

#: Kinds of columns of a table as kinds of request values.
_KINDS = {"number": "numeric", "category": "categorical", "text": "text"}

#: Texts of truth values, in lower case.
_TRUTHS = {"true": 1.0, "false": 0.0}
#: Kind of a column -> a value of it.
_EXAMPLES = {"number": 1.0, "category": "text", "text": "some words", "date": "2013-05-01T12:00:00Z"}


@dataclass(frozen=True, kw_only=True)
class TableAnswer:
    """One answer.

    Attributes:
        id: Its id in the log.
        made_us: Instant, microseconds UTC.
        model_version: Digest of the model folder's manifest, 12 characters.
        value: The probability of the second of two classes, or the number; None for several classes and quantiles.
        prediction: The class or the number; None for quantiles.
        probabilities: Class -> probability; empty for numbers.
        quantiles: Level -> quantile; empty where none are predicted.
        flags: `unknown_field:NAME` for each field that is no column.
    """

    id: str
    made_us: int
    model_version: str
    value: float | None
    prediction: Any
    probabilities: Mapping[str, float]
    quantiles: Mapping[str, float]
    flags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TableCall:
    """The validated rows of one call.

    Attributes:
        rows: The rows as received.
        values: Their values in the order of the columns.
        flags: Flags of each row.
    """

    rows: tuple[Mapping[str, Any], ...]
    values: tuple[tuple[Any, ...], ...]
    flags: tuple[tuple[str, ...], ...]


class TablePredictor:
    """Predicts rows of one table. Thread-safe.

    Args:
        folder: Model folder of `headrace automl`; its manifest is checked.
        log: Where answers are written.
        now: Returns the present, microseconds UTC.

    Attributes:
        model: The model.
        version: Digest of the folder's manifest, 12 characters.
        columns: Column -> kind.

    Raises:
        CorruptError: A file of the folder was changed.
        NotFoundError: The folder has no model.
    """

    def __init__(
        self, folder: Path, log: PredictionLog, *, now: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        from headrace.automl.bundle import load_model

        self.model: TableModel = load_model(folder)
        self.version = file_digest(folder / "manifest.json")[:12]
        self.columns = {column.name: column.kind for column in self.model.cleaner.used}
        self.log = log
        self._used = {column.name: column for column in self.model.cleaner.used}
        self._ignored = {column.name for column in self.model.cleaner.columns} - set(self.columns)
        self._now = now
        self._predicting = threading.Lock()

    @property
    def target(self) -> str:
        """The predicted column, as far as it is known."""
        return str(self.model.facts.get("target", "target"))

    def example(self) -> dict[str, Any]:
        """Return a row to try, of the right columns and types; its values are no one's."""
        return {name: "12:30" if column.clock else _EXAMPLES[column.kind] for name, column in self._used.items()}

    def predict(self, rows: Sequence[Mapping[str, Any]], *, strict: bool = False) -> list[TableAnswer]:
        """Predict rows; all are logged, or none.

        Args:
            rows: Column -> JSON value.
            strict: Refuse rows with unknown fields instead of flagging them.

        Raises:
            DataError: A row lacks a column, or has a wrong value.
            UnavailableError: The log cannot be written.
        """
        (outcome,) = self.answer([self.check(rows, strict=strict)])
        if isinstance(outcome, HeadraceError):
            raise outcome
        return outcome

    def check(self, rows: Sequence[Mapping[str, Any]], *, strict: bool = False) -> TableCall:
        """Validate the rows of one call; raises as `predict`."""
        flags = tuple(self._flags(row, _location(position, rows), strict) for position, row in enumerate(rows))
        values = tuple(self._values(row, _location(position, rows)) for position, row in enumerate(rows))
        return TableCall(rows=tuple(rows), values=values, flags=flags)

    def answer(self, calls: Sequence[TableCall]) -> list[list[TableAnswer] | HeadraceError]:
        """Predict several calls as one table, which costs little more than one row, and log them in one transaction.

        Returns:
            For each call its answers, or the error that it would raise alone.
        """
        rows = [row for call in calls for row in call.rows]
        flags = [flag for call in calls for flag in call.flags]
        frame = self._frame([values for call in calls for values in call.values])
        with self._predicting:
            predicted = self.model.predict(frame)
        made_us = self._now()
        answers = [self._answer(p, made_us, flag) for p, flag in zip(predicted, flags, strict=True)]
        try:
            self._append(rows, answers)
        except HeadraceError as error:
            return [error] * len(calls)
        each = iter(answers)
        return [list(itertools.islice(each, len(call.rows))) for call in calls]

    def _flags(self, row: Mapping[str, Any], where: str, strict: bool) -> tuple[str, ...]:
        unknown = [name for name in row if name not in self.columns and name not in self._ignored]
        if unknown and strict:
            raise DataError(
                f"unknown field {', '.join(name[:MAX_LENGTH] for name in unknown[:MAX_UNKNOWN])}",
                where=where,
                found=sorted(self.columns),
                fix="leave it out, or send the request without strict",
            )
        return tuple(f"{UNKNOWN_FIELD}:{name[:MAX_LENGTH]}" for name in unknown[:MAX_UNKNOWN])

    def _values(self, row: Mapping[str, Any], where: str) -> tuple[Any, ...]:
        """Return the checked values of a row in the order of the columns."""
        missing = [name for name in self.columns if name not in row]
        if missing:
            raise DataError(
                f"{len(missing)} columns are missing",
                where=where,
                found=missing,
                fix="send null for it",
            )
        return tuple(_value(row[name], column, f"{where}, {name}") for name, column in self._used.items())

    def _frame(self, values: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
        import pandas as pd

        columns = zip(self.columns, zip(*values, strict=True), strict=True)
        return pd.DataFrame({name: pd.Series(list(column), dtype=object) for name, column in columns})

    def _answer(self, p: Any, made_us: int, flags: tuple[str, ...]) -> TableAnswer:
        value, prediction, probabilities, quantiles = self._outputs(p)
        return TableAnswer(
            id=new_id(), made_us=made_us, model_version=self.version, value=value, prediction=prediction,
            probabilities=probabilities, quantiles=quantiles, flags=flags,
        )  # fmt: skip

    def _outputs(self, p: Any) -> tuple[float | None, Any, dict[str, float], dict[str, float]]:
        """Return value, prediction, probabilities and quantiles of a row, as a `TableAnswer` has them."""
        task = self.model.task
        if task.kind == "quantile":
            return None, None, {}, {f"{level:g}": float(value) for level, value in zip(task.quantiles, p, strict=True)}
        if not task.classification:
            return float(p[0]), float(p[0]), {}, {}
        binary = task.kind == "binary"
        every = [1 - float(p[0]), float(p[0])] if binary else [float(value) for value in p]
        chosen = int(every[1] >= self.model.calibration.threshold) if binary else every.index(max(every))
        probabilities = {str(name): value for name, value in zip(task.classes, every, strict=True)}
        return every[1] if binary else None, task.classes[chosen], probabilities, {}

    def _append(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[TableAnswer]) -> None:
        """Log answers; UnavailableError with a reason that clients may see where that fails."""
        try:
            self.log.append([self._log_row(row, answer) for row, answer in zip(rows, answers, strict=True)])
        except (HeadraceError, sqlite3.Error, OSError) as error:
            reason = error.what if isinstance(error, HeadraceError) else str(error)
            raise UnavailableError(
                "the prediction could not be logged, so it is not given",
                where=self.target,
                found=[reason],
                fix="see that the disk is writable and not full",
            ) from error

    def _log_row(self, row: Mapping[str, Any], answer: TableAnswer) -> Prediction:
        return Prediction(
            id=answer.id,
            cutoff_us=answer.made_us,
            made_us=answer.made_us,
            model_version=self.version,
            join_keys={},
            probability=answer.value,
            source="api",
            request={name: row[name] for name in self.columns},
            features={**answer.probabilities, **answer.quantiles},
        )


def _value(value: Any, column: Column, where: str) -> Any:
    """Check a JSON value and return it as the cleaner reads it."""
    kind = column.kind
    if value is None:
        return None
    if kind == "number" and isinstance(value, bool):
        return float(value)
    if column.truth and isinstance(value, str) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    if column.clock and isinstance(value, str):
        return _clock(value, where)
    if kind == "category" and isinstance(value, bool | float):
        return value  # the cleaner spells it as in training
    if kind == "date":
        return _date(value, column, where)
    return check_value(_KINDS[kind], value, where)  # type: ignore[arg-type]


def _clock(value: str, where: str) -> str:
    import pandas as pd

    from headrace.automl.table.times import clock_seconds

    if pd.isna(clock_seconds(pd.Series([value]))[0]):
        raise DataError("must be a clock time, seconds, or null", where=where, found=[value[:60]])
    return value


def _date(value: Any, column: Column, where: str) -> Any:
    import pandas as pd

    from headrace.automl.table.times import beyond_range, parse_dates

    if not isinstance(value, str):
        return _no_date(value, where)
    if beyond_range(pd.Series([value]))[0]:
        return None  # as in training
    if column.day_first:
        at = parse_dates(pd.Series([value]), day_first=True)[0]
        return _no_date(value, where) if pd.isna(at) else at.isoformat()
    try:
        return pd.to_datetime(value, utc=True).isoformat()
    except (ValueError, OverflowError):
        return _no_date(value, where)


def _no_date(value: Any, where: str) -> Any:
    raise DataError("must be an ISO date or time, or null", where=where, found=[str(value)[:60]])


def _location(position: int, rows: Sequence[object]) -> str:
    return "request" if len(rows) == 1 else f"row {position}"
