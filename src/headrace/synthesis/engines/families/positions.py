"""What stands at an end of a window, and how much is in it: gathers and differences of positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines.families.entries import Asked, gather


def count(asked: Asked, _names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """How many values are not null."""
    return {"count": (asked.high - asked.low).astype(np.float64)}


def last(asked: Asked, _names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The last value, null if that is what it is."""
    entries = asked.entries
    missing = np.float64(np.nan) if entries.number is not None else np.int64(-1 if entries.code is not None else NEVER)
    return {"last": gather(entries.values, asked.hi - 1, asked.hi > asked.lo, missing)}


def last_time(asked: Asked, _names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """When the last value that is not null counts from."""
    there = asked.high > asked.low
    return {"last_time": gather(asked.filled.anchor, asked.high - 1, there, np.int64(NEVER))}
