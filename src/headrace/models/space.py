"""Configuration spaces as plain data: declared by model families, searched by searchers.

A config is a flat dict of JSON values. A Choice named `family` with an option `lightgbm` gives the key `family` and,
only while that option is taken, the option's own parameters under `lightgbm.<name>`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.errors import DeclarationError

Value = str | int | float | bool | None
Config = dict[str, Value]


@dataclass(frozen=True)
class Float:
    """A real number in [low, high].

    Args:
        low: Smallest value.
        high: Largest value.
        log: Whether values are drawn uniformly in their logarithm; then `low` must be above 0.

    Raises:
        DeclarationError: The range is empty or not finite.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high], both ends included.

    Args:
        low: Smallest value.
        high: Largest value.
        log: Whether values are drawn uniformly in their logarithm; then `low` must be above 0.

    Raises:
        DeclarationError: The range is empty, not finite or not whole.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)
        if int(self.low) != self.low or int(self.high) != self.high:
            raise DeclarationError("bounds of an Integer must be whole", where=repr(self))


@dataclass(frozen=True)
class Categorical:
    """One of some values, without an order.

    Args:
        options: The values: texts, numbers, booleans or None, each once.

    Raises:
        DeclarationError: There is no option, or one twice.
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options:
            raise DeclarationError("no options to choose from", where="Categorical")
        if len(set(self.options)) < len(self.options):
            raise DeclarationError("an option is given twice", where="Categorical", found=self.options)


@dataclass(frozen=True)
class Choice:
    """One of some named subspaces; the parameters of the others do not exist in that config.

    Args:
        options: Name -> the parameters that exist while it is chosen; a `Space` may be empty.

    Raises:
        DeclarationError: There is no option.
    """

    options: Mapping[str, Space]

    def __post_init__(self) -> None:
        if not self.options:
            raise DeclarationError("no options to choose from", where="Choice")


Parameter = Float | Integer | Categorical | Choice


@dataclass(frozen=True)
class Space:
    """Parameters by name, in order. A subspace of a Choice may be empty; what a study searches may not."""

    parameters: Mapping[str, Parameter]

    def __post_init__(self) -> None:
        for name in self.parameters:
            if not name.isidentifier():
                raise DeclarationError(f"{name!r} cannot name a parameter", fix="use letters, digits and underscores")


def _check_bounds(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DeclarationError("bounds must be finite", found=(low, high))
    if low >= high:
        raise DeclarationError(f"the lower bound {low} is not below the upper bound {high}", fix="swap them")
    if log and low <= 0:
        raise DeclarationError(f"a logarithmic range cannot start at {low}", fix="start above zero, or drop log=True")
