"""A query near the end of the history reads only the rows inside its longest lookback.

Nothing that became known before the earliest tick - lookback can matter to an aggregation whose bits depend on the
entries inside the lookback alone (`AggregationFamily.reads_only_lookback`). So the cost of a day's ticks does not grow
with the history, and the bits are the same. Without a lookback, the latest value of a key is the last one inside any
lookback that contains one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace

from headrace.synthesis.history.row_subset import RowSubset, subset_with_versions
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.planning.plan import ColumnPlan, Output
from headrace.synthesis.primitives.catalogue import CATALOGUE

#: Aggregations over all history whose value is that of the last entries, if there are any.
_LATEST = frozenset({"last", "last_time"})


def rows_known_between(rows: Rows, clock: tuple[str, ...], since_us: int, before_us: int) -> RowSubset | None:
    """The rows known in [since, before) on a clock, with all their versions; None where that is most of the table."""

    def compute() -> RowSubset | None:
        known = rows.known(clock)
        return subset_with_versions(rows, (known >= since_us) & (known < before_us))

    return rows.cached_latest(("known between", clock), (since_us, before_us), compute)


def longest_lookback(column_plans: Sequence[ColumnPlan]) -> int | None:
    """The longest lookback of the outputs that read only rows inside it; None where there are none."""
    outputs = (output for column_plan in column_plans for output in column_plan.outputs)
    return max(
        (output.lookback_us for output in outputs if output.lookback_us is not None and reads_only_lookback(output)),
        default=None,
    )


def inside_lookback(column_plans: Sequence[ColumnPlan], longest_us: int) -> Iterator[ColumnPlan]:
    """The outputs that recent rows can give: those with a lookback, and latest values inside the longest of them."""
    for column_plan in subset_outputs(
        column_plans, lambda output: reads_only_lookback(output) or is_latest_value(output)
    ):
        outputs = tuple(
            replace(item, lookback_us=longest_us) if is_latest_value(item) else item for item in column_plan.outputs
        )
        yield replace(column_plan, outputs=outputs)


def beyond_lookback(column_plans: Sequence[ColumnPlan], needs_all_rows: Container[str]) -> Iterator[ColumnPlan]:
    """The outputs that need all rows: all others, and those (slugs) that recent rows could not give."""
    yield from subset_outputs(
        column_plans,
        lambda output: output.slug in needs_all_rows or not (reads_only_lookback(output) or is_latest_value(output)),
    )


def subset_outputs(column_plans: Sequence[ColumnPlan], predicate: Callable[[Output], bool]) -> Iterator[ColumnPlan]:
    """Column plans with the outputs for which a predicate is true; without those that have none left."""
    for column_plan in column_plans:
        outputs = tuple(filter(predicate, column_plan.outputs))
        if outputs:
            yield replace(column_plan, outputs=outputs)


def is_latest_value(output: Output) -> bool:
    """Whether an output over all history has the same value over any end of the history where it is not missing."""
    return output.on == "known" and output.lookback_us is None and output.primitive in _LATEST


def reads_only_lookback(output: Output) -> bool:
    """Whether the bits of an output depend only on the rows inside its lookback."""
    known = output.on == "known" and output.lookback_us is not None
    return known and CATALOGUE.families[output.primitive].reads_only_lookback
