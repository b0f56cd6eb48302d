"""The two sorts: a table's rows by (entity, known time, order), and the queries by (entity, tick)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headrace.synthesis.engines.scan import kernels
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.language.values import Flags, Ints


@dataclass(frozen=True, kw_only=True)
class GroupSort:
    """Rows with a key and a known time, sorted by (key, known time, order).

    Attributes:
        clock: whose effective time `known` is.
        codes: key code of every row of the table [rows].
        row: row numbers [n].
        key: key codes [n].
        known: in us [n].
        start: first position of each key [keys].
        end: end of each key [keys].
    """

    clock: tuple[str, ...]
    codes: Ints
    row: Ints
    key: Ints
    known: Ints
    start: Ints
    end: Ints


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Distinct (key, tick) pairs [m], sorted.

    Attributes:
        key: key code; negative ones have no rows.
        tick: in us.
        inverse: the position here of each query as it was given [queries].
        null: which of these have a null key [queries].
    """

    key: Ints
    tick: Ints
    inverse: Ints
    null: Flags
    _bounds: dict[int | None, tuple[GroupSort, Ints, Ints, Ints]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def take(self, positions: Ints) -> Queries:
        """Some of the distinct queries, for a computation whose results are put back at these positions."""
        return Queries(key=self.key[positions], tick=self.tick[positions], inverse=self.inverse, null=self.null)


def sort_group(rows: Rows, clock: tuple[str, ...], codes: Ints) -> GroupSort:
    """Sort rows by known time (once per clock, shared), then stably by key code [rows]."""
    row = rows.by_known(clock)
    row = row[codes[row] >= 0]
    key = codes[row]
    n_keys = int(codes.max(initial=-1)) + 1
    narrow = key.astype(np.uint16) if n_keys <= 2**16 else key  # numpy sorts 16 bits by radix
    by_key = np.argsort(narrow, kind="stable")
    row, key = row[by_key], key[by_key]
    edges = np.searchsorted(key, np.arange(n_keys + 1))
    return GroupSort(
        clock=clock, codes=codes, row=row, key=key, known=rows.known(clock)[row], start=edges[:-1], end=edges[1:]
    )


def sort_queries(codes: Ints, ticks: Ints) -> Queries:
    """Deduplicate and sort queries, given by key code and tick (us) [queries]."""
    order = np.lexsort((ticks, codes))
    key, tick = codes[order], ticks[order]
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = (key[1:] != key[:-1]) | (tick[1:] != tick[:-1])
    inverse = np.empty(len(key), dtype=np.int64)
    inverse[order] = np.cumsum(first) - 1
    return Queries(key=key[first], tick=tick[first], inverse=inverse, null=codes == -1)


def find_bounds(sort: GroupSort, queries: Queries, lookback_us: int | None) -> tuple[Ints, Ints, Ints]:
    """The range of each query's lookback in the sort; computed once for all columns.

    Returns:
        lo, mid, hi [m]: rows lo <= i < hi of the query's key are known in [tick - lookback, tick). mid is the first of
        them at or after the last multiple of the lookback before the tick; without a lookback it is lo.
    """
    cached = queries._bounds.get(lookback_us)
    if cached is None or cached[0] is not sort:
        cached = queries._bounds[lookback_us] = (sort, *_bounds(sort, queries, lookback_us))
    return cached[1:]


def _bounds(sort: GroupSort, queries: Queries, lookback_us: int | None) -> tuple[Ints, Ints, Ints]:
    hi = _since(sort, queries, queries.tick)
    if lookback_us is None:
        lo = np.zeros(len(queries.key), dtype=np.int64)
        if len(sort.start):
            lo = np.where(queries.key >= 0, sort.start[np.maximum(queries.key, 0)], 0)
        return lo, lo, hi
    lo = _since(sort, queries, queries.tick - lookback_us)
    return lo, _since(sort, queries, queries.tick - queries.tick % lookback_us), hi


def _since(sort: GroupSort, queries: Queries, instant: Ints) -> Ints:
    """The position of the first row of each query's key that is known at or after an instant [m]."""
    at = np.zeros(len(queries.key), dtype=np.int64)
    kernels.bounds(sort.known, sort.start, sort.end, queries.key, instant, at)
    return at
