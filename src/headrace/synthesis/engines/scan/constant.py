"""Works whose values stand in the rows: positions of a sort, mapped onto what is asserted, then the families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.engines.scan import kernels
from headrace.synthesis.engines.scan.sorting import GroupSort, Queries, find_bounds
from headrace.synthesis.engines.scan.streams import WORN, Stream, make_stream, stream_answers
from headrace.synthesis.history.column_values import Held
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.plan import ColumnWork, Output
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries


def still_values(
    rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork, *, cut: bool = False
) -> Iterator[tuple[Output, Held | None]]:
    """Each output of a work with its answers [m], one per distinct query.

    cut: the rows are not all there are, but all that the lookbacks can find. Then None stands for what cannot be said
    without the others: a sum that runs through what was superseded.
    """
    yield from _by_event(rows, sort, queries, work)
    yield from _by_known(rows, sort, queries, work, cut)


def _by_known(
    rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork, cut: bool
) -> Iterator[tuple[Output, Held | None]]:
    """Lookbacks on known time: windows of positions; a stream where something in the window was superseded."""
    outputs = [output for output in work.outputs if output.on == "known"]
    if not outputs:
        return
    told = _asserted(rows, sort, work, on_event=False)
    values = _values(rows, work)
    held = entries_of(values, told.row, told.key, told.known)
    stream: Stream | None = None
    for lookback_us, same in by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in same))
        lo, mid, hi = (told.at(place) for place in find_bounds(sort, queries, lookback_us))
        found = aggregate(held, lo, hi, names, mid)
        again = _superseded(told.until, lo, hi, queries)
        if len(again) and cut:
            yield from ((output, None) for output in same if output.primitive in WORN)
            same = [output for output in same if output.primitive not in WORN]
            names = tuple(name for name in names if name not in WORN)
        if len(again) and names:
            stream = stream or _stream(told, values, told.known, len(sort.start))
            some = Queries(key=queries.key[again], tick=queries.tick[again], inverse=queries.inverse, null=queries.null)
            for name, answer in stream_answers(stream, some, lookback_us, names).items():
                found[name][again] = answer
        for output in same:
            yield output, said(output, found[output.primitive], values)


def _by_event(rows: Rows, sort: GroupSort, queries: Queries, work: ColumnWork) -> Iterator[tuple[Output, Held]]:
    """Lookbacks on event time: by a stream."""
    outputs = [output for output in work.outputs if output.on == "event"]
    if not outputs:
        return
    told = _asserted(rows, sort, work, on_event=True)
    values = _values(rows, work)
    stream = _stream(told, values, rows.event()[told.row], len(sort.start))
    for lookback_us, same in by_lookback(outputs).items():
        names = tuple(dict.fromkeys(output.primitive for output in same))
        found = stream_answers(stream, queries, lookback_us, names)
        for output in same:
            yield output, said(output, found[output.primitive], values)


def _values(rows: Rows, work: ColumnWork) -> Held | None:
    if work.value is not None:
        return rows.still(work.value)
    return rows.held(work.column) if work.column else None


def _stream(told: _Asserted, values: Held | None, anchor: Ints, keys: int) -> Stream:
    until = np.full(len(told.row), NEVER, dtype=np.int64) if told.until is None else told.until
    order = np.lexsort((anchor, told.key))
    order = order[anchor[order] < NEVER]
    return make_stream(
        entries_of(values, told.row[order], told.key[order], anchor[order]),
        order,
        np.maximum(told.known, anchor)[order],
        until[order],
        keys,
    )


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


def _superseded(until: Ints | None, lo: Ints, hi: Ints, queries: Queries) -> Ints:
    """Queries with something in their window that ended before the tick. Nothing else plays a part: same bits."""
    if until is None or not len(until) or until.min() == NEVER:
        return np.empty(0, dtype=np.int64)
    found = np.zeros(len(lo), dtype=np.bool_)
    kernels.ended(until, lo, hi, queries.tick, found)
    return np.flatnonzero(found)
