"""Convert tables of users to columns of known kinds: numbers without infinities, texts, dates in UTC.

A `Cleaner` is fitted on the training table; it converts every later table in the same way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.table.columns import Column, infer_columns
from headrace.automl.table.times import clock_seconds, parse_dates
from headrace.core.errors import DataError

#: Fewest rows to train on.
MIN_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """The columns of a training table, and their conversion.

    Attributes:
        columns: All columns in order; unused ones too.
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, frame: pd.DataFrame, *, ignore: tuple[str, ...] = ()) -> Cleaner:
        """Infer the columns of a training table [n, d].

        Args:
            frame: The table without its target.
            ignore: Columns that must not be features.

        Raises:
            DataError: Two columns have one name, or no column can be used.
        """
        require_distinct_names(frame)
        columns = tuple(
            Column(name=column.name, kind="unused", reason="ignored") if column.name in ignore else column
            for column in infer_columns(frame)
        )
        if all(column.kind == "unused" for column in columns):
            raise DataError(
                "no column can be used",
                where="table",
                found=[f"{column.name} ({column.reason})" for column in columns],
                fix="give columns that vary",
            )
        return cls(columns=columns)

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that are features."""
        return tuple(column for column in self.columns if column.kind != "unused")

    def names(self, kind: str) -> list[str]:
        """Return the names of the columns of one kind."""
        return [column.name for column in self.columns if column.kind == kind]

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Convert a table: numbers are float64 with NaN, categories and texts str or None, dates datetime64 or NaT.

        Raises:
            DataError: A column of the training table is missing.
        """
        require_distinct_names(frame)
        given = {str(name): name for name in frame.columns}
        missing = [column.name for column in self.used if column.name not in given]
        if missing:
            raise DataError(f"{len(missing)} columns are missing", where="table", found=missing)
        converted = {column.name: _converted(column, frame[given[column.name]]) for column in self.used}
        return pd.DataFrame(converted, index=pd.RangeIndex(len(frame)))

    def notes(self) -> list[str]:
        """Return one line for each column that is unused or was converted."""
        return [f"column {column.name!r}: {column.kind}, {column.reason}" for column in self.columns if column.reason]


def require_distinct_names(frame: pd.DataFrame) -> None:
    """Check that no two columns have one name.

    Raises:
        DataError: Two columns have one name.
    """
    counts = Counter(str(name) for name in frame.columns)
    duplicates = [name for name, count in counts.items() if count > 1]
    if duplicates:
        raise DataError("two columns have the same name", where="table", found=duplicates, fix="rename one of them")


def require_rows(n_rows: int) -> None:
    """Check that a training table has enough rows.

    Raises:
        DataError: It has fewer than MIN_ROWS.
    """
    if n_rows < MIN_ROWS:
        rows = "1 row" if n_rows == 1 else f"{n_rows} rows"
        raise DataError(
            f"{rows} with a target are too few to train and validate on", where="table", fix=f"give {MIN_ROWS} or more"
        )


def _converted(column: Column, values: pd.Series) -> Any:
    if column.kind == "number":
        if column.clock and not pd.api.types.is_numeric_dtype(values):
            seconds = clock_seconds(values.astype(str))
            return np.where(np.isnan(seconds), _numbers(values), seconds)
        return _numbers(_truth_values(values) if column.truth else values)
    if column.kind == "date":
        if pd.api.types.is_datetime64_any_dtype(values):
            return pd.to_datetime(values, utc=True).dt.tz_localize(None).to_numpy()
        return parse_dates(values.astype(str), day_first=column.day_first).dt.tz_localize(None).to_numpy()
    pairs = zip(values.astype(object).tolist(), values.isna().tolist(), strict=True)
    spelt = [None if missing else value if type(value) is str else _spelling(value) for value, missing in pairs]
    return np.array(spelt, dtype=object)


def _spelling(value: Any) -> str:
    """Return a value as a text; 1.0 as 1, because whole numbers beside missing values are read as floats."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _truth_values(values: pd.Series) -> pd.Series:
    """Return texts such as True as truth values: some readers of CSV files give texts, others truth values."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    truths = values.astype(str).str.strip().str.lower().map({"true": True, "false": False})
    return values.astype(object).where(truths.isna(), truths)


def _numbers(values: pd.Series) -> Any:
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds().to_numpy(dtype=np.float64)
    if not pd.api.types.is_numeric_dtype(values):
        values = pd.to_numeric(values.astype(object), errors="coerce")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):  # beyond float32, which models compute with, is infinite
        return np.where(np.isfinite(numbers.astype(np.float32)), numbers, np.nan)
