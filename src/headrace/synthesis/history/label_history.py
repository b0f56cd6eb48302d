"""The label history of a schedule: for each entity and earlier cutoff its label, from the instant it was mature.

A row is a key and a cutoff. It becomes known when its label is mature (`spine.horizon` says when that is). A late row,
a correction, or a value that settles late gives it a new version, known from then on: at a tick t the table tells the
labels that a training run just before t would have computed.

  pair        a key and a cutoff of the schedule; its maturity is the end of its horizon, and the declared delay
  interval    a version of a row of the label's table, from `since` (it came) until `until` (the next version came); its
              values are settled from `settled` on
  query       a pair at an instant at or after its maturity at which its label may change
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.schema import DUE, Every, HorizonLabel, Problem, Table
from headrace.schema.expressions import OPERATORS
from headrace.schema.label_history import LABEL_KNOWN, PAST_LABEL
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.keys import encode_pairs, encode_rows, plain
from headrace.synthesis.history.known_time import declared_delay_us, effective_known
from headrace.synthesis.history.schedule import rank, scheduled_rows
from headrace.synthesis.history.steps import last_before
from headrace.synthesis.history.versions import effective_versions
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of
from headrace.synthesis.language.definitions import Condition, RowColumn
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_columns
from headrace.synthesis.language.values import Flags, Floats, Ints, as_array, instants
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries

#: Pairs of a cutoff and an interval that are compared at a time.
_AT_ONCE = 2_000_000


@dataclass(frozen=True, kw_only=True)
class _Intervals:
    """Versions of rows [n], by (key, event, order of appending).

    Attributes:
        row: row number.
        event: event time in us.
        since: when the version came, in us.
        until: when the next one came, in us; NEVER where none did.
        settled: since when all that the label reads of it is known, in us.
        start: position of each key's first interval [keys + 1].
    """

    row: Ints
    event: Ints
    since: Ints
    until: Ints
    settled: Ints
    start: Ints


def label_history_rows(problem: Problem, snapshot: Tables) -> pa.Table:
    """All versions of the rows of the label history: key, `due`, `label`, `label_known`, and what the lake adds."""
    spine, label = problem.spine, problem.label_expression
    assert isinstance(spine, Every)  # the table is derived for nothing else
    assert isinstance(label, HorizonLabel)
    keys, cutoffs = scheduled_rows(problem, spine, snapshot, NEVER - 1)
    computation = _Computation(problem, label, snapshot, keys, cutoffs)
    parts = [computation.versions(low, high) for low, high in computation.chunks()]
    none = np.empty(0, dtype=np.int64)
    pair = np.concatenate([none, *(part[0] for part in parts)])
    known = np.concatenate([none, *(part[1] for part in parts)])
    value = np.concatenate([np.empty(0), *(part[2] for part in parts)])
    by_time = np.lexsort((rank(keys)[pair], cutoffs[pair], known))
    pair, known, value = pair[by_time], known[by_time], value[by_time]
    labels = pa.array(value == 1.0, mask=np.isnan(value)) if label.binary else pa.array(value, from_pandas=True)
    time = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            problem.spine_table.keys[0]: keys.take(pa.array(pair)),
            DUE: pa.array(cutoffs[pair]).cast(time),
            PAST_LABEL: labels,
            LABEL_KNOWN: pa.array(known).cast(time),
            ARRIVAL: pa.array(np.full(len(pair), BEFORE_ALL, dtype=np.int64)),
            ORDER: pa.array(np.arange(len(pair), dtype=np.int64)),
        }
    )


class _Computation:
    """The labels of pairs, from the intervals of the label's table and of the entity's own."""

    def __init__(self, problem: Problem, label: HorizonLabel, snapshot: Tables, keys: pa.Array, cutoffs: Ints) -> None:
        entity, links = problem.label_entity(label)
        table = problem.entity_set.table(label.table)
        assert table.time is not None  # a Problem without it cannot be declared
        self._label, self._cutoffs = label, cutoffs
        self._rows = _read(table, (*links, *label.columns), snapshot)
        self.end = cutoffs + label.horizon_us
        clock = clock_of(problem, table, (*links, table.time, *label.columns))
        self._mature = self.end + declared_delay_us(table, clock)
        events = instants(self._rows[table.time])
        self._codes, self._events = _intervals(problem, table, clock, self._rows, links[0], keys, events)
        self._ends: _Intervals | None = None
        if label.until is not None and entity.parent is not None:
            parent = problem.entity_set.table(entity.parent[0])
            rows = _read(parent, (entity.parent[1], label.until), snapshot)
            clock = clock_of(problem, parent, (*parent.keys, label.until))
            self._until = instants(rows[label.until])
            _, self._ends = _intervals(problem, parent, clock, rows, entity.parent[1], keys, np.zeros_like(self._until))
        self._value = ColumnValues.of(as_array(self._rows[label.of])) if label.of else None
        self._low, self._high = self._inside(self._cutoffs), self._inside(self.end)

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Ranges of pairs with not too many intervals each."""
        before = np.cumsum(self._high - self._low + 1) // _AT_ONCE
        edges = [0, *(np.flatnonzero(np.diff(before)) + 1).tolist(), len(self._cutoffs)]
        yield from pairwise(edges)

    def versions(self, low: int, high: int) -> tuple[Ints, Ints, Floats]:
        """Pair, instant in us and label (NaN: not known any more) of each version [k] of the pairs [low, high)."""
        pairs = np.arange(low, high)
        pair, at = self._queries(pairs)
        label = self._labels(pair, at)
        first = np.ones(len(pair), dtype=np.bool_)
        first[1:] = pair[1:] != pair[:-1]
        before = np.where(first, np.nan, np.concatenate([[np.nan], label[:-1]])[: len(label)])
        changed = ~((label == before) | (np.isnan(label) & np.isnan(before)))
        return pair[changed], at[changed], label[changed]

    def _inside(self, at: Ints) -> Ints:
        """How many intervals lie before the first of each pair's key at or after an instant [pairs]."""
        start = self._events.start
        place = last_before(self._events.event, start[:-1], start[1:], self._codes, at)
        return np.where(place >= 0, place + 1, start[self._codes])

    def _queries(self, pairs: Ints) -> tuple[Ints, Ints]:
        """The instants at which the labels of pairs may change: pair and instant [k], sorted."""
        all_pairs, all_instants = [pairs], [self._mature[pairs]]
        member, place = _expand(self._low[pairs], self._high[pairs])
        for times in (self._events.since, self._events.until, self._events.settled):
            all_pairs.append(pairs[member])
            all_instants.append(times[place])
        if self._ends is not None:
            codes = self._codes[pairs]
            member, place = _expand(self._ends.start[codes], self._ends.start[codes + 1])
            for times in (self._ends.since, self._ends.until, self._ends.settled):
                all_pairs.append(pairs[member])
                all_instants.append(times[place])
        pair, at = np.concatenate(all_pairs), np.concatenate(all_instants)
        later = (at >= self._mature[pair]) & (at < NEVER)
        pair, at = pair[later], at[later]
        order = np.lexsort((at, pair))
        pair, at = pair[order], at[order]
        first = np.ones(len(pair), dtype=np.bool_)
        first[1:] = (pair[1:] != pair[:-1]) | (at[1:] != at[:-1])
        return pair[first], at[first]

    def _labels(self, pair: Ints, at: Ints) -> Floats:
        """The labels of pairs at instants [k]; NaN where they are not known."""
        query, place = _expand(self._low[pair], self._high[pair])
        active = (self._events.since[place] <= at[query]) & (at[query] < self._events.until[place])
        query, place = query[active], place[active]
        unsettled = np.bincount(query, self._events.settled[place] > at[query], len(pair)) > 0
        row = self._events.row[place]
        counted = self._meets_condition(row)
        query, place, row = query[counted], place[counted], row[counted]
        anchor = self._events.event[place]
        entries = Entries(key=query, anchor=anchor)
        if self._value is not None:
            entries = self._value.take(row).entries(query, anchor)
        bounds = np.searchsorted(query, np.arange(len(pair) + 1))
        values = aggregate(entries, bounds[:-1], bounds[1:], [self._label.primitive])[self._label.primitive]
        label: Floats = np.where(unsettled | self._is_unobserved(pair, at), np.nan, values.astype(np.float64))
        if self._label.operator:
            label = np.where(np.isnan(label), np.nan, OPERATORS[self._label.operator](label, self._label.value))
        return label

    def _meets_condition(self, row: Ints) -> Flags:
        where = self._label.where
        if where is None:
            return np.ones(len(row), dtype=np.bool_)
        value = float(where.value) if isinstance(where.value, bool | int) else where.value
        on = RowColumn(column=where.column, kind="categorical" if isinstance(value, str) else "numeric")
        assert value is not None  # a condition has a value
        condition = Condition(on=on, operator=where.operator, value=value)  # type: ignore[arg-type]
        return ColumnValues.of(as_array(self._rows[where.column])).take(row).meets(condition)

    def _is_unobserved(self, pair: Ints, at: Ints) -> Flags:
        """Where the entity was not observed until the end of the horizon, as known at an instant [k]."""
        if self._ends is None:
            return np.zeros(len(pair), dtype=np.bool_)
        codes = self._codes[pair]
        query, place = _expand(self._ends.start[codes], self._ends.start[codes + 1])
        active = (self._ends.since[place] <= at[query]) & (at[query] < self._ends.until[place])
        active &= self._ends.settled[place] <= at[query]
        beyond = active & (self.end[pair[query]] > self._until[self._ends.row[place]])
        return np.asarray(np.bincount(query, beyond, len(pair)) > 0)


