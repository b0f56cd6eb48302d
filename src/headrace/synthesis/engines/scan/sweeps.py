"""Aggregations by a sweep through time: entries are inserted and removed, queries read the state in between.

Each kernel keeps the state of its aggregation under insertions and removals, in O(log entries) each, so that a sweep
takes O((entries + queries) log entries). The result of a query depends on its key's earlier operations alone, not on
other queries: the same bits in full, partial and online computation.

Notation
  ops [o]        an entry i is inserted: i; it is removed: ~i (removals before insertions of the same instant)
  start [m]      first operation of a query's key; queries are sorted by (key, tick)
  stop [m]       the operations before a query are start <= at < stop
  position [n]   rank of an entry's assertion among its key's, in canonical order: at most one entry of an assertion is
                 live at a time
  width [m]      how many positions a query's key has
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.primitives.aggregations.categories import update_winner


@njit(cache=True, nogil=True)
def merge(
    inserted: Any, begin: Any, inserted_start: Any, removed: Any, end: Any, removed_start: Any, key: Any, tick: Any,
    ops: Any, start: Any, stop: Any,
) -> int:  # fmt: skip
    """Write ops, start, stop. Returns how many operations there are.

    inserted: entries by (key, begin); those of a key from inserted_start [keys + 1] on. removed: entries by (key, end);
    those of a key from removed_start on. An entry is seen at t when begin < t <= end.
    """
    at = 0
    before = -1
    first = i = r = i_end = r_end = 0
    for j in range(len(key)):
        k = key[j]
        if k < 0:
            start[j] = stop[j] = at
            continue
        if k != before:
            before = k
            i, i_end, r, r_end = inserted_start[k], inserted_start[k + 1], removed_start[k], removed_start[k + 1]
            first = at
        while True:
            inserting = i < i_end and begin[inserted[i]] < tick[j]
            removing = r < r_end and end[removed[r]] < tick[j]
            if removing and (not inserting or end[removed[r]] <= begin[inserted[i]]):
                ops[at] = ~removed[r]
                r += 1
            elif inserting:
                ops[at] = inserted[i]
                i += 1
            else:
                break
            at += 1
        start[j], stop[j] = first, at
    return at


@njit(cache=True, nogil=True)
def totals(ops: Any, start: Any, stop: Any, is_valid: Any, true: Any, out: Any) -> None:
    """out [m, 3]: how many live entries there are, have a value, are true."""
    before = -1
    at = every = valid = truths = 0
    for j in range(len(start)):
        if start[j] != before or at > stop[j]:
            before = at = start[j]
            every = valid = truths = 0
        while at < stop[j]:
            i = ops[at]
            sign = 1 if i >= 0 else -1
            i = i if i >= 0 else ~i
            every += sign
            valid += sign * is_valid[i]
            truths += sign * true[i]
            at += 1
        out[j, 0], out[j, 1], out[j, 2] = every, valid, truths


@njit(cache=True, nogil=True)
def last(ops: Any, start: Any, stop: Any, position: Any, width: Any, flags: Any, out: Any) -> None:
    """out [m]: the last flagged live entry, -1 where there is none; by a tree of live entries over positions."""
    most = width.max() if len(width) else 0
    size = _power(most)
    live = np.full(2 * size, -1, dtype=np.int64)
    before = -1
    at = leaves = 0
    for j in range(len(start)):
        out[j] = -1
        if start[j] == stop[j]:
            continue
        if start[j] != before:
            before = at = start[j]
            leaves = _power(width[j])
            live[: 2 * leaves] = -1
        while at < stop[j]:
            i = ops[at]
            is_insertion = i >= 0
            i = i if is_insertion else ~i
            at += 1
            if not flags[i]:
                continue
            node = leaves + position[i]
            live[node] = i if is_insertion else -1
            node //= 2
            while node >= 1:
                last_live = live[2 * node + 1] if live[2 * node + 1] >= 0 else live[2 * node]
                if live[node] == last_live:
                    break
                live[node] = last_live
                node //= 2
        out[j] = live[1]


@njit(cache=True, nogil=True)
def _power(least: int) -> int:
    size = 1
    while size < least:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def extremes(ops: Any, start: Any, stop: Any, position: Any, width: Any, x: Any, out: Any) -> None:
    """out [m, 2]: minimum and maximum of live entries, by two tournament trees over positions; NaN where empty."""
    most = width.max() if len(width) else 0
    size = _power(most)
    low = np.full(2 * size, np.inf)
    high = np.full(2 * size, -np.inf)
    before = -1
    at = leaves = n = 0
    for j in range(len(start)):
        if start[j] == stop[j]:
            continue
        if start[j] != before:
            before = at = start[j]
            leaves = _power(width[j])
            low[: 2 * leaves] = np.inf
            high[: 2 * leaves] = -np.inf
            n = 0
        while at < stop[j]:
            i = ops[at]
            is_insertion = i >= 0
            i = i if is_insertion else ~i
            at += 1
            if math.isnan(x[i]):
                continue
            n += 1 if is_insertion else -1
            node = leaves + position[i]
            low[node] = x[i] if is_insertion else np.inf
            high[node] = x[i] if is_insertion else -np.inf
            node //= 2
            while node >= 1:
                least = min(low[2 * node], low[2 * node + 1])
                largest = max(high[2 * node], high[2 * node + 1])
                if low[node] == least and high[node] == largest:
                    break
                low[node], high[node] = least, largest
                node //= 2
        if n:
            out[j, 0], out[j, 1] = low[1], high[1]


@njit(cache=True, nogil=True)
def distinct(ops: Any, start: Any, stop: Any, code: Any, codes: int, ranked: bool, number: Any, mode: Any) -> None:
    """number [m] of distinct live codes, and (where `ranked`) mode [m], the most frequent, then smallest; else -1.

    Counts are in a tournament tree over codes, as in `aggregations.categories`.
    """
    leaves = _power(codes)
    count = np.zeros(leaves, dtype=np.int64)
    winner = np.zeros(2 * leaves, dtype=np.int64)
    for i in range(leaves):
        winner[leaves + i] = i
    for i in range(leaves - 1, 0, -1):
        winner[i] = winner[2 * i]
    before = -1
    at = unique = 0
    for j in range(len(start)):
        if start[j] != before or at > stop[j]:
            for back in range(max(before, 0), at):
                i = ops[back]
                c = code[i if i >= 0 else ~i]
                if c >= 0 and count[c]:
                    count[c] = 0
                    if ranked:
                        update_winner(count, winner, c, leaves)
            before = at = start[j]
            unique = 0
        while at < stop[j]:
            i = ops[at]
            is_insertion = i >= 0
            c = code[i if is_insertion else ~i]
            at += 1
            if c < 0:
                continue
            if is_insertion:
                unique += count[c] == 0
                count[c] += 1
            else:
                count[c] -= 1
                unique -= count[c] == 0
            if ranked:
                update_winner(count, winner, c, leaves)
        if unique:
            number[j] = unique
            mode[j] = winner[1]


@njit(cache=True, nogil=True)
def listed(ops: Any, start: Any, stop: Any, position: Any, width: Any, size: Any, skip: int, out: Any) -> None:
    """The live entries of each query in canonical order, one query after the other. size [m]: how many.

    The first `skip` queries are only passed through; with `out` empty all are only counted.
    """
    most = width.max() if len(width) else 0
    live = np.full(most + 1, -1, dtype=np.int64)
    before = -1
    at = low = high = n = written = 0
    for j in range(len(start)):
        if start[j] == stop[j]:
            size[j] = 0
            continue
        if start[j] != before:
            before = at = start[j]
            live[: width[j]] = -1
            low = high = n = 0
        while at < stop[j]:
            i = ops[at]
            is_insertion = i >= 0
            i = i if is_insertion else ~i
            at += 1
            place = position[i]
            if is_insertion:
                low, high = (place, place + 1) if n == 0 else (min(low, place), max(high, place + 1))
                live[place] = i
                n += 1
            else:
                live[place] = -1
                n -= 1
                while low < high and live[low] < 0:
                    low += 1
        size[j] = n
        if len(out) and j >= skip:
            for place in range(low, high):
                if live[place] >= 0:
                    out[written] = live[place]
                    written += 1
