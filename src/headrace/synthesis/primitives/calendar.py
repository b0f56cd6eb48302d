"""Transforms of instants: calendar fields (in UTC) and the time since an anchor, at the tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import DAY, HOUR, MINUTE, NEVER, SECOND
from headrace.synthesis.primitives.transform import TransformPrimitive, where_come
from headrace.synthesis.values import Floats, Ints


def _field(name: str, read: Callable[[Ints], npt.NDArray[Any]], result_kind: str = "numeric") -> TransformPrimitive:
    def compute(inputs: list[npt.NDArray[Any]], _ticks_us: Ints) -> Floats:
        at = inputs[0]
        return where_come(at, read(np.where(at == NEVER, 0, at)))

    return TransformPrimitive(
        name=name, inputs=(("time",),), compute=compute, result="boolean" if result_kind == "boolean" else "numeric"
    )


def _months(at: Ints) -> Ints:
    return at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _day_of_month(at: Ints) -> Ints:
    days = at.astype("datetime64[us]").astype("datetime64[D]")
    result: Ints = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    return result


def _weekday(at: Ints) -> Ints:
    return (at // DAY + 3) % 7


def _time_since(inputs: list[npt.NDArray[Any]], ticks_us: Ints) -> Floats:
    at = inputs[0]
    return where_come(at, (ticks_us - np.where(at == NEVER, 0, at)) / SECOND)


CALENDAR = (
    _field("minute_of_day", lambda at: at % DAY // MINUTE),
    _field("hour", lambda at: at % DAY // HOUR),
    _field("day", _day_of_month),
    _field("weekday", _weekday),  # Monday is 0
    _field("is_weekend", lambda at: _weekday(at) >= 5, "boolean"),
    _field("month", lambda at: _months(at) % 12 + 1),
    _field("year", lambda at: _months(at) // 12 + 1970),
    TransformPrimitive(name="time_since", inputs=(("time",),), compute=_time_since),  # seconds before the tick
)
