"""One column's answers: positions of a sort mapped onto what the column asserts, then the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.synthesis.columns import is_text
from headrace.synthesis.engines import kernels
from headrace.synthesis.engines.assertions import assertions
from headrace.synthesis.engines.families import Entries, answers
from headrace.synthesis.engines.rows import Rows
from headrace.synthesis.engines.sorting import GroupSort, Queries, find_bounds
from headrace.synthesis.plan import ColumnWork, Output
from headrace.synthesis.values import Ints, instants

#: Live entries of superseded windows that are written out at a time.
_CHUNK = 8_000_000


def column_values(
    rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork
) -> Iterator[tuple[Output, npt.NDArray[Any] | pa.Array]]:
    """Each output of a column with its answers [m], one per distinct query."""
    for on in ("known", "event"):
        outputs = [output for output in work.outputs if output.on == on]
        if outputs:
            yield from _on_clock(rows, sort, queries, work.column, outputs, on == "event")


def _on_clock(
    rows: Rows, sort: GroupSort, queries: Queries, column: str, outputs: list[Output], on_event: bool
) -> Iterator[tuple[Output, npt.NDArray[Any] | pa.Array]]:
    """The outputs of a column whose lookbacks run on known time, or on event time (each query from its own list)."""
    starts, until = assertions(
        rows.versions(),
        rows.standing(sort.clock),
        rows.known(sort.clock),
        sort.codes,
        _identity(rows, column, on_event),
    )
    kept = np.flatnonzero(starts[sort.row])
    before = np.concatenate([[0], np.cumsum(starts[sort.row])])
    row = sort.row[kept]
    held = _entries(rows, column, row, sort.key[kept], sort.known[kept])
    until = until[row]
    event = rows.event()[row] if on_event else np.empty(0, dtype=np.int64)
    every = np.arange(len(queries.key))
    again = every if on_event else _superseded(before[sort.start], before[sort.end], until, queries)
    for lookback_us, same in _by_lookback(outputs).items():
        lo, hi = find_bounds(sort, queries, None if on_event else lookback_us)
        lo, hi = before[lo], before[hi]
        found = answers(held, lo, hi, dict.fromkeys(output.primitive for output in same))
        if len(again):
            since = np.full(len(lo), BEFORE_ALL) if lookback_us is None else queries.tick - lookback_us
            _correct(held, until, event, Spans(lo=lo, hi=hi, tick=queries.tick, since=since), again, found)
        for output in same:
            yield output, _decoded(rows, column, output, found[output.primitive])


def _entries(rows: Rows, column: str, row: Ints, key: Ints, anchor: Ints) -> Entries:
    """Entries of a column, from the rows they come from."""
    if not column:
        return Entries(key=key, anchor=anchor)
    values = rows.raw(column).type
    if is_text(values):
        codes, names = rows.categories(column)
        return Entries(key=key, anchor=anchor, code=codes[row], categories=len(names))
    if pa.types.is_timestamp(values) or pa.types.is_date(values):
        return Entries(key=key, anchor=anchor, instant=instants(rows.raw(column))[row])
    return Entries(key=key, anchor=anchor, number=rows.numbers(column)[row])


def _identity(rows: Rows, column: str, on_event: bool) -> Ints:
    """int64 [n], equal where two rows say the same; the event time is part of it where the lookback runs on it."""
    value = rows.identity(column) if column else np.zeros(rows.data.num_rows, dtype=np.int64)
    if not on_event:
        return value
    pairs = np.stack([value, rows.event()], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _by_lookback(outputs: list[Output]) -> dict[int | None, list[Output]]:
    found: dict[int | None, list[Output]] = {}
    for output in outputs:
        found.setdefault(output.lookback_us, []).append(output)
    return found


@dataclass(frozen=True, kw_only=True)
class Spans:
    """What each query looks at [m]: entries lo <= i < hi, not superseded before tick, events in [since, tick)."""

    lo: Ints
    hi: Ints
    tick: Ints
    since: Ints

    def take(self, which: Ints) -> Spans:
        return Spans(lo=self.lo[which], hi=self.hi[which], tick=self.tick[which], since=self.since[which])


def _superseded(start: Ints, end: Ints, until: Ints, queries: Queries) -> Ints:
    """Queries of keys some assertion of which ended before the tick. What comes later plays no part: same bits."""
    if not len(until) or until.min() == NEVER:
        return np.empty(0, dtype=np.int64)
    ended = np.empty(len(start), dtype=np.int64)
    kernels.first_end(until, start, end, ended)
    return np.flatnonzero((queries.key >= 0) & (ended[np.maximum(queries.key, 0)] < queries.tick))


def _correct(
    held: Entries, until: Ints, event: Ints, spans: Spans, which: Ints, found: dict[str, npt.NDArray[Any]]
) -> None:
    """Answer some queries again, each from the entries that are still live at its tick."""
    sizes = np.cumsum(spans.hi[which] - spans.lo[which])
    for part in np.split(which, np.flatnonzero(np.diff(sizes // _CHUNK)) + 1):
        mine = spans.take(part)
        size = np.empty(len(part), dtype=np.int64)
        nothing = np.empty(0, dtype=np.int64)
        kernels.alive(until, event, mine.lo, mine.hi, mine.tick, mine.since, size, nothing)
        entries = np.empty(int(size.sum()), dtype=np.int64)
        if len(entries):
            kernels.alive(until, event, mine.lo, mine.hi, mine.tick, mine.since, size, entries)
        hi = np.cumsum(size)
        live = held.take(entries, np.repeat(np.arange(len(part)), size))
        for name, values in answers(live, hi - size, hi, tuple(found)).items():
            found[name][part] = values


def _decoded(rows: Rows, column: str, output: Output, values: npt.NDArray[Any]) -> npt.NDArray[Any] | pa.Array:
    if output.kind != "categorical":
        return values
    names = rows.categories(column)[1]
    return names.take(pa.array(values, mask=values < 0))
