"""What a transform primitive declares: a pure function over columns of the same row, evaluated when a feature is read.

Inputs are as in `language.values`: float64 with NaN for numbers and booleans, int64 microseconds with NEVER for
instants; categories and texts are Arrow strings. A result is float64 [n] with NaN, or Arrow strings where it is a
category. The result of a row depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import LARGEST, Floats, Ints

NUMBER: tuple[Kind, ...] = ("numeric",)
NUMBERS: tuple[Kind, ...] = ("numeric", "numeric")
TIME: tuple[Kind, ...] = ("time",)
TIMES: tuple[Kind, ...] = ("time", "time")
TEXT: tuple[Kind, ...] = ("text",)
CATEGORY: tuple[Kind, ...] = ("categorical",)


@dataclass(frozen=True, kw_only=True)
class TransformPrimitive:
    """A named transform.

    Attributes:
        name: lower case, as in `HOUR(scheduled_departure)`.
        description: its meaning in terms of a, b, ... (its inputs) and the tick.
        inputs: alternatives of input kinds.
        compute: (inputs, ticks_us [n]) -> values [n]; missing where an input is, unless the description says otherwise.
        result: the kind of its value.
        uses_tick: whether it changes with the tick alone, its inputs the same.
        cost: of one value, relative to a mean over a lookback (an estimate, for the ledger of a selection).
        twin: the same in plain Python for one row, (inputs, tick_us) -> value, with None for missing; None for built-in
            ones, whose twins are in `synthesis.oracle`.
    """

    name: str
    description: str
    inputs: tuple[tuple[Kind, ...], ...]
    compute: Callable[[list[Any], Ints], Any]
    result: Kind = "numeric"
    uses_tick: bool = False
    cost: float = 0.1
    twin: Callable[[Sequence[Any], int], Any] | None = None


def of_numbers(
    name: str,
    description: str,
    function: Callable[..., npt.NDArray[Any]],
    inputs: tuple[tuple[Kind, ...], ...] = (NUMBER,),
    *,
    result: Kind = "numeric",
    cost: float = 0.1,
) -> TransformPrimitive:
    """A function of float64 arrays. What is not finite or above LARGEST is missing, and what has a missing input."""

    def compute(columns: list[Floats], _ticks_us: Ints) -> Floats:
        with np.errstate(all="ignore"):
            values = np.asarray(function(*columns), dtype=np.float64)
        return np.where((np.abs(values) <= LARGEST) & ~np.isnan(columns).any(axis=0), values, np.nan)

    return TransformPrimitive(
        name=name, description=description, inputs=inputs, compute=compute, result=result, cost=cost
    )


def of_instants(
    name: str,
    description: str,
    function: Callable[..., npt.NDArray[Any]],
    inputs: tuple[tuple[Kind, ...], ...] = (TIME,),
    *,
    result: Kind = "numeric",
    at_tick: bool = False,
    cost: float = 0.1,
) -> TransformPrimitive:
    """A function of int64 microseconds (and of the ticks, where it changes with time alone)."""

    def compute(inputs_us: list[Ints], ticks_us: Ints) -> Floats:
        filled = [np.where(at == NEVER, 0, at) for at in inputs_us]
        values = np.asarray(function(*filled, ticks_us) if at_tick else function(*filled), dtype=np.float64)
        missing = np.any([at == NEVER for at in inputs_us], axis=0)
        return np.where(missing, np.nan, values)

    return TransformPrimitive(
        name=name, description=description, inputs=inputs, compute=compute, result=result, uses_tick=at_tick, cost=cost
    )
