"""Check and convert single values of a request: numbers, categories, texts, truth values, times."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from headrace.core.clock import to_us
from headrace.core.errors import DataError
from headrace.lake.times import TimeFormat, value_instant
from headrace.synthesis.language.definitions import Kind

#: Characters of a key or a category, and of a text.
LONGEST_NAME = 10_000
LONGEST_TEXT = 1_000_000
_EXAMPLE_TIME = "2013-05-01T12:00:00Z"
_INT64 = range(-(2**63), 2**63)

Value = str | float | bool | int | None


def check_value(kind: Literal["numeric", "categorical", "text", "boolean"], value: Any, where: str) -> Value:
    """Return a JSON value that is not null, checked; of another type than its kind it raises DataError."""
    return _READERS[kind](value, where)


def _numeric(value: Any, where: str) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # an integer of four hundred digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise type_error(value, "a finite number or null", where)


def _categorical(value: Any, where: str, longest: int = LONGEST_NAME) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise type_error(value, "a text or null", where)
    return _text(str(value), where, longest)


def _long_text(value: Any, where: str) -> str:
    return _categorical(value, where, LONGEST_TEXT)


def require_storable(value: Any, where: str) -> None:
    """Check that a part of a key can be stored, whatever type the key has."""
    if isinstance(value, str):
        _text(value, where, LONGEST_NAME)
    if isinstance(value, int) and value not in _INT64:
        raise type_error(value, "a whole number of 64 bits", where)
    if isinstance(value, float) and not math.isfinite(value):
        raise type_error(value, "a finite number or null", where)


def _text(value: str, where: str, longest: int) -> str:
    """Check that a text can be stored: a lone surrogate such as JSON's \\ud800 cannot be encoded as UTF-8."""
    if len(value) > longest:
        raise DataError(f"must have at most {longest:,} characters", where=where, found=[f"{len(value):,}"])
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise type_error(value, "a text of whole characters", where) from None
    return value


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise type_error(value, "true, false or null", where)
    return value


def request_time(value: Any, form: TimeFormat, where: str) -> int | None:
    """Return an instant, microseconds UTC. The advice of its errors can be followed literally."""
    if isinstance(value, str):
        moment = _moment(value)
        if moment is not None and moment.tzinfo is not None:
            return to_us(moment)
        _require_zone(value, moment, form, where)
    try:
        return value_instant(value, form, where)
    except DataError as error:
        if error.what.startswith("not a time"):
            raise type_error(value, f"an ISO time with its zone, such as {_EXAMPLE_TIME}", where) from None
        # Whoever sends a request cannot declare another zone or resolution, as the lake's advice is.
        fix = f"write the whole time with its zone, as in {_EXAMPLE_TIME}"
        raise DataError(error.what, where=where, found=error.found, fix=fix) from None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _require_zone(text: str, moment: datetime | None, form: TimeFormat, where: str) -> None:
    """Check that a text which is a time without a zone has one from the table."""
    if moment is None:
        return
    is_date = len(text) <= len("2013-05-01")
    if form.accepts("date") if is_date else form.tz is not None:
        return
    whole = moment.isoformat()
    raise DataError(
        f"{text} has no time zone",
        where=where,
        fix=f"write {whole}Z if it is UTC, or its offset: {whole}-05:00",
    )


def type_error(value: Any, expected: str, where: str) -> DataError:
    return DataError(f"must be {expected}", where=where, found=[_short(value)])


def _short(value: Any) -> str:
    """Return a short representation of a value; a long number or text is not formatted in full."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"
    return repr(value)[:80]


_READERS: Mapping[Kind, Callable[[Any, str], Value]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _long_text,
    "boolean": _boolean,
}
