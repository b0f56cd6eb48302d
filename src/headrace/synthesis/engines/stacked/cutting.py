"""Cut the rows of a table into steps: intervals in which nothing that their values are made from changes.

The values of a time-varying column are a step function of time. Where its changes are the row's own (down the
relationships, a parent's versions, a group's order), the row is cut at all instants at which something below it may
change, found by the same method one level down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.key_paths import may_have_key
from headrace.synthesis.history.keys import encode_pairs, encode_rows, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.history.running_values import running_entries
from headrace.synthesis.history.steps import Steps, Timeline, cut, last_before, timeline
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped
from headrace.synthesis.language.inputs import Hop, hops, join_columns, relative, time_varying, used_columns
from headrace.synthesis.language.values import Flags, Ints
from headrace.synthesis.planning.plan import Group, as_aggregate, make_plan

#: Evaluates definitions relative to rows of a table at instants, see `groups.evaluate`.
Evaluate = Callable[[Sources, Rows, Ints, Ints, Sequence[Definition]], dict[Definition, ColumnValues]]


class AssertedRows:
    """Rows that start an assertion of some columns [n], by (known time, order).

    Args:
        rows: of the table.
        group: gives the clock and the keys.
        used: the columns that are asserted.
        on_event: whether lookbacks are on event time.
        before_us: rows known at or after it are left out.
        flags: rows to look at [rows].

    Attributes:
        row: row number.
        since: when it became known, in us.
        until: when it was superseded, in us; NEVER where it was not.
        anchor: the instant that lookbacks count from, in us.
        begin: since when it is seen: the later of `since` and `anchor`.
    """

    def __init__(
        self, rows: Rows, group: Group, used: tuple[str, ...], on_event: bool, before_us: int, flags: Flags
    ) -> None:
        same_entity = np.zeros(rows.size, dtype=np.int64)
        known = rows.known(group.clock)
        starts, until = assertions(
            rows.versions(),
            rows.effective_versions(group.clock),
            known,
            same_entity,
            rows.joint_identity(used, on_event),
        )
        self.row = rows.by_known(group.clock)
        self.row = self.row[flags[self.row]]
        valid = starts[self.row] & (known[self.row] < before_us)
        for key in group.keys:
            valid &= rows.is_valid(hops(key)[0])[self.row]
        self.row = self.row[valid]
        self.anchor = rows.event()[self.row] if on_event else known[self.row]
        self.row = self.row[self.anchor < NEVER]
        self.since, self.until = known[self.row], until[self.row]
        self.anchor = self.anchor[self.anchor < NEVER]
        self.begin = np.maximum(self.since, self.anchor)


class StepBatch:
    """Columns of one group that are made from the same columns of a row, so that they share assertions and steps.

    Args:
        sources: the tables.
        group: of a plan.
        used: the row's columns that they are made from.
        on_event: whether lookbacks are on event time.
        keys: the join columns of the queries [queries].
        ticks: in us [queries].
        evaluate: see `Evaluate`.
    """

    def __init__(
        self,
        sources: Sources,
        group: Group,
        used: tuple[str, ...],
        on_event: bool,
        keys: Sequence[pa.Array],
        ticks: Ints,
        evaluate: Evaluate,
    ) -> None:
        self.sources, self.group, self.evaluate = sources, group, evaluate
        self.keys, self.ticks = keys, ticks
        self.rows = sources.rows(group.table)
        self._before_us = int(ticks.max(initial=0))
        flags = may_have_key(sources, self.rows, group.keys, keys)
        self.asserted = AssertedRows(self.rows, group, used, on_event, self._before_us, flags)

    def steps(self, leaves: Sequence[Direct | Aggregate | Grouped], longest_us: int | None) -> Steps:
        """The assertions, cut where their keys or some leaves may change.

        Args:
            leaves: time-varying definitions that their values are made from.
            longest_us: the longest lookback; steps after it has passed an assertion are left out. None: all history.
        """
        asserted = self.asserted
        until = np.minimum(asserted.until, self._before_us)
        if longest_us is not None:
            until = np.minimum(until, np.minimum(asserted.anchor, NEVER - longest_us) + longest_us)
        seen = np.flatnonzero(until > asserted.begin)
        steps = Steps(assertion=seen, since=asserted.begin[seen], until=until[seen])
        for key in self.group.keys:
            steps = self._cut_by_hops(steps, key)
        if any("." in key for key in self.group.keys):
            steps = self._only_queried(steps)
        same_changes = {self._changes_with(leaf): leaf for leaf in reversed(leaves)}  # equal timelines cut once
        for leaf in reversed(same_changes.values()):
            codes, line = self._changes(leaf)
            steps = cut(steps, codes[asserted.row[steps.assertion]], line)
        return steps

    def key_codes(self, steps: Steps) -> tuple[Ints, Ints]:
        """Key codes of the steps and of the queries, in one numbering."""
        return encode_pairs(self._key_columns(steps), list(self.keys))

    def _only_queried(self, steps: Steps) -> Steps:
        """Steps under keys of queries; the key is the same all through a step that its hops have cut."""
        _, codes = encode_pairs(list(self.keys), self._key_columns(steps))
        queried = codes >= 0
        return Steps(assertion=steps.assertion[queried], since=steps.since[queried], until=steps.until[queried])

    def _changes_with(self, leaf: Direct | Aggregate | Grouped) -> object:
        """What a leaf's changes depend on: the rows that it reads, not what it computes from them."""
        if isinstance(leaf, Grouped) or relative(leaf):
            return leaf
        item = as_aggregate(self.sources.problem, leaf)
        used = used_columns(item, item.keys)
        return item.entity, item.table, item.keys, used, item.lookback_us, item.on

    def _cut_by_hops(self, steps: Steps, key: str) -> Steps:
        column, path = hops(key)
        for index, hop in enumerate(path):
            parent = self.sources.rows(hop[0])
            codes, known, start, row = parent.key_versions(hop[1])
            keys = self._column(steps.assertion, steps.since + 1, column, path[:index])
            _, step_codes = encode_pairs([parent.raw(parent.table.keys[0])], [keys])
            line = timeline(np.where(codes[row] >= 0, codes[row], -1), known, len(start) - 1)
            steps = cut(steps, step_codes, line)
        return steps

    def _key_columns(self, steps: Steps) -> list[pa.Array]:
        return [self._column(steps.assertion, steps.since + 1, *hops(key)) for key in self.group.keys]

    def _column(self, assertion: Ints, tick: Ints, column: str, path: Sequence[Hop]) -> pa.Array:
        """The value at the end of some hops, per (assertion, tick)."""
        values = plain(self.rows.raw(column)).take(pa.array(self.asserted.row[assertion]))
        for hop in path:
            parent = self.sources.rows(hop[0])
            _, known, start, row = parent.key_versions(hop[1])
            _, codes = encode_pairs([parent.raw(parent.table.keys[0])], [values])
            place = last_before(known, start[:-1], start[1:], codes, tick)
            parent_row = row[np.maximum(place, 0)] if len(row) else np.zeros(len(place), dtype=np.int64)
            values = plain(parent.raw(hop[1])).take(pa.array(parent_row, mask=place < 0))
        return values

    def _changes(self, leaf: Direct | Aggregate | Grouped) -> tuple[Ints, Timeline]:
        """The code of what a leaf reads, per row of the table, and the timeline of when that may change."""
        if isinstance(leaf, Grouped):
            codes, _ = encode_rows([plain(self.rows.raw(key)) for key in self.rows.table.keys])
            entries = running_entries(self.sources, leaf)
            entry_codes = np.concatenate([codes[entries.row], codes[entries.row]])
            time = np.concatenate([entries.since, entries.until])
            count = int(codes.max(initial=-1)) + 1
            return codes, timeline(np.where(time < NEVER, entry_codes, -1), time, count)
        at = self.asserted.row
        join_values = [plain(self.rows.raw(column)).take(pa.array(at)) for column in join_columns(leaf.entity)]
        row_codes, step_codes, time = self._leaf_changes(leaf, join_values)
        codes = np.full(self.rows.size, -1, dtype=np.int64)
        codes[at] = row_codes
        return codes, timeline(step_codes, time, int(codes.max(initial=-1)) + 1)

    def _leaf_changes(self, leaf: Direct | Aggregate, join_values: Sequence[pa.Array]) -> tuple[Ints, Ints, Ints]:
        """Codes of the rows that read a leaf [rows]; codes and instants at which what they read may change [k]."""
        item = as_aggregate(self.sources.problem, leaf)
        group = make_plan(self.sources.problem, [leaf], inner=True).groups[0]
        column_plan = group.columns[0]
        tick = np.array([self._before_us], dtype=np.int64)
        batch = StepBatch(self.sources, group, column_plan.used, item.on == "event", join_values, tick, self.evaluate)
        steps = batch.steps(time_varying(column_plan.relative), item.lookback_us)
        step_codes, row_codes = batch.key_codes(steps)
        times = [steps.since, steps.until]
        keys = [step_codes, step_codes]
        if item.lookback_us is not None:
            anchor = batch.asserted.anchor[steps.assertion]
            times.append(np.minimum(anchor, NEVER - item.lookback_us) + item.lookback_us)
            keys.append(step_codes)
        time, key = np.concatenate(times), np.concatenate(keys)
        return row_codes, np.where(time < self._before_us, key, -1), time
