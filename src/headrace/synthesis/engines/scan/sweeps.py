"""Answers by a sweep through time: entries come and go, queries read what is there between.

Where an entry can end before its lookback does (a correction, a stacked value that changes, a lookback on event time),
windows of positions do not do. Then the entries of a key are taken as operations in time, insertions and removals; a
query has a place among them. Each kernel keeps what its family needs under both, in O(log entries) an operation, so
that a sweep is O((entries + queries) log entries); what it says of a query depends on its key's earlier operations
alone, never on other queries: the same bits in full, in part and online.

Notation
  ops [o]        an entry i comes: i; it goes: ~i (removals before insertions of the same instant)
  start [m]      where a query's key starts among the operations; queries are sorted by (key, tick)
  stop [m]       the operations that a query has behind it are start <= at < stop
  position [n]   rank of an entry's slot among its key's, in canonical order: at most one entry of a slot lives at once
  width [m]      how many positions a query's key has
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def merge(
    come: Any, begin: Any, come_start: Any, go: Any, finish: Any, go_start: Any, key: Any, tick: Any, ops: Any,
    start: Any, stop: Any,
) -> int:  # fmt: skip
    """Write ops, start, stop. come, go: entries by (key, begin), (key, finish); a key's from come_start, go_start.

    An entry is seen at t when begin < t <= finish. Returns how many operations there are.
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
            i, i_end, r, r_end = come_start[k], come_start[k + 1], go_start[k], go_start[k + 1]
            first = at
        while True:
            coming = i < i_end and begin[come[i]] < tick[j]
            going = r < r_end and finish[go[r]] < tick[j]
            if going and (not coming or finish[go[r]] <= begin[come[i]]):
                ops[at] = ~go[r]
                r += 1
            elif coming:
                ops[at] = come[i]
                i += 1
            else:
                break
            at += 1
        start[j], stop[j] = first, at
    return at


@njit(cache=True, nogil=True)
def totals(ops: Any, start: Any, stop: Any, present: Any, true: Any, out: Any) -> None:
    """out [m, 3]: how many live entries there are, have a value, are true."""
    before = -1
    at = every = filled = truths = 0
    for j in range(len(start)):
        if start[j] != before or at > stop[j]:
            before = at = start[j]
            every = filled = truths = 0
        while at < stop[j]:
            i = ops[at]
            sign = 1 if i >= 0 else -1
            i = i if i >= 0 else ~i
            every += sign
            filled += sign * present[i]
            truths += sign * true[i]
            at += 1
        out[j, 0], out[j, 1], out[j, 2] = every, filled, truths


@njit(cache=True, nogil=True)
def last(ops: Any, start: Any, stop: Any, position: Any, width: Any, wanted: Any, out: Any) -> None:
    """out [m]: the live entry that is wanted and stands last, -1 where there is none. By a tree of who is there."""
    most = width.max() if len(width) else 0
    size = _power(most)
    there = np.full(2 * size, -1, dtype=np.int64)
    before = -1
    at = leaves = 0
    for j in range(len(start)):
        out[j] = -1
        if start[j] == stop[j]:
            continue
        if start[j] != before:
            before = at = start[j]
            leaves = _power(width[j])
            there[: 2 * leaves] = -1
        while at < stop[j]:
            i = ops[at]
            came = i >= 0
            i = i if came else ~i
            at += 1
            if not wanted[i]:
                continue
            node = leaves + position[i]
            there[node] = i if came else -1
            node //= 2
            while node >= 1:
                found = there[2 * node + 1] if there[2 * node + 1] >= 0 else there[2 * node]
                if there[node] == found:
                    break
                there[node] = found
                node //= 2
        out[j] = there[1]


@njit(cache=True, nogil=True)
def _power(least: int) -> int:
    size = 1
    while size < least:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def extremes(ops: Any, start: Any, stop: Any, position: Any, width: Any, x: Any, out: Any) -> None:
    """out [m, 2]: minimum and maximum of what lives, by two tournament trees over positions; NaN where empty."""
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
            came = i >= 0
            i = i if came else ~i
            at += 1
            if math.isnan(x[i]):
                continue
            n += 1 if came else -1
            node = leaves + position[i]
            low[node] = x[i] if came else np.inf
            high[node] = x[i] if came else -np.inf
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
    """number [m] of distinct codes that live, and (where `ranked`) mode [m], the most frequent, then smallest; else -1.

    Counts sit in a tournament tree over codes, as in `families.categories`.
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
                        _replay(count, winner, c, leaves)
            before = at = start[j]
            unique = 0
        while at < stop[j]:
            i = ops[at]
            came = i >= 0
            c = code[i if came else ~i]
            at += 1
            if c < 0:
                continue
            if came:
                unique += count[c] == 0
                count[c] += 1
            else:
                count[c] -= 1
                unique -= count[c] == 0
            if ranked:
                _replay(count, winner, c, leaves)
        if unique:
            number[j] = unique
            mode[j] = winner[1]


@njit(cache=True, nogil=True)
def _replay(count: Any, winner: Any, code: int, leaves: int) -> None:
    node = (leaves + code) // 2
    while node >= 1:
        a, b = winner[2 * node], winner[2 * node + 1]
        winner[node] = b if count[b] > count[a] else a
        node //= 2


@njit(cache=True, nogil=True)
def listed(ops: Any, start: Any, stop: Any, position: Any, width: Any, size: Any, skip: int, out: Any) -> None:
    """The live entries of each query in canonical order, one query after the other. size [m]: how many.

    The first `skip` queries are only passed through; with `out` empty all are only counted.
    """
    most = width.max() if len(width) else 0
    there = np.full(most + 1, -1, dtype=np.int64)
    before = -1
    at = low = high = n = written = 0
    for j in range(len(start)):
        if start[j] == stop[j]:
            size[j] = 0
            continue
        if start[j] != before:
            before = at = start[j]
            there[: width[j]] = -1
            low = high = n = 0
        while at < stop[j]:
            i = ops[at]
            came = i >= 0
            i = i if came else ~i
            at += 1
            place = position[i]
            if came:
                low, high = (place, place + 1) if n == 0 else (min(low, place), max(high, place + 1))
                there[place] = i
                n += 1
            else:
                there[place] = -1
                n -= 1
                while low < high and there[low] < 0:
                    low += 1
        size[j] = n
        if len(out) and j >= skip:
            for place in range(low, high):
                if there[place] >= 0:
                    out[written] = there[place]
                    written += 1
