"""Transforms of numbers: logarithm, square root, difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER, SECOND
from headrace.synthesis.primitives.transform import TransformPrimitive
from headrace.synthesis.values import Floats, Ints


def _log(inputs: list[npt.NDArray[Any]], _ticks_us: Ints) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(inputs[0] >= 0, np.log1p(inputs[0]), np.nan)


def _square_root(inputs: list[npt.NDArray[Any]], _ticks_us: Ints) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(inputs[0] >= 0, np.sqrt(inputs[0]), np.nan)


def _difference(inputs: list[npt.NDArray[Any]], _ticks_us: Ints) -> Floats:
    left, right = inputs
    if left.dtype == np.int64:
        missing = (left == NEVER) | (right == NEVER)
        return np.where(missing, np.nan, np.where(missing, 0, left - right) / SECOND)
    return np.asarray(left - right, dtype=np.float64)


NUMERIC = (
    TransformPrimitive(name="log", inputs=(("numeric",),), compute=_log),  # log(1 + x), x >= 0
    TransformPrimitive(name="square_root", inputs=(("numeric",),), compute=_square_root),
    TransformPrimitive(  # first - second; of instants in seconds
        name="difference", inputs=(("numeric", "numeric"), ("time", "time")), compute=_difference
    ),
)
