"""What an aggregation primitive is: something said of the values that an entity had within a lookback.

Here is what it means; `engines.families` computes it, and `oracle_primitives` says it again in plain Python.

Values are those of featuretools 1.31 where that is sane, with these differences, on purpose: `count` of a column counts
its values that are not null; an infinite number counts as missing; ties of time are broken by the order in which rows
were appended; a share or an extreme of nothing is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.synthesis.language.definitions import Kind

NUMBER: tuple[Kind, ...] = ("numeric",)
TRUTH: tuple[Kind, ...] = ("boolean",)
CATEGORY: tuple[Kind, ...] = ("categorical",)
ANY: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "time")


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """A named aggregation.

    says      its meaning, for people: completes "of the values of a column within a lookback: ..."
    inputs    kinds of columns that it can aggregate. rows: it can be asked of the rows themselves too (column "")
    result    the kind of its value; None: that of its column. outputs: how many it has (`Aggregate.part` picks one)
    reads     "values": not null only. "assertions": nulls too
    empty     the value where there is nothing to aggregate (None = missing)
    finish    the transform that completes it at read, from it and the `last_time` of the same rows: what it would be at
              the tick changes with time alone, so it is stored as of the last row
    cost      of one value, relative to a mean's (an estimate; of two twins the cheaper stays)
    tier      how early it is offered (0 first); None: only where it is asked for by name
    """

    name: str
    says: str
    inputs: tuple[Kind, ...]
    result: Kind | None = "numeric"
    reads: Literal["values", "assertions"] = "values"
    empty: float | None = None
    rows: bool = False
    outputs: int = 1
    finish: str | None = None
    cost: float = 1.0
    tier: int | None = None
