"""One column's answers: positions of a sort mapped onto what the column asserts, then the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.synthesis.columns import is_text
from headrace.synthesis.engines import kernels
from headrace.synthesis.engines.assertions import assertions
from headrace.synthesis.engines.rows import Rows
from headrace.synthesis.engines.sorting import GroupSort, Queries, find_bounds
from headrace.synthesis.plan import ColumnWork, Output
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.values import Floats, Ints

#: Live entries of superseded windows that are written out at a time.
_CHUNK = 8_000_000

_MOMENTS = {"sum": kernels.SUM, "mean": kernels.MEAN, "std": kernels.STD, "skew": kernels.SKEW}


@dataclass(frozen=True, kw_only=True)
class Held:
    """Assertions of one column, sorted by (key, known): entries [n] and the rows they come from."""

    rows: Rows
    column: str
    row: Ints
    key: Ints
    known: Ints

    def take(self, entries: Ints, key: Ints) -> Held:
        """Some entries under new keys."""
        return Held(rows=self.rows, column=self.column, row=self.row[entries], key=key, known=self.known[entries])

    @cached_property
    def filled(self) -> npt.NDArray[np.bool_]:
        """Where the value is not null; a row itself always is."""
        return self.rows.present(self.column)[self.row] if self.column else np.ones(len(self.row), dtype=np.bool_)

    @cached_property
    def filled_before(self) -> Ints:
        """How many values that are not null come before each position [n + 1]."""
        return np.concatenate([[0], np.cumsum(self.filled)])

    @cached_property
    def true_before(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self.rows.numbers(self.column)[self.row] == 1.0)])

    @cached_property
    def values(self) -> tuple[Floats, Ints]:
        """Numbers that are not null, and their keys."""
        return self.rows.numbers(self.column)[self.row[self.filled]], self.key[self.filled]

    @cached_property
    def prefix(self) -> Floats:
        x, key = self.values
        prefix = np.empty((len(x), kernels.PREFIX_WIDTH))
        kernels.prefix_sums(x, key, prefix)
        return prefix

    @cached_property
    def codes(self) -> Ints:
        return self.rows.categories(self.column)[0][self.row[self.filled]]


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
    held = Held(rows=rows, column=column, row=sort.row[kept], key=sort.key[kept], known=sort.known[kept])
    until = until[held.row]
    event = rows.event()[held.row] if on_event else np.empty(0, dtype=np.int64)
    every = np.arange(len(queries.key))
    again = every if on_event else _superseded(before[sort.start], before[sort.end], until, queries)
    for lookback_us, same in _by_lookback(outputs).items():
        lo, hi = find_bounds(sort, queries, None if on_event else lookback_us)
        lo, hi = before[lo], before[hi]
        answers = _answers(held, lo, hi, tuple(dict.fromkeys(output.primitive for output in same)))
        if len(again):
            since = np.full(len(lo), BEFORE_ALL) if lookback_us is None else queries.tick - lookback_us
            _correct(held, until, event, Spans(lo=lo, hi=hi, tick=queries.tick, since=since), again, answers)
        for output in same:
            yield output, _decoded(held, output, answers[output.primitive])


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
    held: Held, until: Ints, event: Ints, spans: Spans, which: Ints, answers: dict[str, npt.NDArray[Any]]
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
        for name, values in _answers(live, hi - size, hi, tuple(answers)).items():
            answers[name][part] = values


def _answers(held: Held, lo: Ints, hi: Ints, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Each primitive over entries lo <= i < hi: float64 [m], or int64 codes (-1 missing), instants (NEVER missing)."""
    valid = held.filled_before
    low, high = valid[lo], valid[hi]
    result: dict[str, npt.NDArray[Any]] = {}
    if _MOMENTS.keys() & set(names):
        x, key = held.values
        table = np.full((len(lo), 4), np.nan)
        kernels.moments(x, held.prefix, key, low, high, bool({"std", "skew"} & set(names)), table)
        result.update({name: table[:, _MOMENTS[name]] for name in names if name in _MOMENTS})
    if {"min", "max"} & set(names):
        table = np.full((len(lo), 2), np.nan)
        kernels.extremes(held.values[0], low, high, table)
        result.update({name: table[:, ("min", "max").index(name)] for name in names if name in ("min", "max")})
    if {"num_unique", "mode"} & set(names):
        number = np.full(len(lo), np.nan)
        mode = np.full(len(lo), -1, dtype=np.int64)
        kernels.distinct(held.codes, low, high, max(len(held.rows.categories(held.column)[1]), 1), number, mode)
        result.update({"num_unique": number, "mode": mode})
    if "count" in names:
        result["count"] = (high - low).astype(np.float64)
    if "percent_true" in names:
        with np.errstate(invalid="ignore", divide="ignore"):
            result["percent_true"] = (held.true_before[hi] - held.true_before[lo]) / (hi - lo)
    if "last" in names:
        result["last"] = _last(held, lo, hi)
    if "last_time" in names:
        known = held.known[held.filled]
        result["last_time"] = _gather(known, low, high, np.int64(NEVER))
    for name in names:
        empty = aggregation(name).empty
        if empty is not None:
            result[name][high <= low] = empty
    return {name: result[name] for name in names}


def _last(held: Held, lo: Ints, hi: Ints) -> npt.NDArray[Any]:
    if is_text(held.rows.raw(held.column).type):
        return _gather(held.rows.categories(held.column)[0][held.row], lo, hi, np.int64(-1))
    return _gather(held.rows.numbers(held.column)[held.row], lo, hi, np.float64(np.nan))


def _gather(values: npt.NDArray[Any], lo: Ints, hi: Ints, missing: Any) -> npt.NDArray[Any]:
    """values[hi - 1], missing where a window is empty."""
    if not len(values):
        return np.full(len(lo), missing)
    return np.where(hi > lo, values[np.maximum(hi - 1, 0)], missing)


def _decoded(held: Held, output: Output, values: npt.NDArray[Any]) -> npt.NDArray[Any] | pa.Array:
    if output.kind != "categorical":
        return values
    names = held.rows.categories(held.column)[1]
    return names.take(pa.array(values, mask=values < 0))
