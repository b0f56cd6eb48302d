"""Comparisons of numbers, instants, categories and truth values; and whether a value is missing."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from headrace.core.clock import NEVER
from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.transforms.transform import NUMBERS, TIMES, TransformPrimitive, of_numbers

_TRUTHS: tuple[Kind, ...] = ("boolean", "boolean")
_CATEGORIES: tuple[Kind, ...] = ("categorical", "categorical")
_KINDS: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "time", "text")


def missing(values: Any) -> npt.NDArray[np.bool_]:
    """Where an input is missing [n], in numpy or Arrow."""
    if not isinstance(values, np.ndarray):
        return np.asarray(values.is_null().to_numpy(zero_copy_only=False))
    return np.asarray(values == NEVER if values.dtype == np.int64 else np.isnan(values))


def _ordered(name: str, sign: str, compare: Callable[[Any, Any], Any]) -> TransformPrimitive:
    def compute(inputs: list[Any], _ticks_us: Ints) -> Floats:
        either_missing = missing(inputs[0]) | missing(inputs[1])
        return np.where(either_missing, np.nan, np.asarray(compare(*inputs), dtype=np.float64))

    return TransformPrimitive(
        name=name, description=f"whether a {sign} b", inputs=(NUMBERS, TIMES), compute=compute, result="boolean"
    )


def _same(name: str, description: str, *, alike: bool) -> TransformPrimitive:
    def compute(inputs: list[Any], _ticks_us: Ints) -> Floats:
        equal = pc.equal(*inputs).cast("int8").cast("float64").to_numpy(zero_copy_only=False)
        return np.asarray(equal if alike else 1.0 - equal, dtype=np.float64)

    return TransformPrimitive(
        name=name, description=description, inputs=(_CATEGORIES,), compute=compute, result="boolean", cost=0.5
    )


def _is_null(inputs: list[Any], _ticks_us: Ints) -> Floats:
    return missing(inputs[0]).astype(np.float64)


COMPARE = (
    _ordered("greater", ">", operator.gt),
    _ordered("greater_or_equal", ">=", operator.ge),
    _ordered("less", "<", operator.lt),
    _ordered("less_or_equal", "<=", operator.le),
    _ordered("equal", "=", operator.eq),
    _ordered("not_equal", "is not", operator.ne),
    _same("same", "whether a and b are one category", alike=True),
    _same("different", "whether a and b are two categories", alike=False),
    of_numbers("and", "whether a and b", lambda a, b: (a == 1) & (b == 1), (_TRUTHS,), result="boolean"),
    of_numbers("or", "whether a or b", lambda a, b: (a == 1) | (b == 1), (_TRUTHS,), result="boolean"),
    of_numbers("not", "whether not a", lambda a: a == 0, (("boolean",),), result="boolean"),
    TransformPrimitive(
        name="is_null",
        description="whether a is missing",
        inputs=tuple((kind,) for kind in _KINDS),
        compute=_is_null,
        result="boolean",
    ),
)
