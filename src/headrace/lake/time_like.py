"""Find the columns that hold times, from their types, values and names; for `headrace check` and `headrace init`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

#: Distinct values of a text column that are looked at.
_SAMPLE = 300
_YEAR_NAME = re.compile(r"(?:^|_|[a-z])(?:[Yy]ear|[Yy]r)(?:_?(?:id|ID|Id))?$|^year|^season$|^yr$", re.ASCII)
_DAY_NAME = re.compile(r"date|day|time|stamp|_at$|_on$|At$|On$", re.ASCII)


#: Names of times that come after the row that holds them.
LATE_NAME = re.compile(
    r"death|died|dead|end|clos|cancel|return|left|leave|final|last|resol|settl|exit|churn|complet|deliver|paid|arriv"
    r"|finish|discharg|updat|modif|expir|refund|result|outcome|until",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class TimeLike:
    """How a column that holds times is written.

    Attributes:
        unit: "instant", "date", "month" or "year": what a value tells.
        zoned: Whether values have a zone; true for epoch numbers.
    """

    unit: str
    zoned: bool = False

    @property
    def resolution(self) -> str | None:
        """The resolution that a table with such times declares."""
        return {"date": "1d", "month": "1mo", "year": "1y"}.get(self.unit)


def time_like(name: str, column: pa.ChunkedArray) -> TimeLike | None:
    """How the times of a column are written; None for a column without times.

    Whole numbers count as years, compact dates or epoch numbers only where the column's name says so.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None and _is_midnight(column):
            return TimeLike(unit="date")
        return TimeLike(unit="instant", zoned=kind.tz is not None)
    if pa.types.is_date(kind):
        return TimeLike(unit="date")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_texts([text for text in pc.unique(column).to_pylist() if text is not None][:_SAMPLE])
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _of_numbers(name, column)
    return None


def _is_midnight(column: pa.ChunkedArray) -> bool:
    """Whether every naive time is a midnight: dates, as pandas and spreadsheets write them."""
    values = column.drop_null()
    if not len(values):
        return False
    return bool(pc.all(pc.equal(values, pc.floor_temporal(values, unit="day"))).as_py())


def _of_texts(texts: list[str]) -> TimeLike | None:
    moments = []
    for text in texts:
        if re.fullmatch(r"\d{4}-\d{2}", text.strip()):
            return TimeLike(unit="month") if all(re.fullmatch(r"\d{4}-\d{2}", item) for item in texts) else None
        if not re.match(r"^\d{4}-?\d{2}-?\d{2}", text.strip()):
            return None
        try:
            moments.append((datetime.fromisoformat(text.strip()), len(text.strip())))
        except ValueError:
            return None
    if not moments:
        return None
    if all(length <= len("2024-01-01") for _, length in moments):
        return TimeLike(unit="date")
    return TimeLike(unit="instant", zoned=all(moment.tzinfo is not None for moment, _ in moments))


def _of_numbers(name: str, column: pa.ChunkedArray) -> TimeLike | None:
    values = column.drop_null()
    if not len(values):
        return None
    limits = pc.min_max(values).as_py()
    low, high = limits["min"], limits["max"]
    if low != low or high != high or int(low) != low or int(high) != high:
        return None
    if _YEAR_NAME.search(name) and low >= 1500 and high <= 2200:
        return TimeLike(unit="year")
    if _DAY_NAME.search(name.lower()) or _DAY_NAME.search(name):
        if low >= 19_000_000 and high < 22_000_000:
            return TimeLike(unit="date")
        if any(bottom <= low and high < top for bottom, top in _EPOCHS):
            return TimeLike(unit="instant", zoned=True)
    return None


_EPOCHS = ((10**8, 5 * 10**9), (10**11, 5 * 10**12), (10**14, 5 * 10**15), (10**17, 5 * 10**18))
