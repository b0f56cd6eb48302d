"""The two sorts: a table's rows by (entity, known time, order), and the queries by (entity, tick)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headrace.synthesis.engines import kernels
from headrace.synthesis.engines.rows import Rows
from headrace.synthesis.values import Flags, Ints


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
    _bounds: dict[int | None, tuple[GroupSort, Ints, Ints]] = field(default_factory=dict, compare=False, repr=False)


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


def find_bounds(sort: GroupSort, queries: Queries, lookback_us: int | None) -> tuple[Ints, Ints]:
    """lo, hi [m]: entries of each query's key known in [tick - lookback, tick); found once for all columns."""
    known = queries._bounds.get(lookback_us)
    if known is None or known[0] is not sort:
        known = queries._bounds[lookback_us] = (sort, *_bounds(sort, queries, lookback_us))
    return known[1], known[2]


def _bounds(sort: GroupSort, queries: Queries, lookback_us: int | None) -> tuple[Ints, Ints]:
    hi = np.zeros(len(queries.key), dtype=np.int64)
    kernels.bounds(sort.known, sort.start, sort.end, queries.key, queries.tick, 0, hi)
    lo = np.zeros(len(queries.key), dtype=np.int64)
    if lookback_us is None:
        if len(sort.start):
            lo = np.where(queries.key >= 0, sort.start[np.maximum(queries.key, 0)], 0)
    else:
        kernels.bounds(sort.known, sort.start, sort.end, queries.key, queries.tick, lookback_us, lo)
    return lo, hi