def _read(table: Table, columns: Sequence[str], snapshot: Tables) -> pa.Table:
    """Some columns of a table, with its keys, its times, and what the lake adds."""
    needed = [*table.keys, *columns, *table.time_columns, ARRIVAL, ORDER]
    return read_columns(snapshot, table.name, [*dict.fromkeys(needed)])


def _intervals(
    problem: Problem, table: Table, clock: tuple[str, ...], rows: pa.Table, link: str, keys: pa.Array, events: Ints
) -> tuple[Ints, _Intervals]:
    """Key code of each pair [pairs], and the intervals of a table under these codes. events: of its rows, in us."""
    seen = effective_known(table, clock_of(problem, table, table.keys), rows)
    own, _ = encode_rows([plain(rows[name]) for name in table.keys])
    order = np.asarray(as_array(rows[ORDER]).to_numpy(zero_copy_only=False), dtype=np.int64)
    row = effective_versions(own, seen, order)
    until = np.full(len(row), NEVER, dtype=np.int64)
    same = own[row[1:]] == own[row[:-1]]
    until[:-1][same] = seen[row[1:]][same]
    pair_codes, codes = encode_pairs([keys], [plain(rows[link])])
    valid = (codes[row] >= 0) & (events[row] < NEVER)
    row, until = row[valid], until[valid]
    by_event = np.lexsort((order[row], events[row], codes[row]))
    row, until = row[by_event], until[by_event]
    return pair_codes, _Intervals(
        row=row,
        event=events[row],
        since=seen[row],
        until=until,
        settled=effective_known(table, clock, rows)[row],
        start=np.searchsorted(codes[row], np.arange(int(pair_codes.max(initial=-1)) + 2)),
    )


def _expand(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """For ranges [n] of positions: which range and which position, one after the other [sum of lengths]."""
    size = high - low
    which = np.repeat(np.arange(len(size)), size)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size) + low[which]
