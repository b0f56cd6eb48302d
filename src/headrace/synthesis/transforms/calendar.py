"""Calendar fields of instants, in UTC; and the same on a circle, where December is next to January."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import DAY, HOUR, MINUTE, NEVER, SECOND
from headrace.synthesis.language.values import Ints
from headrace.synthesis.transforms.transform import TIME, TransformPrimitive, of_instants

_PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")


def _in(at: Ints, unit: str) -> npt.NDArray[Any]:
    return at.astype("datetime64[us]").astype(f"datetime64[{unit}]")


def _months(at: Ints) -> Ints:
    return _in(at, "M").astype(np.int64)


def _month(at: Ints) -> Ints:
    return _months(at) % 12 + 1


def _year(at: Ints) -> Ints:
    return _months(at) // 12 + 1970


def _day_of_month(at: Ints) -> Ints:
    result: Ints = (_in(at, "D") - _in(at, "M").astype("datetime64[D]")).astype(np.int64) + 1
    return result


def _day_of_year(at: Ints) -> Ints:
    result: Ints = (_in(at, "D") - _in(at, "Y").astype("datetime64[D]")).astype(np.int64) + 1
    return result


def _days_in_month(at: Ints) -> Ints:
    first = _in(at, "M")
    result: Ints = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return result


def _days_in_year(at: Ints) -> Ints:
    first = _in(at, "Y")
    result: Ints = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return result


def _weekday(at: Ints) -> Ints:
    return (at // DAY + 3) % 7


def _week(at: Ints) -> Ints:
    """ISO 8601: a week belongs to the year that its Thursday is in."""
    thursday = at - (_weekday(at) - 3) * DAY
    return (_day_of_year(thursday) - 1) // 7 + 1


def _part_of_day(inputs: list[Any], _ticks_us: Ints) -> pa.Array:
    at = inputs[0]
    part = np.where(at == NEVER, 0, at) % DAY // (6 * HOUR)
    return pa.array(_PARTS_OF_DAY).take(pa.array(part, mask=at == NEVER))


_NUMBERS: dict[str, tuple[str, Callable[[Ints], Ints]]] = {
    "second": ("second of the minute of a", lambda at: at % MINUTE // SECOND),
    "minute": ("minute of the hour of a", lambda at: at % HOUR // MINUTE),
    "minute_of_day": ("minutes of a since midnight", lambda at: at % DAY // MINUTE),
    "hour": ("hour of a", lambda at: at % DAY // HOUR),
    "day": ("day of the month of a", _day_of_month),
    "day_of_year": ("day of the year of a, from 1", _day_of_year),
    "days_in_month": ("how many days the month of a has", _days_in_month),
    "weekday": ("weekday of a, Monday is 0", _weekday),
    "week": ("ISO week of a", _week),
    "month": ("month of a", _month),
    "quarter": ("quarter of a", lambda at: (_month(at) - 1) // 3 + 1),
    "year": ("year of a", _year),
}
_TRUTHS: dict[str, tuple[str, Callable[[Ints], npt.NDArray[Any]]]] = {
    "is_weekend": ("whether a is on a Saturday or Sunday", lambda at: _weekday(at) >= 5),
    "is_working_hours": ("whether a is from Monday to Friday, from 8 to 18 o'clock", lambda at: _working(at)),
    "is_month_start": ("whether a is on the first of a month", lambda at: _day_of_month(at) == 1),
    "is_month_end": ("whether a is on the last of a month", lambda at: _day_of_month(at) == _days_in_month(at)),
    "is_quarter_start": (
        "whether a is on the first day of a quarter",
        lambda at: (_day_of_month(at) == 1) & (_month(at) % 3 == 1),
    ),
    "is_quarter_end": (
        "whether a is on the last day of a quarter",
        lambda at: (_day_of_month(at) == _days_in_month(at)) & (_month(at) % 3 == 0),
    ),
    "is_year_start": ("whether a is on the first of January", lambda at: _day_of_year(at) == 1),
    "is_year_end": ("whether a is on the last of December", lambda at: _day_of_year(at) == _days_in_year(at)),
    "is_leap_year": ("whether the year of a has 366 days", lambda at: _days_in_year(at) == 366),
}
#: Cyclic fields: the share of the circle that an instant has gone round.
_CIRCLES: dict[str, tuple[str, Callable[[Ints], npt.NDArray[Any]]]] = {
    "hour": ("the time of day", lambda at: at % DAY / DAY),
    "weekday": ("the time of the week", lambda at: (at + 3 * DAY) % (7 * DAY) / (7 * DAY)),
    "day": ("the day of the month", lambda at: (_day_of_month(at) - 1) / _days_in_month(at)),
    "month": ("the month", lambda at: (_month(at) - 1) / 12),
    "day_of_year": ("the day of the year", lambda at: (_day_of_year(at) - 1) / _days_in_year(at)),
}


def _working(at: Ints) -> npt.NDArray[Any]:
    hour = at % DAY // HOUR
    return (_weekday(at) < 5) & (hour >= 8) & (hour < 18)


def _cyclic() -> Iterator[TransformPrimitive]:
    for name, (description, share) in _CIRCLES.items():
        for curve, function in (("sine", np.sin), ("cosine", np.cos)):
            yield of_instants(
                f"{name}_{curve}",
                f"{curve} of {description} of a, a full circle each",
                lambda at, share=share, function=function: function(2 * np.pi * share(at)),
                cost=0.3,
            )


CALENDAR = (
    *(of_instants(name, description, read) for name, (description, read) in _NUMBERS.items()),
    *(of_instants(name, description, read, result="boolean") for name, (description, read) in _TRUTHS.items()),
    TransformPrimitive(
        name="part_of_day",
        description=f"{', '.join(_PARTS_OF_DAY)}: a quarter of the day of a each, from midnight",
        inputs=(TIME,),
        compute=_part_of_day,
        result="categorical",
    ),
    *_cyclic(),
)
