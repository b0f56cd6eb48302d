"""The two sorts: a table's rows by (entity, known time, order), and the queries by (entity, tick)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headrace.synthesis.engines.scan import kernels
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.language.values import Flags, Ints


@dataclass(frozen=True, kw_only=True)
class GroupSort:
    """Entries [n] are rows with an entity and a known time, sorted. start, end [keys]: a key's entries.

    clock: what `known` is the effective time of. codes: of every row of the table, in its own order.
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
    """Distinct (key, tick) pairs [m], sorted; key < 0 has no rows. inverse [rows asked], null [rows asked]."""

    key: Ints
    tick: Ints
    inverse: Ints
    null: Flags
    _bounds: dict[int | None, tuple[GroupSort, Ints, Ints, Ints]] = field(
        default_factory=dict, compare=False, repr=False
    )


def sort_group(rows: Rows, clock: tuple[str, ...], codes: Ints) -> GroupSort:
    """Sort by known time once per clock (shared), then stably by entity."""
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
    """Make queries distinct and sort them."""
    order = np.lexsort((ticks, codes))
    key, tick = codes[order], ticks[order]
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = (key[1:] != key[:-1]) | (tick[1:] != tick[:-1])
    inverse = np.empty(len(key), dtype=np.int64)
    inverse[order] = np.cumsum(first) - 1
    return Queries(key=key[first], tick=tick[first], inverse=inverse, null=codes == -1)


def find_bounds(sort: GroupSort, queries: Queries, lookback_us: int | None) -> tuple[Ints, Ints, Ints]:
    """lo, mid, hi [m]: entries of each query's key known in [tick - lookback, tick); found once for all columns.

    mid: those before the last multiple of the lookback that a window holds come before it. Without a lookback it is lo.
    """
    known = queries._bounds.get(lookback_us)
    if known is None or known[0] is not sort:
        known = queries._bounds[lookback_us] = (sort, *_bounds(sort, queries, lookback_us))
    return known[1:]


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
    """The first entry of each query's key that is known at or after an instant [m]."""
    at = np.zeros(len(queries.key), dtype=np.int64)
    kernels.bounds(sort.known, sort.start, sort.end, queries.key, instant, at)
    return at
