"""Two numbers combined into one, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.synthesis.oracle.observations import SECOND
from headrace.synthesis.oracle.transforms.rows import Twin, of_numbers


def _difference(inputs: Sequence[Any], _tick_us: int) -> float | None:
    """Instants are whole microseconds."""
    if None in inputs:
        return None
    a, b = inputs
    return (a - b) / SECOND if isinstance(a, int) else float(a - b)


_FUNCTIONS: dict[str, Callable[[float, float], float]] = {
    "sum": lambda a, b: a + b,
    "product": lambda a, b: a * b,
    "ratio": lambda a, b: a / b,
    "relative_change": lambda a, b: (a - b) / abs(b),
    "share": lambda a, b: a / (a + b),
    "average": lambda a, b: (a + b) / 2,
    "smaller": min,
    "larger": max,
    "remainder": lambda a, b: a % b,
    "distance": lambda a, b: abs(a - b),
}
ARITHMETIC: dict[str, Twin] = {
    "difference": _difference,
    **{name: of_numbers(function) for name, function in _FUNCTIONS.items()},
}
