"""Aggregations over columns whose values never change after they become known.

A lookback is a range of positions in the sort of the rows, mapped to positions among the rows that start an assertion.
Where an assertion inside a range was superseded before the tick, and for lookbacks on event time, a stream is swept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines.scan import kernels
from headrace.synthesis.engines.scan.sorting import GroupSort, Queries, find_bounds
from headrace.synthesis.engines.scan.streams import HISTORY_DEPENDENT, Stream, aggregate_stream, make_stream
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.plan import ColumnPlan, Output
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries


def constant_outputs(
    rows: Rows, sort: GroupSort, queries: Queries, column_plan: ColumnPlan, *, partial: bool = False
) -> Iterator[tuple[Output, ColumnValues | None]]:
    """Compute the outputs of one column.

    Args:
        rows: of the group's table.
        sort: of these rows.
        queries: distinct and sorted [m].
        column_plan: the column and its outputs.
        partial: whether the rows are only those that the lookbacks can reach. Then the values are None where they
            need the other rows too: sums whose bits depend on superseded rows before the lookback.

    Yields:
        An output and its values [m].
    """
    yield from _on_event_time(rows, sort, queries, column_plan)
    yield from _on_known_time(rows, sort, queries, column_plan, partial)


def _on_known_time(
    rows: Rows, sort: GroupSort, queries: Queries, column_plan: ColumnPlan, partial: bool
) -> Iterator[tuple[Output, ColumnValues | None]]:
    """Lookbacks on known time: ranges of positions; a stream for queries with a superseded entry in their range."""
    outputs = [output for output in column_plan.outputs if output.on == "known"]
    if not outputs:
        return
    asserted = _asserted(rows, sort, column_plan, on_event=False)
    values = _column_values(rows, column_plan)
    entries = entries_at(values, asserted.row, asserted.key, asserted.known)
    stream: Stream | None = None
    for lookback_us, of_lookback in outputs_by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in of_lookback))
        lo, mid, hi = (asserted.position(place) for place in find_bounds(sort, queries, lookback_us))
        results = aggregate(entries, lo, hi, names, mid)
        superseded = _superseded(asserted.until, lo, hi, queries)
        if len(superseded) and partial:
            yield from ((output, None) for output in of_lookback if output.primitive in HISTORY_DEPENDENT)
            of_lookback = [output for output in of_lookback if output.primitive not in HISTORY_DEPENDENT]
            names = tuple(name for name in names if name not in HISTORY_DEPENDENT)
        if len(superseded) and names:
            stream = stream or _stream(asserted, values, asserted.known, len(sort.start))
            for name, result in aggregate_stream(stream, queries.take(superseded), lookback_us, names).items():
                results[name][superseded] = result
        for output in of_lookback:
            yield output, output_values(output, results[output.primitive], values)


def _on_event_time(
    rows: Rows, sort: GroupSort, queries: Queries, column_plan: ColumnPlan
) -> Iterator[tuple[Output, ColumnValues]]:
    """Lookbacks on event time: a stream."""
    outputs = [output for output in column_plan.outputs if output.on == "event"]
    if not outputs:
        return
    asserted = _asserted(rows, sort, column_plan, on_event=True)
    values = _column_values(rows, column_plan)
    stream = _stream(asserted, values, rows.event()[asserted.row], len(sort.start))
    for lookback_us, of_lookback in outputs_by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in of_lookback))
        results = aggregate_stream(stream, queries, lookback_us, names)
        for output in of_lookback:
            yield output, output_values(output, results[output.primitive], values)


def _column_values(rows: Rows, column_plan: ColumnPlan) -> ColumnValues | None:
    """The values that a column plan aggregates [rows]; None where rows themselves are counted."""
    if column_plan.value is not None:
        return rows.constant_values(column_plan.value)
    return rows.column_values(column_plan.column) if column_plan.column else None


def _stream(asserted: _Asserted, values: ColumnValues | None, anchor: Ints, keys: int) -> Stream:
    until = np.full(len(asserted.row), NEVER, dtype=np.int64) if asserted.until is None else asserted.until
    order = np.lexsort((anchor, asserted.key))
    order = order[anchor[order] < NEVER]
    return make_stream(
        entries_at(values, asserted.row[order], asserted.key[order], anchor[order]),
        order,
        np.maximum(asserted.known, anchor)[order],
        until[order],
        keys,
    )


@dataclass(frozen=True, kw_only=True)
class _Asserted:
    """The rows of a sort that start an assertion of a column [n].

    Attributes:
        row: row number.
        key: key code.
        known: since when it is known, in us.
        until: until when it holds, in us; None where nothing is ever superseded.
        before: how many of them stand before each position of the sort; None: all rows do.
    """

    row: Ints
    key: Ints
    known: Ints
    until: Ints | None
    before: Ints | None

    def position(self, place: Ints) -> Ints:
        """Positions in the sort as positions among these."""
        return place if self.before is None else self.before[place]


def _asserted(rows: Rows, sort: GroupSort, column_plan: ColumnPlan, on_event: bool) -> _Asserted:
    versions = rows.versions()
    if versions is None and column_plan.where is None:  # every row is its key's only version
        return _Asserted(row=sort.row, key=sort.key, known=sort.known, until=None, before=None)
    of_column = tuple(filter(None, [column_plan.column]))
    columns = column_plan.used if column_plan.value is not None or column_plan.where is not None else of_column
    effective, known = rows.effective_versions(sort.clock), rows.known(sort.clock)
    starts, until = assertions(versions, effective, known, sort.codes, rows.joint_identity(columns, on_event))
    if column_plan.where is not None:
        starts = starts & rows.constant_values(column_plan.where.on).meets(column_plan.where)
    in_sort = starts[sort.row]
    places = np.flatnonzero(in_sort)
    row = sort.row[places]
    before = np.concatenate([[0], np.cumsum(in_sort)])
    return _Asserted(row=row, key=sort.key[places], known=sort.known[places], until=until[row], before=before)


def entries_at(values: ColumnValues | None, row: Ints, key: Ints, anchor: Ints) -> Entries:
    """The values of some rows as entries; the rows themselves where there are no values."""
    return Entries(key=key, anchor=anchor) if values is None else values.take(row).entries(key, anchor)


def outputs_by_lookback(outputs: list[Output]) -> dict[int | None, list[Output]]:
    """Outputs grouped by their lookback in us."""
    groups: dict[int | None, list[Output]] = {}
    for output in outputs:
        groups.setdefault(output.lookback_us, []).append(output)
    return groups


def output_values(output: Output, result: npt.NDArray[Any], values: ColumnValues | None) -> ColumnValues:
    """The result of a kernel [m] as values of the output's kind; values: of the aggregated column, for its names."""
    if result.ndim > 1:
        result = result[:, output.part]
    if output.kind in ("categorical", "text"):
        if values is None or values.code is None:
            raise TypeError("a column without categories")
        return ColumnValues(code=result.astype(np.int64), names=values.names)
    return ColumnValues(instant=result.astype(np.int64)) if output.kind == "time" else ColumnValues(number=result)


def _superseded(until: Ints | None, lo: Ints, hi: Ints, queries: Queries) -> Ints:
    """The queries with an entry in their range that ended before the tick; this depends on their own range alone."""
    if until is None or not len(until) or until.min() == NEVER:
        return np.empty(0, dtype=np.int64)
    flags = np.zeros(len(lo), dtype=np.bool_)
    kernels.ended(until, lo, hi, queries.tick, flags)
    return np.flatnonzero(flags)
