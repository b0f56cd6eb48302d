"""Days, weeks and months with an entry: changes of the calendar's field between neighbours; shares: running counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.core.clock import DAY, HOUR
from headrace.synthesis.language.values import Flags, Floats, Ints
from headrace.synthesis.primitives.entries import Asked

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

_PARTS: dict[str, Callable[[Ints], Ints]] = {
    "num_days": lambda at: at // DAY,
    "num_weeks": lambda at: (at // DAY + _EPOCH_WEEKDAY) // 7,
    "num_months": lambda at: at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64),
}
_SHARES: dict[str, Callable[[Ints], Flags]] = {
    "percent_weekend": lambda at: np.asarray((at // DAY + _EPOCH_WEEKDAY) % 7 >= 5),
    "percent_night": lambda at: np.asarray((at % DAY < 6 * HOUR) | (at % DAY >= 22 * HOUR)),
}


def days(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for. Anchors never fall within a key."""
    return {name: _different(asked, name) if name in _PARTS else _share(asked, name) for name in names}


def _different(asked: Asked, name: str) -> Floats:
    def make() -> Ints:
        part = _PARTS[name](asked.filled.anchor)
        return np.concatenate([[0, 0], np.cumsum(part[1:] != part[:-1])])[: len(part) + 1]

    before = asked.filled.once(name, make)
    some = asked.high > asked.low
    steps = before[asked.high] - before[np.minimum(asked.low + 1, asked.high)]
    return np.where(some, steps + 1, 0).astype(np.float64)


def _share(asked: Asked, name: str) -> Floats:
    before = asked.filled.once(
        name, lambda: np.concatenate([[0], np.cumsum(_SHARES[name](asked.filled.anchor), dtype=np.int64)])
    )
    with np.errstate(all="ignore"):
        result: Floats = (before[asked.high] - before[asked.low]) / (asked.high - asked.low)
    return result
