"""Running primitives: what a Grouped says of a row, from the rows of its key up to and with it.

They are few and all alike, so that they stand here whole: the catalogue, and their twins in plain Python for the
oracle. `engines.running` computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from headrace.core.errors import DeclarationError
from headrace.synthesis.language.definitions import Kind

Told = Sequence[tuple[int, Any]]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A named primitive. says: completes "of a row and those of its key before it: ...". result None: as the input."""

    name: str
    says: str
    inputs: tuple[Kind, ...]
    result: Kind | None
    twin: Callable[[Told], Any]


_SECOND = 1_000_000
_ANY: tuple[Kind, ...] = ("numeric", "boolean", "categorical")


def _previous(told: Told) -> Any:
    return told[-2][1] if len(told) > 1 else None


def _difference(told: Told) -> Any:
    before = _previous(told)
    return None if before is None or told[-1][1] is None else told[-1][1] - before


def _cumulative(function: Callable[[list[Any]], Any]) -> Callable[[Told], Any]:
    return lambda told: None if told[-1][1] is None else function([value for _, value in told if value is not None])


def _sum(values: list[Any]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0))


RUNNING: dict[str, Running] = {
    item.name: item
    for item in (
        Running(name="previous", says="the value of the one before", inputs=_ANY, result=None, twin=_previous),
        Running(
            name="difference_to_previous",
            says="its value less that of the one before",
            inputs=("numeric",),
            result="numeric",
            twin=_difference,
        ),
        Running(
            name="time_since_previous",
            says="seconds since the one before became known",
            inputs=_ANY,
            result="numeric",
            twin=lambda told: (told[-1][0] - told[-2][0]) / _SECOND if len(told) > 1 else None,
        ),
        Running(
            name="cum_count",
            says="how many there are",
            inputs=_ANY,
            result="numeric",
            twin=lambda told: float(len(told)),
        ),
        Running(
            name="cum_sum",
            says="the sum; missing where its own value is",
            inputs=("numeric",),
            result="numeric",
            twin=_cumulative(lambda values: float(_sum(values))),
        ),
        Running(
            name="cum_mean",
            says="the mean; missing where its own value is",
            inputs=("numeric",),
            result="numeric",
            twin=_cumulative(lambda values: float(_sum(values) / len(values))),
        ),
        Running(name="cum_max", says="the largest", inputs=("numeric",), result="numeric", twin=_cumulative(max)),
        Running(name="cum_min", says="the smallest", inputs=("numeric",), result="numeric", twin=_cumulative(min)),
    )
}


def running(name: str) -> Running:
    """The running primitive of that name."""
    if name not in RUNNING:
        raise DeclarationError(f"no group-by primitive {name!r}", found=RUNNING)
    return RUNNING[name]
