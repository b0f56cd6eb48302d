"""Convert a column of times, as people write them, to instants in UTC; for tables at ingest and for requests.

written as                                      accepted where
times with a zone                               everywhere
times without a zone (pandas' naive ones too)   the table has `tz`
bare dates, 2024-03-01 or 20240301              the table's `resolution` is a day or more
months, 2024-03                                 its resolution is a month or more
years, 2024                                     its resolution is a year or more
seconds to nanoseconds since 1970, as numbers   everywhere; the unit follows from the size, 1973 to 2128

A local time that the clock shows twice is the later instant: what it stamps is known no earlier. (A cutoff takes the
earlier one, `headrace.synthesis.history.known_time`.) One that the clock skips is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.calendar import from_local, parse_period
from headrace.core.clock import DAY, from_us, to_us
from headrace.core.errors import DataError
from headrace.schema import Table

Ints = npt.NDArray[np.int64]
TIMESTAMP = pa.timestamp("us", tz="UTC")

#: Smallest number, first one above, microseconds in one (epoch numbers).
_EPOCHS = ((10**8, 5 * 10**9, 10**6), (10**11, 5 * 10**12, 10**3), (10**14, 5 * 10**15, 1))
_NANOSECONDS = (10**17, 5 * 10**18)
_COMPACT_DATE, _COMPACT_MONTH, _YEAR, _EXCEL = (10**7, 3 * 10**7), (100_000, 300_000), (1000, 3000), (20_000, 80_000)
_PERIODS = ((re.compile(r"^\d{4}-\d{2}$"), "month"), (re.compile(r"^\d{4}$"), "year"))
#: What a value tells -> its length, microseconds, and the resolution to declare.
_UNITS = {"date": (DAY, "1d"), "month": (31 * DAY, "1mo"), "year": (366 * DAY, "1y")}


@dataclass(frozen=True, kw_only=True)
class TimeFormat:
    """How the times of a table's column are read.

    Attributes:
        tz: Zone of times without one; None: they are refused.
        resolution: The table's resolution.
        any_date: Whether dates, months and years are accepted whatever the resolution: nothing is known by them.
    """

    tz: str | None = None
    resolution: str | None = None
    any_date: bool = False

    @classmethod
    def of(cls, table: Table, name: str) -> TimeFormat:
        """The format of a column of a table."""
        return cls(tz=table.tz, resolution=table.resolution, any_date=name not in table.time_columns)

    def accepts(self, unit: str) -> bool:
        """Whether values that tell only a date, month or year are accepted."""
        if self.any_date:
            return True
        return self.resolution is not None and parse_period(self.resolution).longest_us >= _UNITS[unit][0]


def column_instants(column: pa.ChunkedArray, form: TimeFormat, where: str) -> pa.ChunkedArray:
    """Convert a column to instants of type timestamp('us', UTC).

    Args:
        column: Timestamps, dates, texts or numbers [n].
        form: How they are read.
        where: Name of the column, for errors.

    Raises:
        DataError: A value is no time, has no zone, or tells less than a known time needs. Its row is named.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(TIMESTAMP)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None or column.null_count == len(column):
            return column.cast(pa.timestamp(kind.unit, tz=kind.tz or "UTC")).cast(TIMESTAMP, safe=False)
        shown = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return _local(shown, form, where, dates=form.accepts("date") and _are_midnights(shown))
    if pa.types.is_date(kind):
        _require_unit(form, "date", where, "bare dates")
        return _local(column.cast(pa.timestamp("s")).cast(pa.timestamp("us")).cast(pa.int64()), form, where, dates=True)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _by_value(column, lambda value: _read_text(value, form, where, column), form, where)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _by_value(column, lambda value: _read_number(value, form, where, column), form, where)
    raise DataError(
        f"times are needed and the column holds {kind}",
        where=where,
        fix=f"write {where.rpartition('.')[2]!r} as times with their zone, as in 2013-05-01T10:00:00Z",
    )


def value_instant(value: Any, form: TimeFormat, where: str) -> int | None:
    """Convert one value of a request, microseconds UTC; None stays None.

    Raises:
        DataError: As `column_instants` does.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"not a time: {str(value)[:60]!r}", where=where, fix=_ISO)
    try:
        column = pa.chunked_array([pa.array([value])])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        raise DataError("not a time: a value beyond all times", where=where, fix=_ISO) from None
    return int(column_instants(column, form, where).cast(pa.int64())[0].as_py())


_ISO = "write ISO times with their zone, as in 2013-05-01T10:00:00Z"


def _by_value(
    column: pa.ChunkedArray, read: Callable[[Any], tuple[int, bool]], form: TimeFormat, where: str
) -> pa.ChunkedArray:
    """Read each distinct value once: `read` returns microseconds and whether they are the local clock's."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    parsed = [read(value) for value in encoded.dictionary.to_pylist()]
    values = np.array([instant for instant, _ in parsed], dtype=np.int64)
    is_local = np.array([local for _, local in parsed], dtype=np.bool_)
    if is_local.any():
        values[is_local] = _from_clock(values[is_local], form, where)
    return pa.chunked_array([pa.array(values, pa.int64()).take(encoded.indices).cast(TIMESTAMP)])


