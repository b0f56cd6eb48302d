"""Guess how rows must be validated, from the table and, where there are some, from the rows to predict."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from headrace.automl.table.cleaning import Cleaner
from headrace.core.errors import DeclarationError

Mode = Literal["auto", "random", "group", "time"]
MODES = ("auto", "random", "group", "time")

#: Names of columns that tell which person or thing a row belongs to.
_ENTITY = re.compile(
    r"(^|_)(id|subject|patient|user|customer|client|household|person|device|store|site)s?(_?id)?$", re.IGNORECASE
)
#: Names of number columns that hold times.
_TIME = re.compile(r"(^|_)(date|time|timestamp|datetime|epoch|instant|year)s?$", re.IGNORECASE)
#: Share of neighbouring rows in the right order for a table that is sorted by time.
_SORTED_SHARE = 0.99
#: Share of the levels of a group column in the rows to predict that training lacks, for grouped validation.
_NEW_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How rows are validated.

    Attributes:
        mode: "random", "group" or "time".
        column: The column of the groups or the times; "" for "random", or where they were given as an array.
        reason: Why.
    """

    mode: Mode
    column: str = ""
    reason: str


def decide_validation(
    cleaned: pd.DataFrame,
    cleaner: Cleaner,
    *,
    mode: Mode,
    time: str | None,
    groups: str | None,
    to_predict: pd.DataFrame | None = None,
) -> Decision:
    """Return the requested way to validate, or guess it.

    Args:
        cleaned: Training rows [n, d], cleaned.
        cleaner: Their columns.
        mode: The request.
        time: Column of times, where the user names one.
        groups: Column of groups, where the user names one.
        to_predict: Cleaned rows to predict, where they are known.

    Raises:
        DeclarationError: The mode or a column is unknown, a mode lacks its column, or the column of times is a text.
    """
    if mode not in MODES:
        raise DeclarationError(f"no validation {mode!r}", where="validation", found=MODES)
    for name in (time, groups):
        if name is not None and name not in cleaned:
            raise DeclarationError(f"no column {name!r} that varies", where="validation", found=cleaned.columns)
    if mode == "random":
        return Decision(mode="random", reason="requested")
    if time is not None and mode in ("auto", "time"):
        _require_order(cleaner, time)
        return Decision(mode="time", column=time, reason=f"the column of times is {time!r}")
    if groups is not None and mode in ("auto", "group"):
        return Decision(mode="group", column=groups, reason=f"the column of groups is {groups!r}")
    guessed = _guess_time(cleaned, cleaner, to_predict) or _guess_group(cleaned, cleaner, to_predict)
    if guessed is not None and mode in ("auto", guessed.mode):
        return guessed
    if mode in ("time", "group"):
        raise DeclarationError(
            f"no column of {'times' if mode == 'time' else 'groups'} was found",
            where="validation",
            found=cleaned.columns,
            fix=f"name it: {'time' if mode == 'time' else 'groups'}=...",
        )
    return Decision(mode="random", reason="no column orders the rows by time, and none names a group of rows")


def _require_order(cleaner: Cleaner, name: str) -> None:
    """Check that a column orders rows by time: texts would be in alphabetical order."""
    kind = next(column.kind for column in cleaner.used if column.name == name)
    if kind not in ("date", "number"):
        raise DeclarationError(
            f"the column {name!r} holds neither dates nor numbers, but {'texts' if kind == 'text' else 'categories'}",
            where="validation",
            fix="write its times as ISO dates, such as 2024-12-31, or as numbers",
        )


def _guess_time(cleaned: pd.DataFrame, cleaner: Cleaner, to_predict: pd.DataFrame | None) -> Decision | None:
    clocks = {column.name for column in cleaner.used if column.clock}  # begin again every day
    numbers = [name for name in cleaner.names("number") if _TIME.search(name) and name not in clocks]
    for name in (*cleaner.names("date"), *numbers):
        at = cleaned[name].dropna()
        if at.nunique() < 10:
            continue
        if to_predict is not None and name in to_predict and to_predict[name].min() >= at.max():
            return Decision(mode="time", column=name, reason=f"the rows to predict are later by {name!r}")
        steps = np.diff(pd.factorize(at, sort=True)[0])
        if len(steps) and max(np.mean(steps >= 0), np.mean(steps <= 0)) >= _SORTED_SHARE:
            return Decision(mode="time", column=name, reason=f"the rows are sorted by the time {name!r}")
    return None


def _guess_group(cleaned: pd.DataFrame, cleaner: Cleaner, to_predict: pd.DataFrame | None) -> Decision | None:
    for name in (*cleaner.names("category"), *cleaner.names("number")):
        values = cleaned[name].dropna()
        if not _ENTITY.search(name) or not 2 <= values.nunique() <= len(values) / 2:
            continue
        if to_predict is not None and name in to_predict:
            queried = pd.Index(to_predict[name].dropna().unique())
            new_share = float(np.mean(~queried.isin(values.unique()))) if len(queried) else 0.0
            if new_share >= _NEW_SHARE:
                reason = f"{new_share:.0%} of the values of {name!r} in the rows to predict are new"
                return Decision(mode="group", column=name, reason=reason)
            continue
        if values.nunique() >= 10:
            reason = f"{name!r} names the thing that several rows belong to"
            return Decision(mode="group", column=name, reason=reason)
    return None
