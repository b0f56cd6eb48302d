"""What a transform primitive is: a pure function over columns of the same spine row, finished at read.

Inputs and result are numpy arrays [n] held as `values` says: float64 with NaN, int64 microseconds with NEVER.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.definitions import Kind
from headrace.synthesis.values import Floats, Ints


@dataclass(frozen=True, kw_only=True)
class TransformPrimitive:
    """inputs: alternatives of input kinds. compute(inputs, ticks_us [n]) -> float64 [n], NaN = missing."""

    name: str
    inputs: tuple[tuple[Kind, ...], ...]
    compute: Callable[[list[npt.NDArray[Any]], Ints], Floats]
    result: Kind = "numeric"
    cost: float = 0.1


def where_come(at: Ints, values: npt.NDArray[Any]) -> Floats:
    """Values as float64, NaN where the instant is missing."""
    return np.where(at == NEVER, np.nan, values.astype(np.float64))
