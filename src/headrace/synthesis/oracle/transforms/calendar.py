"""Fields of instants, in UTC, in plain Python."""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.synthesis.oracle.transforms.rows import Twin, of_known

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTERS_OF_DAY = ("night", "morning", "afternoon", "evening")


def _days_in_month(at: datetime) -> int:
    return calendar.monthrange(at.year, at.month)[1]


def _day_of_year(at: datetime) -> int:
    return at.timetuple().tm_yday


def _days_in_year(at: datetime) -> int:
    return 366 if calendar.isleap(at.year) else 365


def _share_of_day(at: datetime) -> float:
    return (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(days=1)


_FIELDS: dict[str, Callable[[datetime], Any]] = {
    "second": lambda at: at.second,
    "minute": lambda at: at.minute,
    "minute_of_day": lambda at: at.hour * 60 + at.minute,
    "hour": lambda at: at.hour,
    "day": lambda at: at.day,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "weekday": lambda at: at.weekday(),
    "week": lambda at: at.isocalendar().week,
    "month": lambda at: at.month,
    "quarter": lambda at: (at.month + 2) // 3,
    "year": lambda at: at.year,
    "is_weekend": lambda at: at.weekday() in (5, 6),
    "is_working_hours": lambda at: at.weekday() < 5 and 8 <= at.hour < 18,
    "is_month_start": lambda at: at.day == 1,
    "is_month_end": lambda at: at.day == _days_in_month(at),
    "is_quarter_start": lambda at: at.day == 1 and at.month in (1, 4, 7, 10),
    "is_quarter_end": lambda at: at.day == _days_in_month(at) and at.month in (3, 6, 9, 12),
    "is_year_start": lambda at: (at.month, at.day) == (1, 1),
    "is_year_end": lambda at: (at.month, at.day) == (12, 31),
    "is_leap_year": lambda at: calendar.isleap(at.year),
    "part_of_day": lambda at: _QUARTERS_OF_DAY[at.hour // 6],
}
#: What share of a circle an instant has gone round.
_CIRCLES: dict[str, Callable[[datetime], float]] = {
    "hour": _share_of_day,
    "weekday": lambda at: (at.weekday() + _share_of_day(at)) / 7,
    "day": lambda at: (at.day - 1) / _days_in_month(at),
    "month": lambda at: (at.month - 1) / 12,
    "day_of_year": lambda at: (_day_of_year(at) - 1) / _days_in_year(at),
}


def _of_moment(function: Callable[[datetime], Any]) -> Twin:
    return of_known(lambda at_us: function(_EPOCH + timedelta(microseconds=at_us)))


def _cyclic(share: Callable[[datetime], float], curve: Callable[[float], float]) -> Twin:
    return _of_moment(lambda at: curve(2 * math.pi * share(at)))


CALENDAR: dict[str, Twin] = {
    **{name: _of_moment(function) for name, function in _FIELDS.items()},
    **{f"{name}_sine": _cyclic(share, math.sin) for name, share in _CIRCLES.items()},
    **{f"{name}_cosine": _cyclic(share, math.cos) for name, share in _CIRCLES.items()},
}
