"""Curves of one number, and its rounding, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from headrace.synthesis.oracle.transforms.rows import Twin, of_numbers


def _sign(a: float) -> int:
    return (a > 0) - (a < 0)


def _logistic(a: float) -> float:
    return math.exp(a) / (1 + math.exp(a)) if a < 0 else 1 / (1 + math.exp(-a))


_FUNCTIONS: dict[str, Callable[[float], Any]] = {
    "log": lambda a: math.log1p(a) if a >= 0 else math.nan,
    "signed_log": lambda a: _sign(a) * math.log1p(abs(a)),
    "square_root": math.sqrt,
    "cube_root": math.cbrt,
    "square": lambda a: a * a,
    "exponential": math.exp,
    "reciprocal": lambda a: 1 / a,
    "logistic": _logistic,
    "absolute": abs,
    "negate": lambda a: -a,
    "sign": _sign,
    "sine": math.sin,
    "cosine": math.cos,
    "tangent": math.tan,
    "round": round,
    "floor": math.floor,
    "ceiling": math.ceil,
    "fraction": lambda a: a - math.floor(a),
    "bin_10": lambda a: math.floor(a / 10) * 10,
    "bin_100": lambda a: math.floor(a / 100) * 100,
    "clip_0_1": lambda a: min(max(a, 0), 1),
    "positive_part": lambda a: max(a, 0),
    "is_positive": lambda a: a > 0,
    "is_negative": lambda a: a < 0,
    "is_zero": lambda a: a == 0,
}
NUMERIC: dict[str, Twin] = {name: of_numbers(function) for name, function in _FUNCTIONS.items()}
