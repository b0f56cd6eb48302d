"""Dates and clock times in columns of texts: which order of day and month a column has, and what is no date."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

#: Digits and dots alone are a number or a version; with a year of four digits they are a date.
_NUMBER, _DOTTED = r"[\d.\s]*", r"\s*\d{1,2}\.\d{1,2}\.\d{4}\s*"
#: Texts that pandas reads as an instant of the present day.
_TODAY = r"\s*(?:now|today|\d{1,2}:[\d:.]*\s*(?:[a-z]{2,5}|[+-]\d{2}:?\d{2})?)\s*"
#: Day and month, or month and day, before a year.
_BEFORE_YEAR = r"\s*(\d{1,2})([/.-])(\d{1,2})\2(?:\d{4}|\d{2})(?!\d)"
#: A year of four digits.
_YEAR = r"(?<!\d)(\d{4})(?!\d)"
_CLOCK = r"\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*([ap]m)?\s*"


def parse_dates(texts: pd.Series, *, day_first: bool = False) -> pd.Series:
    """Parse texts as dates in UTC; what is no date is NaT.

    Digits alone are no date, and neither is what names an instant of the present day only: a clock time, `now`.

    Args:
        texts: Texts [n].
        day_first: Whether 3/4/2024 is the third of April. Texts that begin with the year are read alike in both cases.
    """
    no_date = texts.str.fullmatch(_NUMBER, na=False) & ~texts.str.fullmatch(_DOTTED, na=False)
    no_date |= texts.str.fullmatch(_TODAY, flags=re.IGNORECASE, na=False)
    candidates = texts.where(~no_date)
    if not day_first:
        return _parsed(candidates)
    before_year = candidates.str.match(_BEFORE_YEAR, na=False)  # pandas would also swap month and day of ISO dates
    return _parsed(candidates.where(~before_year)).fillna(_parsed(candidates.where(before_year), day_first=True))


def _parsed(texts: pd.Series, *, day_first: bool = False) -> pd.Series:
    """Parse each text in its own format; first all in that of the first with a clock: a tenth of the time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns that it guesses the format
        form = _clock_format(texts, day_first=day_first)
        if form is None:
            return pd.to_datetime(texts, errors="coerce", utc=True, format="mixed", dayfirst=day_first)
        parsed = pd.to_datetime(texts, errors="coerce", utc=True, format=form)
        others = parsed.isna() & texts.notna()
        if not others.any():
            return parsed
        each = pd.to_datetime(texts.where(others), errors="coerce", utc=True, format="mixed", dayfirst=day_first)
        return parsed.where(~others, each)


def _clock_format(texts: pd.Series, *, day_first: bool) -> str | None:
    """Return the format of the first text with a digit, if it is a date and a clock time without a named zone.

    None also where others may have another order of day and month, as after 13/4/2024 in a column whose months are
    first. Pandas parses years first, and dates alone, fast without it.
    """
    from pandas.tseries.api import guess_datetime_format  # type: ignore[attr-defined]  # pandas-stubs lacks it

    first = next((str(text) for text in texts if any(sign.isdigit() for sign in str(text))), None)
    form: str | None = None if first is None else guess_datetime_format(first, dayfirst=day_first)
    usable = form is not None and form.startswith("%d" if day_first else "%m") and "%H" in form and "%Z" not in form
    return form if usable else None


def beyond_range(texts: pd.Series) -> Any:
    """Whether texts are dates that a nanosecond time stamp cannot hold, such as 9999-12-31 for "never" [n].

    `parse_dates` makes them missing. Such a text is a date if it is one in the year 2000.
    """
    years = texts.str.extract(_YEAR)[0].astype(np.float64)
    beyond = (years <= pd.Timestamp.min.year) | (years >= pd.Timestamp.max.year)
    if not beyond.any():
        return beyond.to_numpy()
    in_range = parse_dates(texts.where(beyond).str.replace(_YEAR, "2000", n=1, regex=True))
    return (in_range.notna() & parse_dates(texts).isna()).to_numpy()


def is_day_first(texts: pd.Series) -> bool:
    """Whether the dates of a column have the day before the month.

    A field above 12 is a day. Where no date has one, dates with dots have the day first, and others the month.
    """
    fields = texts.str.extract(f"^{_BEFORE_YEAR}").dropna()
    first, second = fields[0].astype(int), fields[2].astype(int)
    if (first > 12).any() or (second > 12).any():
        return bool((first > 12).sum() > (second > 12).sum())
    return bool(len(fields)) and bool((fields[1] == ".").mean() > 0.5)


def clock_seconds(texts: pd.Series) -> Any:
    """Parse clock times such as 7:05, 12:30:01.5 or 1:00 PM as seconds since midnight [n]; NaN for what is none."""
    fields = texts.str.extract(f"^{_CLOCK}$", flags=re.IGNORECASE)
    hours, minutes = fields[0].astype(np.float64), fields[1].astype(np.float64)
    seconds = fields[2].astype(np.float64).fillna(0.0)
    half = fields[3].str.lower()
    hours = hours.where(half.isna(), hours % 12 + 12 * (half == "pm"))
    return (3_600 * hours + 60 * minutes + seconds).to_numpy(dtype=np.float64)
