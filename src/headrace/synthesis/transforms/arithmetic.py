"""Transforms of two numbers into one, and differences of instants."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.core.clock import NEVER, SECOND
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.transforms.transform import NUMBERS, TIMES, TransformPrimitive, of_numbers


def _difference(inputs: list[Any], _ticks_us: Ints) -> Floats:
    left, right = inputs
    if left.dtype == np.int64:
        missing = (left == NEVER) | (right == NEVER)
        return np.where(missing, np.nan, np.where(missing, 0, left - right) / SECOND)
    return np.asarray(left - right, dtype=np.float64)


ARITHMETIC = (
    TransformPrimitive(
        name="difference",
        description="a - b; of instants in seconds",
        inputs=(NUMBERS, TIMES),
        compute=_difference,
    ),
    of_numbers("sum", "a + b", np.add, (NUMBERS,)),
    of_numbers("product", "a * b", np.multiply, (NUMBERS,)),
    of_numbers("ratio", "a / b, of b other than 0", np.divide, (NUMBERS,)),
    of_numbers("relative_change", "(a - b) / |b|, of b other than 0", lambda a, b: (a - b) / np.abs(b), (NUMBERS,)),
    of_numbers("share", "a / (a + b), of sums other than 0", lambda a, b: a / (a + b), (NUMBERS,)),
    of_numbers("average", "(a + b) / 2", lambda a, b: (a + b) / 2, (NUMBERS,)),
    of_numbers("smaller", "the smaller of a and b", np.minimum, (NUMBERS,)),
    of_numbers("larger", "the larger of a and b", np.maximum, (NUMBERS,)),
    of_numbers("remainder", "a - b floor(a / b), of b other than 0", np.mod, (NUMBERS,)),
    of_numbers("distance", "|a - b|", lambda a, b: np.abs(a - b), (NUMBERS,)),
)
