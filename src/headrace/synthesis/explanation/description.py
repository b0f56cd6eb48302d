"""Describe a definition in words: "the mean of arr_delay over flights of this tailnum known in the 7 days before"."""

from __future__ import annotations

from headrace.core.clock import DAY, HOUR, MINUTE, SECOND
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Grouped, RowColumn
from headrace.synthesis.primitives import transform
from headrace.synthesis.primitives.running import running

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_SIGNS = {"==": "is", "!=": "is not", ">": "is above", ">=": "is at least", "<": "is below", "<=": "is at most"}


def words(definition: Definition, *, whose: str = "this") -> str:
    """A definition in words. whose: "this" entity of the spine's row, or "its" where it is relative to another row."""
    if isinstance(definition, RowColumn):
        return f"{whose} row's {definition.column}" if whose == "this" else f"its {definition.column}"
    if isinstance(definition, Direct):
        read = definition.column if definition.value is None else f"({words(definition.value, whose='its')})"
        return f"{read} of {whose} {definition.entity}, from {definition.table}"
    if isinstance(definition, Aggregate):
        return _aggregate(definition, whose)
    if isinstance(definition, Grouped):
        by, description = " and ".join(definition.keys), running(definition.primitive).description
        return f"of {words(definition.value, whose='its')} among {definition.table} of its {by} up to it: {description}"
    description = transform(definition.primitive).description
    inputs = zip("abcdefgh", definition.inputs, strict=False)
    return f"{description}; " + "; ".join(f"{letter} is {words(item, whose=whose)}" for letter, item in inputs)


def _aggregate(definition: Aggregate, whose: str) -> str:
    name = definition.primitive.replace("_", " ")
    if definition.value is not None:
        what = f"the {name} of ({words(definition.value, whose='its')}) over"
    elif definition.column:
        what = f"the {name} of {definition.column} over"
    else:
        what = "the number of" if definition.primitive == "count" else f"the {name} of"
    where = "" if definition.where is None else f", where {_condition(definition.where)},"
    return f"{what} {definition.table} of {whose} {definition.entity}{where} {_period(definition)}"


def _condition(where: Condition) -> str:
    return f"{words(where.on, whose='its')} {_SIGNS[where.operator]} {where.value}"


def _period(definition: Aggregate) -> str:
    if definition.lookback_us is None:
        return "that were known before the tick"
    span = duration_words(definition.lookback_us)
    if definition.on == "event":
        return f"that happened in the {span} before the tick and were known by then"
    return f"that became known in the {span} before the tick"


def duration_words(duration_us: int) -> str:
    """`7 days`, `1 hour`."""
    for unit, name in _UNITS:
        if duration_us % unit == 0:
            many = duration_us // unit
            return f"{many} {name}" + ("" if many == 1 else "s")
    return f"{duration_us} microseconds"
