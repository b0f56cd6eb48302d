"""What a transform primitive is: a pure function over columns of the same row, finished at read.

Inputs are held as `values` says: float64 with NaN for numbers and booleans, int64 microseconds with NEVER for instants;
categories and texts are Arrow strings. A result is float64 [n] with NaN, or Arrow strings where it is a category. What
it says of a row depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import Floats, Ints

NUMBER: tuple[Kind, ...] = ("numeric",)
NUMBERS: tuple[Kind, ...] = ("numeric", "numeric")
TIME: tuple[Kind, ...] = ("time",)
TIMES: tuple[Kind, ...] = ("time", "time")
TEXT: tuple[Kind, ...] = ("text",)
CATEGORY: tuple[Kind, ...] = ("categorical",)


@dataclass(frozen=True, kw_only=True)
class TransformPrimitive:
    """A named transform.

    says      its meaning, for people, in terms of a, b, ... (its inputs) and the tick
    inputs    alternatives of input kinds
    compute   (inputs, ticks_us [n]) -> values [n]; missing where an input is, unless it says otherwise
    moves     whether it changes with the tick alone, its inputs the same
    cost      of one value, relative to a mean over a window (an estimate, for the ledger)
    tier      how early it is offered (0 first); None: only where it is asked for by name
    """

    name: str
    says: str
    inputs: tuple[tuple[Kind, ...], ...]
    compute: Callable[[list[Any], Ints], Any]
    result: Kind = "numeric"
    moves: bool = False
    cost: float = 0.1
    tier: int | None = None


def of_numbers(
    name: str,
    says: str,
    function: Callable[..., npt.NDArray[Any]],
    inputs: tuple[tuple[Kind, ...], ...] = (NUMBER,),
    *,
    result: Kind = "numeric",
    cost: float = 0.1,
    tier: int | None = None,
) -> TransformPrimitive:
    """A function of float64 arrays. What is not finite is missing, and so is what has a missing input."""

    def compute(given: list[Floats], _ticks_us: Ints) -> Floats:
        with np.errstate(all="ignore"):
            values = np.asarray(function(*given), dtype=np.float64)
        return np.where(np.isfinite(values) & ~np.isnan(given).any(axis=0), values, np.nan)

    return TransformPrimitive(name=name, says=says, inputs=inputs, compute=compute, result=result, cost=cost, tier=tier)


def of_instants(
    name: str,
    says: str,
    function: Callable[..., npt.NDArray[Any]],
    inputs: tuple[tuple[Kind, ...], ...] = (TIME,),
    *,
    result: Kind = "numeric",
    at_tick: bool = False,
    cost: float = 0.1,
    tier: int | None = None,
) -> TransformPrimitive:
    """A function of int64 microseconds (and of the ticks, where it changes with time alone)."""

    def compute(given: list[Ints], ticks_us: Ints) -> Floats:
        come = [np.where(at == NEVER, 0, at) for at in given]
        values = function(*come, ticks_us) if at_tick else function(*come)
        for at in given:
            values = where_come(at, values)
        return values

    return TransformPrimitive(
        name=name, says=says, inputs=inputs, compute=compute, result=result, moves=at_tick, cost=cost, tier=tier
    )


def where_come(at: Ints, values: npt.NDArray[Any]) -> Floats:
    """Values as float64, NaN where the instant is missing."""
    return np.where(at == NEVER, np.nan, values.astype(np.float64))


def by_name(*families: Sequence[TransformPrimitive]) -> dict[str, TransformPrimitive]:
    """The primitives of some families, in order."""
    return {primitive.name: primitive for family in families for primitive in family}
