"""Finish at read for one row in plain Python: stored values, the request's own columns and the tick make a feature.

A missing aggregate becomes its value for no rows (a count of nothing is 0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from headrace.core.clock import to_us
from headrace.synthesis.language.definitions import Aggregate, Definition, Grouped, Kind, RowColumn, Transform
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.transforms import TRANSFORM_TWINS
from headrace.synthesis.oracle.transforms.rows import LARGEST


def finish_row(definition: Definition, stored: Mapping[str, Any], row: Mapping[str, Any], tick_us: int) -> Any:
    """The value of a definition at one row: a float, a string of a category, microseconds of an instant, or None.

    Args:
        definition: what to evaluate.
        stored: slug -> value of the stored definitions that it reads.
        row: column -> value of the columns of the row that it reads.
        tick_us: the tick, in us.
    """
    if isinstance(definition, Transform):
        inputs = [finish_row(item, stored, row, tick_us) for item in definition.inputs]
        return TRANSFORM_TWINS[definition.primitive](inputs, tick_us)
    value = row[definition.column] if isinstance(definition, RowColumn) else stored[definition.slug]
    value = as_kind(value, definition.kind)
    return value_of_nothing(definition) if value is None else value


def as_kind(value: Any, kind: Kind) -> Any:
    """A raw value as a value of a kind. Numbers that are not finite or too large are missing."""
    if value is None:
        return None
    if kind in ("categorical", "text"):
        return str(value)
    if kind == "time":
        return microseconds(value)
    return float(value) if math.isfinite(value) and abs(value) <= LARGEST else None


def microseconds(value: Any) -> int | None:
    """Microseconds of a datetime, of a date (its first instant in UTC), or of microseconds themselves."""
    if value is None or isinstance(value, int):
        return value
    return to_us(value) if isinstance(value, datetime) else to_us(date.isoformat(value) + "T00:00:00+00:00")


def value_of_nothing(definition: Definition | Grouped) -> Any:
    """What an aggregate is where there are no rows; None for other definitions."""
    if not isinstance(definition, Aggregate):
        return None
    value = AGGREGATION_TWINS[definition.primitive]([])
    return None if isinstance(value, list) else value
