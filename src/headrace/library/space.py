"""Read a search space as people write it, `{"x": (0.0, 1.0), "kind": ["a", "b"]}`, for `headrace.minimize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.core.errors import DeclarationError
from headrace.models.space import Categorical, Choice, Float, Integer, Parameter, Space

_FIX = (
    'write (low, high), (low, high, "log"), a list of options, a mapping of option -> parameters, '
    "or headrace.Float, Integer, Categorical, Choice"
)


def read_space(given: Mapping[str, Any] | Space, where: str = "space") -> Space:
    """Return a space from plain values.

    Args:
        given: Parameter -> what it may be.
            (low, high): a whole number in the range, both ends included, where both are whole, else a real number.
            (low, high, "log"): the same, uniform in its logarithm.
            A list: one of its values.
            A mapping: one of its keys, each with parameters of its own (a mapping again, which may be empty).
            Float, Integer, Categorical, Choice: itself.
        where: What names it, for errors.

    Raises:
        DeclarationError: A parameter cannot be read.
    """
    if isinstance(given, Space):
        return given
    if not isinstance(given, Mapping):
        raise DeclarationError(f"{given!r} is no space", where=where, fix='write {"x": (0.0, 1.0)}')
    return Space({name: _parameter(value, f"{where}[{name!r}]") for name, value in given.items()})


def _parameter(value: Any, where: str) -> Parameter:
    if isinstance(value, Float | Integer | Categorical | Choice):
        return value
    try:
        if isinstance(value, tuple):
            return _range(value, where)
        if isinstance(value, list):
            return Categorical(tuple(value))
        if isinstance(value, Mapping):
            return Choice({str(option): read_space(inner, f"{where}[{option!r}]") for option, inner in value.items()})
    except DeclarationError as error:
        raise (
            error
            if error.where.startswith("space")
            else DeclarationError(error.what, where=where, found=error.found, fix=error.fix)
        ) from None
    except TypeError:
        raise DeclarationError(f"{value!r} cannot be compared", where=where, fix=_FIX) from None
    raise DeclarationError(f"{value!r} is no parameter", where=where, fix=_FIX)


def _range(value: tuple[Any, ...], where: str) -> Float | Integer:
    low, high, *scale = value if len(value) > 1 else (None, None)
    if len(scale) > 1 or (scale and scale[0] != "log") or not (_is_number(low) and _is_number(high)):
        raise DeclarationError(f"{value!r} is no range", where=where, fix=_FIX)
    if isinstance(low, int) and isinstance(high, int):
        return Integer(low, high, log=bool(scale))
    return Float(float(low), float(high), log=bool(scale))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
