"""The two small expressions of a declaration: an instant near a column, and a condition on a column."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.core.clock import format_duration, parse_duration
from headrace.core.errors import DeclarationError

_TIME = re.compile(r"^\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,2})\s*(?:([+-])\s*(\w+))?\s*$")
_LABEL = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:(>=|<=|==|!=|>|<)\s*(.+?))?\s*$")

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, kw_only=True)
class TimeExpression:
    """An instant: a time column, or the path of one in a parent (`races.date`), plus an offset in microseconds."""

    column: str
    offset_us: int = 0

    @classmethod
    def parse(cls, text: str) -> TimeExpression:
        """Read `departed`, `scheduled_departure - 30d` or `stamp + 1h`."""
        match = _TIME.match(text)
        if match is None:
            raise DeclarationError(
                f"{text!r} is not a time expression", fix="write a column, or a column + or - a duration: 'stamp + 1h'"
            )
        column, sign, duration = match.groups()
        if sign is None:
            return cls(column=column)
        return cls(column=column, offset_us=parse_duration(duration) * (1 if sign == "+" else -1))

    def __str__(self) -> str:
        if not self.offset_us:
            return self.column
        return f"{self.column} {'+' if self.offset_us > 0 else '-'} {format_duration(abs(self.offset_us))}"


@dataclass(frozen=True, kw_only=True)
class LabelExpression:
    """A condition on one column, or (operator "") the column's own value, for regression."""

    column: str
    operator: str = ""
    value: float | str | bool | None = None

    @classmethod
    def parse(cls, text: str) -> LabelExpression:
        """Read `arr_delay >= 15`, `status == 'churned'` or `price`."""
        match = _LABEL.match(text)
        if match is None:
            raise DeclarationError(
                f"{text!r} is not a label", fix="write a column, or column >= value, as in 'arr_delay >= 15'"
            )
        column, comparison, literal = match.groups()
        if comparison is None:
            return cls(column=column)
        return cls(column=column, operator=comparison, value=_literal(literal))

    @property
    def binary(self) -> bool:
        """Whether the label is true / false rather than a number."""
        return bool(self.operator)

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {self.value!r}" if self.operator else self.column


def _literal(text: str) -> float | str | bool:
    if text in {"true", "false", "True", "False"}:
        return text.lower() == "true"
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    try:
        return float(text)
    except ValueError:
        raise DeclarationError(f"{text!r} is not a number, true, false or a quoted text", where="label") from None