def _local(shown: pa.ChunkedArray, form: TimeFormat, where: str, *, dates: bool = False) -> pa.ChunkedArray:
    """Instants of what a clock shows (int64 us); bare dates are midnight in UTC where the table has no zone."""
    if form.tz is None and not dates:
        raise DataError(**missing_zone(where.rpartition(".")[2], where))
    known = shown.drop_null()
    values = _from_clock(np.array(known.to_numpy(), dtype=np.int64), form, where)
    filled = np.zeros(len(shown), dtype=np.int64)
    filled[np.array(shown.is_valid().to_numpy(), dtype=np.bool_)] = values
    return pa.chunked_array(
        [pa.array(filled, mask=np.array(shown.is_null().to_numpy(), dtype=np.bool_)).cast(TIMESTAMP)]
    )


def _are_midnights(shown: pa.ChunkedArray) -> bool:
    """Whether naive times are bare dates, as pandas writes them."""
    return bool((np.array(shown.drop_null().to_numpy(), dtype=np.int64) % DAY == 0).all())


def _from_clock(shown: Ints, form: TimeFormat, where: str) -> Ints:
    """Instants of local times; a midnight that the clock skips is the start of its day."""
    try:
        instants = from_local(shown, form.tz, gap="latest")
        within = shown % DAY != 0
        instants[within] = from_local(shown[within], form.tz)
        return instants
    except ValueError:
        first = next(int(value) for value in shown if _is_skipped(value, form.tz))
        raise DataError(
            f"{from_us(first).replace(tzinfo=None)} does not exist in {form.tz}, whose clock skips it",
            where=where,
            fix="declare the zone that the times were written in (tz='UTC'?), or correct the value",
        ) from None


def _is_skipped(shown: Any, tz: str | None) -> bool:
    try:
        from_local(np.array([shown], dtype=np.int64), tz)
    except ValueError:
        return True
    return False


def _read_text(text: str, form: TimeFormat, where: str, column: pa.ChunkedArray) -> tuple[int, bool]:
    stripped = text.strip()
    for pattern, unit in _PERIODS:
        if pattern.match(stripped):
            _require_unit(form, unit, _row(where, column, text), f"{unit}s such as {stripped}")
            return to_us(f"{stripped}-01" if unit == "month" else f"{stripped}-01-01"), form.tz is not None
    try:
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        if re.fullmatch(r"[+-]?\d+(\.\d+)?", stripped):
            return _read_number(float(stripped) if "." in stripped else int(stripped), form, where, column, text)
        _not_a_time(text, where, column)
    if moment.tzinfo is not None:
        return to_us(moment), False
    if len(stripped) in (8, 10) and "T" not in stripped and ":" not in stripped:
        _require_unit(form, "date", _row(where, column, text), "bare dates")
        return to_us(moment.replace(tzinfo=UTC)), form.tz is not None
    if form.tz is None:
        raise DataError(**missing_zone(where.rpartition(".")[2], f"{_row(where, column, text)} ({text})"))
    return to_us(moment.replace(tzinfo=UTC)), True


def _read_number(
    number: float, form: TimeFormat, where: str, column: pa.ChunkedArray, text: str | None = None
) -> tuple[int, bool]:
    value = number if text is None else text
    if isinstance(number, float) and not np.isfinite(number):
        _not_a_time(value, where, column)
    for low, high, factor in _EPOCHS:
        if low <= number < high:
            return round(number * factor), False
    if _NANOSECONDS[0] <= number < _NANOSECONDS[1]:
        return int(number) // 1000, False
    for (low, high), unit in ((_COMPACT_DATE, "date"), (_COMPACT_MONTH, "month"), (_YEAR, "year")):
        if low <= number < high and number == int(number):
            return _compact(int(number), unit, value, form, where, column), form.tz is not None
    hint = " (a spreadsheet's day number?)" if _EXCEL[0] <= number < _EXCEL[1] else ""
    _not_a_time(value, where, column, hint)


def _compact(number: int, unit: str, value: Any, form: TimeFormat, where: str, column: pa.ChunkedArray) -> int:
    digits = {"date": str(number), "month": f"{number}01", "year": f"{number}0101"}[unit]
    try:
        instant = to_us(datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]), tzinfo=UTC))
    except ValueError:
        _not_a_time(value, where, column)
    _require_unit(form, unit, _row(where, column, value), f"{unit}s such as {number}")
    return instant


def _require_unit(form: TimeFormat, unit: str, where: str, what: str) -> None:
    if not form.accepts(unit):
        of_which = {"date": "when in the day", "month": "when in the month", "year": "when in the year"}[unit]
        raise DataError(
            f"{what}, and the table does not say {of_which} they are known",
            where=where,
            fix=f"declare resolution={_UNITS[unit][1]!r} on the table, or write full times with their zone",
        )


def _not_a_time(value: Any, where: str, column: pa.ChunkedArray, hint: str = "") -> Never:
    raise DataError(
        f"not a time: {value!r}{hint}", where=_row(where, column, value), fix=_ISO, row=_row_number(column, value)
    )


def _row(where: str, column: pa.ChunkedArray, value: Any) -> str:
    return where if len(column) == 1 else f"{where}, row {_row_number(column, value)}"


def _row_number(column: pa.ChunkedArray, value: Any) -> int:
    found = pc.index(column, pa.scalar(value, column.type)).as_py()
    return int(found) + 1


def missing_zone(column: str, where: str) -> dict[str, str]:
    """The facts of the error about a column of times without a zone: what, where, fix."""
    return {
        "what": f"the times in column {column!r} have no time zone",
        "where": where,
        "fix": f"write {column!r} with its offset, as in 2013-05-01T10:00:00Z or 2013-05-01T06:00:00-04:00, "
        "or declare the table's zone: tz='UTC', tz='Europe/Zurich'",
    }
