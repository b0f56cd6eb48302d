"""Aggregations over time-varying columns: what is aggregated is an aggregate, a parent's column or a running value.

Where a row's changes are its own, the row is cut into steps (`cutting`), every step is evaluated once by the same
engine one level down, equal neighbours are merged, and a sweep aggregates the insertions and removals:
O((changes + queries) log changes). Values from across the relationships would change with those of all rows that share
them (`plan.fans_out`). They are evaluated per query instead, for each row in its lookback, at its tick: exact, and
linear in (row, query) pairs. `last` needs one row of each query only: an entity that is reached through another's last
row costs one evaluation a query. The definition alone decides which way is taken, so that bits never depend on the
data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from headrace.synthesis.engines.scan.constant import entries_at, output_values, outputs_by_lookback
from headrace.synthesis.engines.scan.sorting import Queries, sort_queries
from headrace.synthesis.engines.scan.streams import (
    Stream,
    aggregate_stream,
    last_entries,
    live_entries,
    make_stream,
    operations,
)
from headrace.synthesis.engines.stacked.cutting import Evaluate, StepBatch
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.history.steps import Steps
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.inputs import time_varying
from headrace.synthesis.language.values import Flags, Ints
from headrace.synthesis.planning.plan import ColumnPlan, Group, Output, fans_out
from headrace.synthesis.primitives.catalogue import aggregate

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

#: A column plan with those of its outputs that are computed together.
_Members = Sequence[tuple[ColumnPlan, list[Output]]]


def time_varying_outputs(
    sources: Sources,
    group: Group,
    column_plans: Sequence[ColumnPlan],
    keys: Sequence[pa.Array],
    ticks: Ints,
    evaluate: Evaluate,
) -> Iterator[tuple[Output, ColumnValues]]:
    """Compute the outputs of time-varying columns of a group.

    Args:
        sources: the tables.
        group: of a plan.
        column_plans: of the group.
        keys: the join columns of the queries [queries].
        ticks: in us [queries].
        evaluate: evaluates definitions relative to rows.

    Yields:
        An output and its values [queries].
    """
    batches: dict[tuple[tuple[str, ...], str, bool], list[tuple[ColumnPlan, list[Output]]]] = {}
    for column_plan in column_plans:
        across = any(fans_out(sources.problem, group.table, item) for item in column_plan.relative)
        for on in ("known", "event"):
            outputs = [output for output in column_plan.outputs if output.on == on]
            if outputs:
                batches.setdefault((column_plan.used, on, across), []).append((column_plan, outputs))
    for (used, on, across), members in batches.items():
        batch = StepBatch(sources, group, used, on == "event", keys, ticks, evaluate)
        yield from _batch_outputs(batch, members, across)


def _batch_outputs(batch: StepBatch, members: _Members, across: bool) -> Iterator[tuple[Output, ColumnValues]]:
    relative = list(dict.fromkeys(item for column_plan, _ in members for item in column_plan.relative))
    lookbacks = [output.lookback_us for _, outputs in members for output in outputs]
    finite = [lookback_us for lookback_us in lookbacks if lookback_us is not None]
    longest_us = max(finite) if len(finite) == len(lookbacks) else None
    steps = batch.steps([] if across else time_varying(relative), longest_us)
    step_codes, query_codes = batch.key_codes(steps)
    queries = sort_queries(query_codes, batch.ticks)
    positions = np.where(queries.null, -1, queries.inverse)
    rows, instants = batch.asserted.row[steps.assertion], steps.since + 1
    values = {} if across else batch.evaluate(batch.sources, batch.rows, rows, instants, relative)
    for column_plan, outputs in members:
        results: Iterator[tuple[Output, ColumnValues]]
        if not across:
            results = _swept(batch, column_plan, outputs, steps, step_codes, queries, values)
        elif reads_last_rows(column_plan):
            results = _evaluated_at_last_rows(batch, column_plan, outputs, steps, step_codes, queries)
        else:
            results = _evaluated_per_query(batch, column_plan, outputs, steps, step_codes, queries)
        for output, result in results:
            yield output, result.take(positions)


def reads_last_rows(column_plan: ColumnPlan) -> bool:
    """Whether the outputs of a column need only the last row of each query, without a condition on it."""
    return column_plan.where is None and {output.primitive for output in column_plan.outputs} == {"last"}


def _evaluated_at_last_rows(
    batch: StepBatch, column_plan: ColumnPlan, outputs: list[Output], steps: Steps, codes: Ints, queries: Queries
) -> Iterator[tuple[Output, ColumnValues]]:
    """Evaluate the value for the last row in each query's lookback, at the query's tick."""
    stream = _stream(batch, steps, codes, None, codes >= 0)
    for output in outputs:
        entry = last_entries(stream, queries, output.lookback_us)
        some = np.flatnonzero(entry >= 0)
        rows = batch.asserted.row[stream.assertion[entry[some]]]
        relative_values = batch.evaluate(batch.sources, batch.rows, rows, queries.tick[some], column_plan.relative)
        values = _aggregated(batch, column_plan, rows, relative_values)
        assert values is not None  # `last` aggregates a value
        place = np.full(len(entry), -1, dtype=np.int64)
        place[some] = np.arange(len(some))
        yield output, values.take(place)


def _swept(
    batch: StepBatch,
    column_plan: ColumnPlan,
    outputs: list[Output],
    steps: Steps,
    codes: Ints,
    queries: Queries,
    relative_values: dict[Definition, ColumnValues],
) -> Iterator[tuple[Output, ColumnValues]]:
    """Aggregate the values of the steps by sweeps."""
    values = _aggregated(batch, column_plan, batch.asserted.row[steps.assertion], relative_values)
    included = codes >= 0
    if column_plan.where is not None:
        included = included & relative_values[column_plan.where.on].meets(column_plan.where)
    stream = _stream(batch, steps, codes, values, included)
    for lookback_us, of_lookback in outputs_by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in of_lookback))
        results = aggregate_stream(stream, queries, lookback_us, names)
        for output in of_lookback:
            yield output, output_values(output, results[output.primitive], values)


def _evaluated_per_query(
    batch: StepBatch, column_plan: ColumnPlan, outputs: list[Output], steps: Steps, codes: Ints, queries: Queries
) -> Iterator[tuple[Output, ColumnValues]]:
    """Evaluate the values anew for each row in a query's lookback, at the query's tick, and aggregate them."""
    stream = _stream(batch, steps, codes, None, codes >= 0)
    for lookback_us, of_lookback in outputs_by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in of_lookback))
        parts: dict[str, list[ColumnValues]] = {output.slug: [] for output in of_lookback}
        for which, size, live in live_entries(stream, operations(stream, queries, lookback_us)):
            query = np.repeat(np.arange(len(which)), size)
            rows, ticks = batch.asserted.row[stream.assertion[live]], queries.tick[which][query]
            relative_values = batch.evaluate(batch.sources, batch.rows, rows, ticks, column_plan.relative)
            values = _aggregated(batch, column_plan, rows, relative_values)
            place = np.arange(len(live))
            if column_plan.where is not None:
                place = np.flatnonzero(relative_values[column_plan.where.on].meets(column_plan.where))
            lo, hi = (np.searchsorted(query[place], np.arange(len(which)), side=side) for side in _SIDES)
            entries = entries_at(values, place, query[place], stream.entries.anchor[live][place])
            results = aggregate(entries, lo, hi, names)
            for output in of_lookback:
                parts[output.slug].append(output_values(output, results[output.primitive], values))
        for output in of_lookback:
            yield output, ColumnValues.concatenate(parts[output.slug])


def _aggregated(
    batch: StepBatch, column_plan: ColumnPlan, rows: Ints, relative_values: dict[Definition, ColumnValues]
) -> ColumnValues | None:
    """The values that a column plan aggregates at row numbers [k]; None where rows themselves are counted."""
    if column_plan.value is not None:
        return relative_values[column_plan.value]
    return batch.rows.column_values(column_plan.column).take(rows) if column_plan.column else None


def _stream(batch: StepBatch, steps: Steps, codes: Ints, values: ColumnValues | None, included: Flags) -> Stream:
    """The included steps as a stream; neighbouring steps of an assertion with the same value are one entry."""
    identity = values.identity if values is not None else np.zeros(len(steps), dtype=np.int64)
    first = np.ones(len(steps), dtype=np.bool_)
    first[1:] = (steps.assertion[1:] != steps.assertion[:-1]) | (codes[1:] != codes[:-1])
    first[1:] |= (identity[1:] != identity[:-1]) | (included[1:] != included[:-1])
    starts = np.flatnonzero(first)
    until = steps.until[np.concatenate([starts[1:], [len(steps)]]) - 1] if len(steps) else steps.until
    in_stream = included[starts]
    starts, until = starts[in_stream], until[in_stream]
    assertion = steps.assertion[starts]
    anchor = batch.asserted.anchor[assertion]
    order = np.lexsort((assertion, anchor, codes[starts]))
    starts, assertion, anchor, until = starts[order], assertion[order], anchor[order], until[order]
    entries = entries_at(values, starts, codes[starts], anchor)
    return make_stream(entries, assertion, steps.since[starts], until, int(codes.max(initial=-1)) + 1)
