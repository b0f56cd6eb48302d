"""Stacked works: what is aggregated is itself an aggregate, a parent's column or a group's running value.

A row's value is a step function of time. Where its changes are the row's own (down the relationships, a parent's
versions, a group's order), the row is cut into steps at all instants at which something it is made from may change;
every step is evaluated once, by the same engine one level down; equal neighbours merge; and a sweep aggregates the
comings and goings: O((changes + queries) log changes). Values from across would change with those of all rows that
share them (`plan.fans_out`). They are asked instead for each row that a query finds, at the query's tick: exact, and
linear in (row, query) pairs. Which way is taken depends on the definition alone, so that bits never depend on the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.synthesis.engines.scan.constant import by_lookback, entries_of, said
from headrace.synthesis.engines.scan.sorting import Queries, sort_queries
from headrace.synthesis.engines.scan.streams import Stream, live_entries, make_stream, operations, stream_answers
from headrace.synthesis.engines.stacked.running import running_entries
from headrace.synthesis.engines.stacked.steps import Steps, Timeline, cut, standing, timeline
from headrace.synthesis.history.column_values import Held
from headrace.synthesis.history.key_paths import may_be_asked
from headrace.synthesis.history.keys import encode_pairs, encode_rows, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped
from headrace.synthesis.language.inputs import Hop, hops, join_columns, moving, relative, used_columns
from headrace.synthesis.language.values import Flags, Ints
from headrace.synthesis.planning.plan import ColumnWork, Group, Output, as_aggregate, fans_out, make_plan
from headrace.synthesis.primitives.catalogue import aggregate

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

Evaluate = Callable[[Sources, Rows, Ints, Ints, Sequence[Definition]], dict[Definition, Held]]


class Slots:
    """Rows that say the same [n], by (known, order): row, since, until, and the anchor that lookbacks count from.

    wanted: rows that are looked at [rows]; others are left out.
    """

    def __init__(
        self, rows: Rows, group: Group, used: tuple[str, ...], on_event: bool, before: int, wanted: Flags
    ) -> None:
        same = np.zeros(rows.size, dtype=np.int64)
        starts, until = assertions(
            rows.versions(), rows.standing(group.clock), rows.known(group.clock), same, rows.said(used, on_event)
        )
        self.row = rows.by_known(group.clock)
        self.row = self.row[wanted[self.row]]
        known = rows.known(group.clock)
        kept = starts[self.row] & (known[self.row] < before)
        for key in group.keys:
            kept &= rows.filled(hops(key)[0])[self.row]
        self.row = self.row[kept]
        self.anchor = rows.event()[self.row] if on_event else known[self.row]
        self.row = self.row[self.anchor < NEVER]
        self.since, self.until = known[self.row], until[self.row]
        self.anchor = self.anchor[self.anchor < NEVER]
        self.begin = np.maximum(self.since, self.anchor)


def moving_values(
    sources: Sources,
    group: Group,
    works: Sequence[ColumnWork],
    asked: Sequence[pa.Array],
    ticks: Ints,
    evaluate: Evaluate,
) -> Iterator[tuple[Output, Held]]:
    """Each output of stacked works, one value per row asked."""
    batches: dict[tuple[tuple[str, ...], str, bool], list[tuple[ColumnWork, list[Output]]]] = {}
    for work in works:
        across = any(fans_out(sources.problem, group.table, item) for item in work.relative)
        for on in ("known", "event"):
            outputs = [output for output in work.outputs if output.on == on]
            if outputs:
                batches.setdefault((work.used, on, across), []).append((work, outputs))
    for (used, on, across), batch in batches.items():
        yield from _Batch(sources, group, used, on == "event", asked, ticks, evaluate).values(batch, across)


class _Batch:
    """Works of one group that are made from the same columns of a row, so that they share slots and steps."""

    def __init__(
        self,
        sources: Sources,
        group: Group,
        used: tuple[str, ...],
        on_event: bool,
        asked: Sequence[pa.Array],
        ticks: Ints,
        evaluate: Evaluate,
    ) -> None:
        self._sources, self._group, self._evaluate = sources, group, evaluate
        self._asked, self._ticks = asked, ticks
        self._rows = sources.rows(group.table)
        self._before = int(ticks.max(initial=0))
        wanted = may_be_asked(sources, self._rows, group.keys, asked)
        self.slots = Slots(self._rows, group, used, on_event, self._before, wanted)

    def values(self, batch: Sequence[tuple[ColumnWork, list[Output]]], across: bool) -> Iterator[tuple[Output, Held]]:
        """Each output's values, per row asked."""
        relative = list(dict.fromkeys(item for work, _ in batch for item in work.relative))
        spans = [output.lookback_us for _, outputs in batch for output in outputs]
        steps = self.steps([] if across else moving(relative), None if None in spans else max(map(int, spans)))  # type: ignore[arg-type]
        key, wanted = self._keys(steps)
        queries = sort_queries(wanted, self._ticks)
        spread = np.where(queries.null, -1, queries.inverse)
        at, tick = self.slots.row[steps.slot], steps.since + 1
        found = {} if across else self._evaluate(self._sources, self._rows, at, tick, relative)
        for work, outputs in batch:
            answered = (
                self._across(work, outputs, steps, key, queries)
                if across
                else self._swept(work, outputs, steps, key, queries, found)
            )
            for output, held in answered:
                yield output, held.take(spread)

    def steps(self, leaves: Sequence[Direct | Aggregate | Grouped], longest_us: int | None) -> Steps:
        """Slots, cut where their keys or some leaves may change; not after the last lookback has passed them."""
        slots = self.slots
        until = np.minimum(slots.until, self._before)
        if longest_us is not None:
            until = np.minimum(until, np.minimum(slots.anchor, NEVER - longest_us) + longest_us)
        kept = np.flatnonzero(until > slots.begin)
        steps = Steps(slot=kept, since=slots.begin[kept], until=until[kept])
        for key in self._group.keys:
            steps = self._cut_by_hops(steps, key)
        if any("." in key for key in self._group.keys):
            steps = self._only_asked(steps)
        alike = {self._looked_at(leaf): leaf for leaf in reversed(leaves)}  # equal timelines cut once
        for leaf in reversed(alike.values()):
            code, line = self._changes(leaf)
            steps = cut(steps, code[slots.row[steps.slot]], line)
        return steps

    def _only_asked(self, steps: Steps) -> Steps:
        """Steps under keys that somebody asks for; a key is the same all through a step that its hops have cut."""
        _, codes = encode_pairs(list(self._asked), self._key_columns(steps))
        kept = codes >= 0
        return Steps(slot=steps.slot[kept], since=steps.since[kept], until=steps.until[kept])

    def _looked_at(self, leaf: Direct | Aggregate | Grouped) -> object:
        """What a leaf's changes depend on: not on what it makes of the rows that it looks at."""
        if isinstance(leaf, Grouped) or relative(leaf):
            return leaf
        item = as_aggregate(self._sources.problem, leaf)
        used = used_columns(item, item.keys)
        return item.entity, item.table, item.keys, used, item.lookback_us, item.on

    def _cut_by_hops(self, steps: Steps, key: str) -> Steps:
        column, path = hops(key)
        for index, hop in enumerate(path):
            parent = self._sources.rows(hop[0])
            codes, known, start, row = parent.key_versions(hop[1])
            keys = self._column(steps.slot, steps.since + 1, column, path[:index])
            _, code = encode_pairs([parent.raw(parent.table.keys[0])], [keys])
            line = timeline(np.where(codes[row] >= 0, codes[row], -1), known, len(start) - 1)
            steps = cut(steps, code, line)
        return steps

    def _column(self, slot: Ints, tick: Ints, column: str, path: Sequence[Hop]) -> pa.Array:
        """The value at the end of some hops, per (slot, tick)."""
        values = plain(self._rows.raw(column)).take(pa.array(self.slots.row[slot]))
        for hop in path:
            parent = self._sources.rows(hop[0])
            _, known, start, row = parent.key_versions(hop[1])
            _, code = encode_pairs([parent.raw(parent.table.keys[0])], [values])
            place = standing(known, start[:-1], start[1:], code, tick)
            there = row[np.maximum(place, 0)] if len(row) else np.zeros(len(place), dtype=np.int64)
            values = plain(parent.raw(hop[1])).take(pa.array(there, mask=place < 0))
        return values

    def _keys(self, steps: Steps) -> tuple[Ints, Ints]:
        """Codes of the steps' keys and of those asked for, in one numbering."""
        return encode_pairs(self._key_columns(steps), list(self._asked))

    def _key_columns(self, steps: Steps) -> list[pa.Array]:
        return [self._column(steps.slot, steps.since + 1, *hops(key)) for key in self._group.keys]

    def _changes(self, leaf: Direct | Aggregate | Grouped) -> tuple[Ints, Timeline]:
        """Per row of the table the code of what a leaf looks at, and when that may change."""
        if isinstance(leaf, Grouped):
            codes, _ = encode_rows([plain(self._rows.raw(key)) for key in self._rows.table.keys])
            entries = running_entries(self._sources, leaf)
            code = np.concatenate([codes[entries.row], codes[entries.row]])
            time = np.concatenate([entries.since, entries.until])
            return codes, timeline(np.where(time < NEVER, code, -1), time, int(codes.max(initial=-1)) + 1)
        at = self.slots.row
        mine = [plain(self._rows.raw(column)).take(pa.array(at)) for column in join_columns(leaf.entity)]
        found, theirs, time = _leaf_changes(self._sources, leaf, mine, self._before, self._evaluate)
        codes = np.full(self._rows.size, -1, dtype=np.int64)
        codes[at] = found
        return codes, timeline(theirs, time, int(codes.max(initial=-1)) + 1)

    def _swept(
        self,
        work: ColumnWork,
        outputs: list[Output],
        steps: Steps,
        key: Ints,
        queries: Queries,
        found: dict[Definition, Held],
    ) -> Iterator[tuple[Output, Held]]:
        """Aggregate the steps' values by sweeps."""
        values = self._values(work, steps, found)
        kept = key >= 0
        if work.where is not None:
            kept = kept & found[work.where.on].holds(work.where)
        stream = self._stream(steps, key, values, kept)
        for lookback_us, same in by_lookback(outputs).items():
            names = tuple(dict.fromkeys(output.primitive for output in same))
            said_of = stream_answers(stream, queries, lookback_us, names)
            for output in same:
                yield output, said(output, said_of[output.primitive], values)

    def _values(self, work: ColumnWork, steps: Steps, found: dict[Definition, Held]) -> Held | None:
        if work.value is not None:
            return found[work.value]
        return self._rows.held(work.column).take(self.slots.row[steps.slot]) if work.column else None

    def _stream(self, steps: Steps, key: Ints, values: Held | None, kept: npt.NDArray[np.bool_]) -> Stream:
        """Neighbouring steps of a slot that say the same are one entry."""
        same = values.identity if values is not None else np.zeros(len(steps), dtype=np.int64)
        first = np.ones(len(steps), dtype=np.bool_)
        first[1:] = (steps.slot[1:] != steps.slot[:-1]) | (key[1:] != key[:-1]) | (same[1:] != same[:-1])
        first[1:] |= kept[1:] != kept[:-1]
        starts = np.flatnonzero(first)
        until = steps.until[np.concatenate([starts[1:], [len(steps)]]) - 1] if len(steps) else steps.until
        mine = kept[starts]
        starts, until = starts[mine], until[mine]
        slot = steps.slot[starts]
        anchor = self.slots.anchor[slot]
        order = np.lexsort((slot, anchor, key[starts]))
        starts, slot, anchor, until = starts[order], slot[order], anchor[order], until[order]
        entries = entries_of(values, starts, key[starts], anchor)
        return make_stream(entries, slot, steps.since[starts], until, int(key.max(initial=-1)) + 1)

    def _across(
        self, work: ColumnWork, outputs: list[Output], steps: Steps, key: Ints, queries: Queries
    ) -> Iterator[tuple[Output, Held]]:
        """Ask anew for each row that a query finds, at the query's tick."""
        stream = self._stream(steps, key, None, key >= 0)
        for lookback_us, same in by_lookback(outputs).items():
            names = tuple(dict.fromkeys(output.primitive for output in same))
            parts: dict[str, list[Held]] = {output.slug: [] for output in same}
            for which, size, live in live_entries(stream, operations(stream, queries, lookback_us)):
                query = np.repeat(np.arange(len(which)), size)
                row = self.slots.row[stream.slot[live]]
                found = self._evaluate(self._sources, self._rows, row, queries.tick[which][query], work.relative)
                values = self._live_values(work, row, found)
                place = np.arange(len(live))
                if work.where is not None:
                    place = np.flatnonzero(found[work.where.on].holds(work.where))
                low, high = (np.searchsorted(query[place], np.arange(len(which)), side=side) for side in _SIDES)
                entries = entries_of(values, place, query[place], stream.entries.anchor[live][place])
                for output in same:
                    parts[output.slug].append(
                        said(output, aggregate(entries, low, high, names)[output.primitive], values)
                    )
            for output in same:
                yield output, Held.joined(parts[output.slug])

    def _live_values(self, work: ColumnWork, row: Ints, found: dict[Definition, Held]) -> Held | None:
        if work.value is not None:
            return found[work.value]
        return self._rows.held(work.column).take(row) if work.column else None


def _leaf_changes(
    sources: Sources, leaf: Direct | Aggregate, mine: Sequence[pa.Array], before: int, evaluate: Evaluate
) -> tuple[Ints, Ints, Ints]:
    """Codes of the rows that look at a leaf [rows]; codes and instants at which what they look at may change [k]."""
    item = as_aggregate(sources.problem, leaf)
    group = make_plan(sources.problem, [leaf], inner=True).groups[0]
    work = group.columns[0]
    batch = _Batch(sources, group, work.used, item.on == "event", mine, np.array([before], dtype=np.int64), evaluate)
    steps = batch.steps(moving(work.relative), item.lookback_us)
    theirs, codes = batch._keys(steps)
    times = [steps.since, steps.until]
    keys = [theirs, theirs]
    if item.lookback_us is not None:
        anchor = batch.slots.anchor[steps.slot]
        times.append(np.minimum(anchor, NEVER - item.lookback_us) + item.lookback_us)
        keys.append(theirs)
    time, key = np.concatenate(times), np.concatenate(keys)
    return codes, np.where(time < before, key, -1), time
