"""Ticks of an axis: round numbers, shares or dates inside a range, with their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Scale = Literal["number", "share", "date"]
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_DAY_S = 86_400.0
_DATE_STEPS_S = tuple(_DAY_S * days for days in (1, 2, 7, 14, 28, 91, 182, 364, 728, 1820))


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A position on an axis and its label."""

    at: float
    label: str


def ticks(low: float, high: float, scale: Scale = "number", count: int = 5) -> tuple[Tick, ...]:
    """Return about `count` ticks inside [low, high].

    Args:
        low, high: Range of the axis; of dates seconds since 1970, UTC.
        scale: How labels are written; a share is written as a percentage.
        count: Number to aim at.
    """
    if not high > low:
        return (Tick(at=low, label=label(low, scale)),)
    step = _date_step(low, high, count) if scale == "date" else _round_step((high - low) / count)
    first = math.ceil(low / step - 1e-9)
    positions = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return tuple(Tick(at=at, label=label(at, scale, step)) for at in positions)


def label(value: float, scale: Scale = "number", step: float | None = None) -> str:
    """Return a value as text, with the digits that a step between two ticks needs; of dates the day."""
    if scale == "date":
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}"
    if scale == "share":
        digits = 0 if step is None or step >= 0.01 else 1
        return f"{value * 100:.{digits}f} %"
    if step is None:
        return f"{value:.4g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if not (step / 10**-digits) % 1 < 1e-6:
        digits += 1
    return f"{value:,.{min(digits, 6)}f}".replace("-0", "0") if value == 0 else f"{value:,.{min(digits, 6)}f}"


def _round_step(raw: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(step * magnitude for step in _STEPS if step * magnitude >= raw * (1 - 1e-9))


def _date_step(low: float, high: float, count: int) -> float:
    raw = (high - low) / count
    return next((step for step in _DATE_STEPS_S if step >= raw), _DATE_STEPS_S[-1])
