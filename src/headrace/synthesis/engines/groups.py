"""Compute all features of one plan group: sort its rows once, deduplicate the queries, evaluate each column.

Columns whose values never change after they become known are computed from the rows inside the longest lookback where
these suffice, from all rows of the queried keys else. Time-varying columns are computed by `stacked`, which evaluates
the definitions below them through `evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from headrace.synthesis.engines.scan.constant import constant_outputs
from headrace.synthesis.engines.scan.lookback_range import (
    beyond_lookback,
    inside_lookback,
    is_latest_value,
    longest_lookback,
    rows_known_between,
    subset_outputs,
)
from headrace.synthesis.engines.scan.sorting import Queries, sort_group, sort_queries
from headrace.synthesis.engines.stacked.time_varying import time_varying_outputs
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.row_subset import subset_with_versions
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.history.running_values import running_values
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, RowColumn, Stored, leaves
from headrace.synthesis.language.inputs import join_columns, time_varying
from headrace.synthesis.language.values import Ints, as_array
from headrace.synthesis.planning.plan import ColumnPlan, Group, Output, depends_on_tick, make_plan
from headrace.synthesis.primitives.finish import finish


def group_outputs(
    sources: Sources, group: Group, join_values: Mapping[str, pa.Array], ticks: Ints
) -> Iterator[tuple[str, ColumnValues]]:
    """Every output of a group.

    Args:
        sources: the tables.
        group: of a plan.
        join_values: the join columns by name [queries].
        ticks: in us [queries].

    Yields:
        The slug of an output and its values [queries].
    """
    rows = sources.rows(group.table)
    keys = [join_values[column] for column in group.join_keys]
    constant = [column_plan for column_plan in group.columns if group.is_constant(column_plan)]
    if constant:
        yield from _constant_outputs(rows, group, constant, keys, ticks)
    others = [column_plan for column_plan in group.columns if not group.is_constant(column_plan)]
    for output, values in time_varying_outputs(sources, group, others, keys, ticks, evaluate):
        yield output.slug, values


def _constant_outputs(
    rows: Rows, group: Group, column_plans: Sequence[ColumnPlan], keys: Sequence[pa.Array], ticks: Ints
) -> Iterator[tuple[str, ColumnValues]]:
    """Outputs of columns whose values never change once known: from recent rows where these suffice, from all else."""
    lookback_us = longest_lookback(column_plans)
    recent = None
    if lookback_us is not None and len(ticks):
        recent = rows_known_between(rows, group.clock, int(ticks.min()) - lookback_us, int(ticks.max()))
    if recent is None or lookback_us is None:
        for output, values in _sorted_outputs(rows, group, column_plans, keys, ticks):
            if values is not None:
                yield output.slug, values
        return
    latest = {output.slug for plan in column_plans for output in plan.outputs if is_latest_value(output)}
    needs_all_rows: set[str] = set()
    latest_values: dict[str, ColumnValues] = {}
    near = list(inside_lookback(column_plans, lookback_us))
    for output, values in _sorted_outputs(recent, group, near, keys, ticks, partial=True):
        if values is None:
            needs_all_rows.add(output.slug)
        elif output.slug in latest:
            latest_values[output.slug] = values
        else:
            yield output.slug, values
    yield from _complete_latest(rows, group, column_plans, keys, ticks, latest_values)
    for output, values in _outputs_of_keys(
        rows, group, list(beyond_lookback(column_plans, needs_all_rows)), keys, ticks
    ):
        yield output.slug, values


def _complete_latest(
    rows: Rows,
    group: Group,
    column_plans: Sequence[ColumnPlan],
    keys: Sequence[pa.Array],
    ticks: Ints,
    latest_values: dict[str, ColumnValues],
) -> Iterator[tuple[str, ColumnValues]]:
    """Latest values; queries for which recent rows have none are computed again from all rows of their keys."""
    incomplete = np.zeros(len(ticks), dtype=np.bool_)
    for values in latest_values.values():
        incomplete |= values.is_missing
    queries = np.flatnonzero(incomplete)
    if len(queries):
        some_keys = [values.take(pa.array(queries)) for values in keys]
        plans = list(subset_outputs(column_plans, lambda output: output.slug in latest_values))
        for output, values in _outputs_of_keys(rows, group, plans, some_keys, ticks[queries]):
            latest_values[output.slug] = latest_values[output.slug].replace_at(queries, values)
    yield from latest_values.items()


def _outputs_of_keys(
    rows: Rows, group: Group, column_plans: Sequence[ColumnPlan], keys: Sequence[pa.Array], ticks: Ints
) -> Iterator[tuple[Output, ColumnValues]]:
    """Outputs from all rows of the queried keys, and no other rows where these are few."""
    if not column_plans:
        return
    codes = _only_queried(rows.key_codes(group.keys), rows.keys(group.keys).find(keys))
    subset = subset_with_versions(rows, codes >= 0)
    for output, values in _sorted_outputs(subset or rows, group, column_plans, keys, ticks):
        if values is not None:
            yield output, values


def _sorted_outputs(
    rows: Rows,
    group: Group,
    column_plans: Sequence[ColumnPlan],
    keys: Sequence[pa.Array],
    ticks: Ints,
    *,
    partial: bool = False,
) -> Iterator[tuple[Output, ColumnValues | None]]:
    """Outputs of constant columns [queries] from sorted rows. partial: see `constant_outputs`."""
    if not column_plans:
        return
    codes, query_codes = rows.key_codes(group.keys), rows.keys(group.keys).find(keys)
    codes = _only_queried(codes, query_codes)
    query_codes = np.where(query_codes > codes.max(initial=-1), -2, query_codes)  # keys of the table without rows here
    sort, queries = sort_group(rows, group.clock, codes), sort_queries(query_codes, ticks)
    for column_plan in column_plans:
        for output, values in constant_outputs(rows, sort, queries, column_plan, partial=partial):
            yield output, None if values is None else values.take(_query_positions(queries))


def _only_queried(codes: Ints, query_codes: Ints) -> Ints:
    """Key codes of rows [n], -1 where no query has the key; the results of a key depend on no other key."""
    queried = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.bool_)  # the last is for -1
    queried[query_codes[(query_codes >= 0) & (query_codes < len(queried) - 1)]] = True
    return codes if queried[:-1].all() else np.where(queried[codes], codes, -1)


def _query_positions(queries: Queries) -> Ints:
    """The position of each query's result among the distinct queries [queries]; -1 for a null key."""
    return np.where(queries.null, -1, queries.inverse) if queries.null.any() else queries.inverse


