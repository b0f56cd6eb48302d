"""What twins of transforms have in common: a function of one row's inputs (None is missing) and of the tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Twin = Callable[[Sequence[Any], int], Any]

#: A number whose magnitude is larger counts as missing.
LARGEST = 1e100


def of_numbers(function: Callable[..., Any]) -> Twin:
    """A function of numbers. Missing where an input is, and where the result is undefined, not finite or too large."""

    def twin(inputs: Sequence[Any], _tick_us: int) -> float | None:
        if None in inputs:
            return None
        try:
            value = float(function(*inputs))
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if abs(value) <= LARGEST else None

    return twin


def of_known(function: Callable[..., Any]) -> Twin:
    """A function of instants, categories or texts. Missing where an input is."""

    def twin(inputs: Sequence[Any], _tick_us: int) -> Any:
        value = None if None in inputs else function(*inputs)
        return float(value) if isinstance(value, int) else value

    return twin
