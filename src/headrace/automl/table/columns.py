"""The kind of each column of a table: number, category, text, date or unused; inferred from its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from headrace.automl.table.times import beyond_range, clock_seconds, is_day_first, parse_dates

Kind = Literal["number", "category", "text", "date", "unused"]

#: Share of the values that must parse for a text column to become numbers or dates.
_PARSED_SHARE = 0.95
#: A text column with this mean number of words, and mostly distinct values, is text rather than a category.
_TEXT_WORDS = 3.0
_TEXT_DISTINCT_SHARE = 0.3
#: Values that are looked at.
_SAMPLE = 5_000
#: Full years that a time stamp in nanoseconds can hold.
_FIRST_YEAR, _LAST_YEAR = pd.Timestamp.min.year + 1, pd.Timestamp.max.year - 1


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: What its values are.
        reason: Why it is unused, or how it was converted; "" otherwise.
        levels: Number of different values of a category in training.
        day_first: Whether its dates are texts with the day before the month.
        clock: Whether its numbers are seconds of clock times.
        truth: Whether its numbers are truth values.
    """

    name: str
    kind: Kind
    reason: str = ""
    levels: int = 0
    day_first: bool = False
    clock: bool = False
    truth: bool = False


def infer_columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Infer the kinds of all columns from a training table [n, d]."""
    return tuple(_infer(str(name), frame[name]) for name in frame.columns)


def _infer(name: str, values: pd.Series) -> Column:
    present = values.dropna()
    if pd.api.types.is_float_dtype(present):
        present = present[np.isfinite(present.astype(np.float64))]
    if not len(present):
        return Column(name=name, kind="unused", reason="all values are missing")
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name=name, kind="date")
    if pd.api.types.is_timedelta64_dtype(values):
        return Column(name=name, kind="number", reason="durations in seconds")
    if pd.api.types.is_numeric_dtype(values):
        if present.nunique() == 1 and len(present) == len(values):
            return Column(name=name, kind="unused", reason="constant")
        return Column(name=name, kind="number", truth=pd.api.types.is_bool_dtype(values))
    return _infer_text(name, present, complete=len(present) == len(values))


def _infer_text(name: str, present: pd.Series, *, complete: bool) -> Column:
    texts = present.astype(str)
    levels = int(texts.nunique())
    if levels == 1 and complete:
        return Column(name=name, kind="unused", reason="constant")
    if not isinstance(present.dtype, pd.CategoricalDtype):
        sample = texts.sample(min(len(texts), _SAMPLE), random_state=0)
        if pd.to_numeric(sample, errors="coerce").notna().mean() >= _PARSED_SHARE:
            return Column(name=name, kind="number", reason="texts that are numbers")
        if np.isfinite(clock_seconds(sample)).mean() >= _PARSED_SHARE:
            return Column(name=name, kind="number", reason="clock times in seconds", clock=True)
        dates, beyond = parse_dates(sample).notna(), beyond_range(sample)
        if dates.any() and (dates | beyond).mean() >= _PARSED_SHARE:
            day_first = is_day_first(texts)
            missing = f", missing where before {_FIRST_YEAR} or after {_LAST_YEAR}" * bool(beyond.any())
            reason = f"texts that are dates{', day before month' * day_first}{missing}"
            return Column(name=name, kind="date", reason=reason, day_first=day_first)
        words = sample.str.split().str.len().mean()
        if words >= _TEXT_WORDS and sample.nunique() >= _TEXT_DISTINCT_SHARE * len(sample) and levels > 20:
            return Column(name=name, kind="text")
    mixed = len({type(value) for value in present.iloc[:_SAMPLE]}) > 1
    return Column(name=name, kind="category", levels=levels, reason="values of several types, read as text" * mixed)
