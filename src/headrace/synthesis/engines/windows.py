"""Works whose values stand in the rows: positions of a sort, mapped onto what is asserted, then the families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines import kernels
from headrace.synthesis.engines.assertions import assertions
from headrace.synthesis.engines.families import Entries, answers
from headrace.synthesis.engines.held import Held
from headrace.synthesis.engines.rows import Rows
from headrace.synthesis.engines.sorting import GroupSort, Queries, find_bounds
from headrace.synthesis.engines.streams import make_stream, stream_answers
from headrace.synthesis.plan import ColumnWork, Output
from headrace.synthesis.values import Ints


def still_values(rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork) -> Iterator[tuple[Output, Held]]:
    """Each output of a work with its answers [m], one per distinct query."""
    for on in ("known", "event"):
        outputs = [output for output in work.outputs if output.on == on]
        if outputs:
            yield from _on_clock(rows, sort, queries, work, outputs, on == "event")


def _on_clock(
    rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork, outputs: list[Output], on_event: bool
) -> Iterator[tuple[Output, Held]]:
    """The outputs whose lookbacks run on known time; or those that run on event time, all by a stream."""
    said_by = _asserted(rows, sort, work, on_event)
    row, key, known, until = said_by.row, said_by.key, said_by.known, said_by.until
    values = rows.still(work.value) if work.value is not None else rows.held(work.column) if work.column else None
    again = _superseded(said_by.at(sort.start), said_by.at(sort.end), until, queries)
    again = np.arange(len(queries.key)) if on_event else again
    if not on_event:
        held = entries_of(values, row, key, known)
    if len(again) or on_event:
        until = np.full(len(row), NEVER, dtype=np.int64) if until is None else until
        event = rows.event()[row] if on_event else known
        order = np.lexsort((event, key)) if on_event else np.arange(len(row))
        order = order[event[order] < NEVER]
        stream = make_stream(
            entries_of(values, row[order], key[order], event[order]),
            order,
            np.maximum(known, event)[order],
            until[order],
            len(sort.start),
        )
        some = Queries(key=queries.key[again], tick=queries.tick[again], inverse=queries.inverse, null=queries.null)
    for lookback_us, same in by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in same))
        found: dict[str, npt.NDArray[Any]] = {}
        if not on_event:
            lo, hi = find_bounds(sort, queries, lookback_us)
            found = answers(held, said_by.at(lo), said_by.at(hi), names)
        if len(again) or on_event:
            for name, answer in stream_answers(stream, some, lookback_us, names).items():
                if on_event:
                    found[name] = answer
                else:
                    found[name][again] = answer
        for output in same:
            yield output, said(output, found[output.primitive], values)


@dataclass(frozen=True, kw_only=True)
class _Asserted:
    """Entries of a sort that a work asserts [n]. before: how many stand before each place of the sort; None: all do.

    until: None where none is ever superseded.
    """

    row: Ints
    key: Ints
    known: Ints
    until: Ints | None
    before: Ints | None

    def at(self, place: Ints) -> Ints:
        """Places of the sort as places among these."""
        return place if self.before is None else self.before[place]


def _asserted(rows: Rows, sort: GroupSort, work: ColumnWork, on_event: bool) -> _Asserted:
    versions = rows.versions()
    if versions is None and work.where is None:  # every row is its key's only version and is asserted as it stands
        return _Asserted(row=sort.row, key=sort.key, known=sort.known, until=None, before=None)
    columns = work.used if work.value is not None or work.where is not None else tuple(filter(None, [work.column]))
    starts, until = assertions(
        versions, rows.standing(sort.clock), rows.known(sort.clock), sort.codes, rows.said(columns, on_event)
    )
    if work.where is not None:
        starts = starts & rows.still(work.where.on).holds(work.where)
    mine = starts[sort.row]
    kept = np.flatnonzero(mine)
    row = sort.row[kept]
    before = np.concatenate([[0], np.cumsum(mine)])
    return _Asserted(row=row, key=sort.key[kept], known=sort.known[kept], until=until[row], before=before)


def entries_of(values: Held | None, row: Ints, key: Ints, anchor: Ints) -> Entries:
    """Entries of some rows; of the rows themselves where there are no values."""
    return Entries(key=key, anchor=anchor) if values is None else values.take(row).entries(key, anchor)


def by_lookback(outputs: list[Output]) -> dict[int | None, list[Output]]:
    """Outputs by how far they look back."""
    found: dict[int | None, list[Output]] = {}
    for output in outputs:
        found.setdefault(output.lookback_us, []).append(output)
    return found


def said(output: Output, answer: npt.NDArray[Any], values: Held | None) -> Held:
    """An output's answers [m] as values of its kind."""
    if answer.ndim > 1:
        answer = answer[:, output.part]
    if output.kind in ("categorical", "text"):
        if values is None or values.code is None:
            raise TypeError("a column without categories")
        return Held(code=answer.astype(np.int64), names=values.names)
    return Held(instant=answer.astype(np.int64)) if output.kind == "time" else Held(number=answer)


def _superseded(start: Ints, end: Ints, until: Ints | None, queries: Queries) -> Ints:
    """Queries of keys some assertion of which ended before the tick. What comes later plays no part: same bits."""
    if until is None or not len(until) or until.min() == NEVER:
        return np.empty(0, dtype=np.int64)
    ended = np.empty(len(start), dtype=np.int64)
    kernels.first_end(until, start, end, ended)
    return np.flatnonzero((queries.key >= 0) & (ended[np.maximum(queries.key, 0)] < queries.tick))
