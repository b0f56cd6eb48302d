"""How much memory the groups of an entity take, estimated from rows, columns and sorts before anything is computed.

  part                     unit                what for
  tables                   bytes               passes over whole tables, whatever is queried
  query                    bytes a query       sorting the queries, bounds of the lookbacks, results being computed
  result                   bytes a query       results, in memory until they are written
  history [distinct keys]  bytes a key         a key's own rows: sorted, summed, cut into steps

A row of a time-varying column is cut into steps, about as many as there are rows below it. Groups run a few at a time,
the columns of a group one after the other: the largest count. The constants were fitted to measured peaks
(tests/synthesis/test_memory_limit.py compares some of them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.synthesis.engines.scan.streams import LIVE_AT_ONCE, is_swept
from headrace.synthesis.engines.stacked.time_varying import reads_last_rows
from headrace.synthesis.history.key_paths import key_ends
from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.definitions import Definition, Grouped
from headrace.synthesis.language.inputs import join_columns, relative, time_varying, used_columns
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.planning.plan import ColumnPlan, Group, as_aggregate, fans_out

#: Bytes of a row of a table in passes over it (codes, ranks and masks), and in each column and clock derived of it.
_PASS, _COLUMN = 80, 16
#: Bytes of a row in the sort of its group, and of an entry of a column with the sums of its kernels.
_SORTED, _ENTRY = 56, 110
#: Bytes of a step, and of each inner value of it.
_STEP, _INNER = 330, 40
#: Bytes of a query: sorted; of the bounds of each lookback; of each result being computed; of a sweep's tables.
_SORTED_QUERY, _BOUNDS, _RESULT, _SWEPT = 96, 16, 12, 160
#: Bytes of a live entry that is listed, and of one whose value is computed per query.
_LIVE, _ACROSS = 72, 240


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """See the module's head."""

    tables: float
    query: float
    result: float
    history: Floats

    def part_bytes(self, queries: int, history: float) -> float:
        """Bytes of a part with so many queries, and so much history, beside what is derived once."""
        return self.tables + (self.query + self.result) * queries + history


def estimate_entity(
    sources: Sources, groups: Sequence[Group], join_values: Mapping[str, pa.Array], codes: Ints, threads: int
) -> MemoryEstimate:
    """Estimate an entity's groups, `threads` of them computed at a time.

    Args:
        sources: the tables.
        groups: of one entity.
        join_values: its join columns, by name [queries].
        codes: code of each query's key, without gaps, -1 for null [queries].
        threads: how many groups are computed at a time.
    """
    each = sorted(
        (_estimate_group(sources, group, join_values, codes) for group in groups),
        key=lambda estimate: -estimate.part_bytes(len(codes), float(estimate.history.sum())),
    )
    at_once = each[:threads]
    return MemoryEstimate(
        tables=sum(estimate.tables for estimate in at_once),
        query=sum(estimate.query for estimate in at_once),
        result=sum(estimate.result for estimate in each) + 16 * len(join_values),
        history=np.sum([estimate.history for estimate in at_once], axis=0),
    )


def derived_bytes(sources: Sources, groups: Sequence[Group]) -> float:
    """Bytes of the columns and clocks of whole tables that all groups share."""
    shared: set[tuple[str, object]] = set()
    for group in groups:
        shared |= {(group.table, group.clock), (group.table, "versions")}
        for column_plan in group.columns:
            shared |= {(group.table, column) for column in column_plan.used}
            shared |= set(_reads(sources, column_plan.relative))
    return float(sum(sources.rows(table).data.num_rows * _COLUMN for table, _ in shared))


def _reads(sources: Sources, definitions: Sequence[Definition]) -> Iterator[tuple[str, object]]:
    """(table, column) of everything that definitions read, however deep."""
    for leaf in time_varying(definitions):
        if isinstance(leaf, Grouped):
            yield from ((leaf.table, column) for column in (*leaf.keys, leaf))
            continue
        item = as_aggregate(sources.problem, leaf)
        yield from ((item.table, column) for column in (*used_columns(item, item.keys), "clock", "versions"))
        yield from _reads(sources, relative(item))


def result_bytes(groups: Sequence[Group]) -> float:
    """Bytes of the results of one query."""
    return float(
        sum(
            _value_bytes(output.kind)
            for group in groups
            for column_plan in group.columns
            for output in column_plan.outputs
        )
    )


def _value_bytes(kind: str) -> float:
    return 20.0 if kind in ("categorical", "text") else 8.2