def evaluate(
    sources: Sources, rows: Rows, at: Ints, ticks: Ints, definitions: Sequence[Definition]
) -> dict[Definition, ColumnValues]:
    """Evaluate definitions relative to rows of a table.

    Args:
        sources: the tables.
        rows: of the table.
        at: row numbers [m].
        ticks: the instant to evaluate each at, in us [m].
        definitions: relative to a row of the table.

    Returns:
        The values [m] of each definition.
    """
    varying = time_varying(definitions)
    result: dict[Definition, ColumnValues] = {}
    stored = [leaf for leaf in varying if isinstance(leaf, Direct | Aggregate)]
    result.update(_stored_values(sources, rows, at, ticks, stored))
    for leaf in varying:
        if isinstance(leaf, Grouped):
            result[leaf] = running_values(sources, leaf, at, ticks)
    for definition in definitions:
        if definition in result:
            continue
        if not time_varying([definition]) and not depends_on_tick(definition):
            result[definition] = rows.constant_values(definition).take(at)
            continue
        below = list(dict.fromkeys(leaves(definition)))
        columns = {
            leaf.column: rows.raw(leaf.column).take(pa.array(at)) for leaf in below if isinstance(leaf, RowColumn)
        }
        others = {leaf.slug: result[leaf].arrow(leaf.kind) for leaf in below if not isinstance(leaf, RowColumn)}
        values = finish([definition], others, columns, ticks, ticks)[definition.slug]
        result[definition] = ColumnValues.of(as_array(values), definition.kind)
    return result


def _stored_values(
    sources: Sources, rows: Rows, at: Ints, ticks: Ints, definitions: Sequence[Stored]
) -> Iterator[tuple[Definition, ColumnValues]]:
    if not definitions:
        return
    names = {name for item in definitions for name in join_columns(item.entity)}
    join_values = {name: plain(rows.raw(name)).take(pa.array(at)) for name in names}
    by_slug = {definition.slug: definition for definition in definitions}
    for group in make_plan(sources.problem, definitions, inner=True).groups:
        for slug, values in group_outputs(sources, group, join_values, ticks):
            yield by_slug[slug], values
