"""Aggregation primitives: what is said of the values that an entity had within a lookback.

Values are those of featuretools 1.31 (Std is the sample one, Skew is bias-corrected), with these differences, on
purpose: `count` of a column counts its values that are not null; an infinite number counts as missing; `last` breaks
ties of known time by the order in which rows were appended.

reads   "values"      not null only
        "assertions"  nulls too: percent_true counts them as false, last returns one if it is the last
empty   the value where there is nothing to aggregate (None = missing)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.synthesis.definitions import Kind


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """A named aggregation. result None: of the same kind as its column."""

    name: str
    inputs: tuple[Kind, ...]
    result: Kind | None
    reads: Literal["values", "assertions"] = "values"
    empty: float | None = None
    rows: bool = False  # may count rows: column ""
    cost: float = 1.0  # relative to a mean, for the ledger


AGGREGATIONS: dict[str, Aggregation] = {
    item.name: item
    for item in (
        Aggregation(name="sum", inputs=("numeric",), result="numeric", empty=0.0),
        Aggregation(name="mean", inputs=("numeric",), result="numeric"),
        Aggregation(name="std", inputs=("numeric",), result="numeric"),
        Aggregation(name="skew", inputs=("numeric",), result="numeric"),
        Aggregation(name="min", inputs=("numeric",), result="numeric", cost=0.8),
        Aggregation(name="max", inputs=("numeric",), result="numeric", cost=0.8),
        Aggregation(
            name="count",
            inputs=("numeric", "categorical", "boolean", "time"),
            result="numeric",
            empty=0.0,
            rows=True,
            cost=0.2,
        ),
        Aggregation(name="percent_true", inputs=("boolean",), result="numeric", reads="assertions", cost=0.3),
        Aggregation(name="num_unique", inputs=("categorical",), result="numeric", cost=1.5),
        Aggregation(name="mode", inputs=("categorical",), result="categorical", cost=2.0),
        Aggregation(
            name="last", inputs=("numeric", "categorical", "boolean"), result=None, reads="assertions", cost=0.2
        ),
        Aggregation(
            name="last_time",
            inputs=("numeric", "categorical", "boolean", "time"),
            result="time",
            rows=True,
            cost=0.2,
        ),
    )
}