def _estimate_group(sources: Sources, group: Group, join_values: Mapping[str, pa.Array], codes: Ints) -> MemoryEstimate:
    rows = sources.rows(group.table)
    stacked = [column_plan for column_plan in group.columns if not group.is_constant(column_plan)]
    constant = [column_plan for column_plan in group.columns if group.is_constant(column_plan)]
    tables = [
        group.table,
        *dict.fromkeys(leaf.table for column_plan in stacked for leaf in time_varying(column_plan.relative)),
    ]
    lines = sum(sources.rows(name).data.num_rows for name in tables)
    table = lines * _PASS
    batches = [
        max((_results_at_once(column_plan) for column_plan in column_plans), default=0.0)
        for column_plans in (constant, stacked)
    ]
    lookbacks = {output.lookback_us for column_plan in group.columns for output in column_plan.outputs}
    query = _SORTED_QUERY + _BOUNDS * len(lookbacks) + _RESULT * max(batches) + (_SWEPT if stacked else 0)
    pairs = len(codes) * (1 if all(map(reads_last_rows, stacked)) else rows.data.num_rows)
    table += _live_entry_bytes(sources, rows, group, stacked) * min(LIVE_AT_ONCE, pairs)
    return MemoryEstimate(
        tables=float(table),
        query=float(query),
        result=result_bytes([group]),
        history=_history(sources, rows, group, constant, stacked, join_values, codes),
    )


def _live_entry_bytes(sources: Sources, rows: Rows, group: Group, stacked: Sequence[ColumnPlan]) -> int:
    """Bytes of each live entry that has to be listed; 0 where sweeps or positions do."""
    if any(fans_out(sources.problem, group.table, item) for column_plan in stacked for item in column_plan.relative):
        return _ACROSS
    streamed = group.columns if rows.versions() is not None else stacked
    listed = [
        o for column_plan in group.columns for o in column_plan.outputs if column_plan in streamed or o.on == "event"
    ]
    return 0 if all(is_swept(output.primitive) for output in listed) else _LIVE


def _results_at_once(column_plan: ColumnPlan) -> float:
    """How many results of a column are computed at once: those of one lookback."""
    by_lookback: dict[int | None, int] = {}
    for output in column_plan.outputs:
        by_lookback[output.lookback_us] = by_lookback.get(output.lookback_us, 0) + 1
    return 1.0 + max(by_lookback.values(), default=0)


def _history(
    sources: Sources,
    rows: Rows,
    group: Group,
    constant: Sequence[ColumnPlan],
    stacked: Sequence[ColumnPlan],
    join_values: Mapping[str, pa.Array],
    codes: Ints,
) -> Floats:
    """Bytes of each key's rows [distinct keys]."""
    history = np.zeros(int(codes.max(initial=-1)) + 1)
    if not rows.data.num_rows or not len(history):
        return history
    each = np.full(rows.data.num_rows, float(_SORTED + _ENTRY) if constant else 0.0)
    for column_plan in stacked:
        inner = time_varying(column_plan.relative)
        across = any(fans_out(sources.problem, group.table, item) for item in column_plan.relative)
        many = np.ones(len(each)) if across else _steps(sources, group.table, column_plan.relative)
        each = np.maximum(each, many * (_STEP + _INNER * len(inner)))
    row_codes, query_codes = encode_pairs(
        [key_ends(sources, rows, key)[0] for key in group.keys], [join_values[n] for n in group.join_keys]
    )
    by_key = _sum_by_code(row_codes, each, int(query_codes.max(initial=-1)) + 1)
    has_rows = (query_codes >= 0) & (codes >= 0)
    history[codes[has_rows]] = by_key[query_codes[has_rows]]
    return history


def _steps(sources: Sources, table: str, definitions: Sequence[Definition]) -> Floats:
    """About how many steps each row of a table is cut into by definitions relative to it [rows]."""
    rows = sources.rows(table)
    changes: dict[tuple[str, ...], Floats] = {}
    for leaf in time_varying(definitions):
        if isinstance(leaf, Grouped):
            changes[leaf.table, "in its group"] = np.ones(rows.data.num_rows)
            continue
        item = as_aggregate(sources.problem, leaf)
        below = _steps(sources, item.table, relative(item)) * (1 if item.lookback_us is None else 2)
        inner = sources.rows(item.table)
        row_codes, query_codes = encode_pairs(
            [key_ends(sources, inner, key)[0] for key in item.keys],
            [plain(rows.raw(column)) for column in join_columns(leaf.entity)],
        )
        total = _sum_by_code(row_codes, below, int(query_codes.max(initial=-1)) + 1)
        some = np.where(query_codes >= 0, np.append(total, 0.0)[np.maximum(query_codes, 0)], 0.0)
        place = (item.table, *item.keys)
        changes[place] = np.maximum(changes[place], some) if place in changes else some
    steps: Floats = np.sum([np.ones(rows.data.num_rows), *changes.values()], axis=0, dtype=np.float64)
    return steps


def _sum_by_code(codes: Ints, values: Floats, size: int) -> Floats:
    """The sum of the values of each code [at least size]; codes below 0 are left out."""
    valid = codes >= 0
    return np.asarray(np.bincount(codes[valid], weights=values[valid], minlength=size), dtype=np.float64)
