"""What an aggregation primitive declares, and the family object that ties declarations to the kernel computing them.

Values follow featuretools 1.31 where it is right, with these deliberate differences: `count` of a column counts its
values that are not null; an infinite number counts as missing; ties of time are broken by the order in which rows were
appended; a share or an extreme of nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.primitives.entries import LookbackRanges

NUMBER: tuple[Kind, ...] = ("numeric",)
TRUTH: tuple[Kind, ...] = ("boolean",)
CATEGORY: tuple[Kind, ...] = ("categorical",)
ANY: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "time")

#: Computes some aggregations (by name) over ranges of entries: name -> [m] or, with several outputs, [m, outputs].
#: float64 with NaN for missing, codes of categories with -1, instants (int64 us) with NEVER. It takes about linear time
#: in entries + ranges. The bits of a range's result depend only on the entries of its key up to its end, not on other
#: ranges, later entries or the other names.
Kernel = Callable[[LookbackRanges, frozenset[str]], dict[str, Any]]

#: (instant in us, value or None) of the rows of a lookback, oldest first.
Observations = Sequence[tuple[int, Any]]


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """A named aggregation.

    Attributes:
        name: lower case, as in `MEAN(flights.dep_delay, 7d)`.
        description: its meaning, completing "of the values of a column within a lookback: ...".
        inputs: kinds of columns that it aggregates.
        result: the kind of its value; None: that of its column.
        reads: "values": only those not null; "assertions": nulls too.
        empty: the value where there is nothing to aggregate (None = missing).
        rows: whether it can aggregate the rows themselves too (column "").
        outputs: how many values it has; `Aggregate.part` picks one.
        finish: the transform that completes it when it is read, from it and the `last_time` of the same rows. Its value
            at the tick changes with time alone, so it is stored as of the last row.
        cost: of one value, relative to a mean (an estimate; of two equal features the cheaper is kept).
        twin: the same in plain Python, observations -> value (a list where there are several outputs); None for
            built-in ones, whose twins are in `synthesis.oracle`.
    """

    name: str
    description: str
    inputs: tuple[Kind, ...]
    result: Kind | None = "numeric"
    reads: Literal["values", "assertions"] = "values"
    empty: float | None = None
    rows: bool = False
    outputs: int = 1
    finish: str | None = None
    cost: float = 1.0
    twin: Callable[[Observations], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class AggregationFamily:
    """Aggregations that one kernel computes together.

    Attributes:
        name: of the family, unique in a catalogue.
        aggregations: their declarations.
        kernel: computes any of them.
        reads_only_lookback: whether the bits of a result depend only on the entries inside the range. Then an engine
            may leave out rows that no lookback reaches. Not so where sums run from a key's first entry.
    """

    name: str
    aggregations: tuple[Aggregation, ...]
    kernel: Kernel
    reads_only_lookback: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its aggregations: what a problem calls it by."""
        return tuple(item.name for item in self.aggregations)
