"""What stands at the ends of a window, and how much is in it: gathers and differences of positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER, SECOND
from headrace.synthesis.primitives.entries import Asked, gather


def positions(asked: Asked, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are asked for."""
    return {name: _POSITIONS[name](asked) for name in names}


def _count(asked: Asked) -> npt.NDArray[Any]:
    return (asked.high - asked.low).astype(np.float64)


def _first(asked: Asked) -> npt.NDArray[Any]:
    return gather(asked.entries.values, asked.lo, asked.hi > asked.lo, asked.entries.missing)


def _last(asked: Asked) -> npt.NDArray[Any]:
    return gather(asked.entries.values, asked.hi - 1, asked.hi > asked.lo, asked.entries.missing)


def _first_time(asked: Asked) -> npt.NDArray[Any]:
    return gather(asked.filled.anchor, asked.low, asked.high > asked.low, np.int64(NEVER))


def _last_time(asked: Asked) -> npt.NDArray[Any]:
    return gather(asked.filled.anchor, asked.high - 1, asked.high > asked.low, np.int64(NEVER))


def _time_span(asked: Asked) -> npt.NDArray[Any]:
    return np.where(asked.high > asked.low, (_last_time(asked) - _first_time(asked)) / SECOND, np.nan)


def _change(asked: Asked) -> npt.NDArray[Any]:
    x, some = asked.filled.x, asked.high > asked.low
    result: npt.NDArray[Any] = gather(x, asked.high - 1, some, np.nan) - gather(x, asked.low, some, np.nan)
    return result


def _last_change(asked: Asked) -> npt.NDArray[Any]:
    x, two = asked.filled.x, asked.high > asked.low + 1
    result: npt.NDArray[Any] = gather(x, asked.high - 1, two, np.nan) - gather(x, asked.high - 2, two, np.nan)
    return result


_POSITIONS = {
    "count": _count,
    "first": _first,
    "last": _last,
    "first_time": _first_time,
    "last_time": _last_time,
    "time_span": _time_span,
    "change": _change,
    "last_change": _last_change,
}
