"""Compiled loops of the local engine. Each is linear in entries + queries; sums are kept in double-double.

Notation (entries and queries are sorted by key, then time, so lo and hi never fall)
  x [n]            values of one column that are not null
  key [n]          entity code of an entry
  lo, hi [m]       a query sees entries lo <= i < hi, all of one key
  S1, S2, S3       sums of d, d^2, d^3 with d = x - centre, centre = the key's first value

Double-double (Dekker, 1971; Knuth, TAOCP 2, 4.2.2): an unevaluated sum of two float64, 106 bits. A prefix difference
then loses nothing that matters, whatever came before the window; and the result for a query depends only on its key's
earlier entries, never on which other queries there are: the same bits in training, in part and online.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.core.clock import NEVER

#: Columns of the prefix array: S1, S2, S3 (high, low each), centre, start of the run of equal values.
PREFIX_WIDTH = 8
#: Columns of the moments result.
SUM, MEAN, STD, SKEW = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def _add(ah: float, al: float, bh: float, bl: float) -> Any:
    s = ah + bh
    v = s - ah
    e = (ah - (s - v)) + (bh - v) + al + bl
    h = s + e
    return h, e - (h - s)


@njit(cache=True, nogil=True)
def _times(a: float, b: float) -> Any:
    p = a * b
    t = 134217729.0 * a
    ah = t - (t - a)
    al = a - ah
    t = 134217729.0 * b
    bh = t - (t - b)
    bl = b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


@njit(cache=True, nogil=True)
def _product(ah: float, al: float, bh: float, bl: float) -> Any:
    p, e = _times(ah, bh)
    e += ah * bl + al * bh
    h = p + e
    return h, e - (h - p)


@njit(cache=True, nogil=True)
def _divide(ah: float, al: float, b: float) -> Any:
    q = ah / b
    p, e = _times(q, b)
    r = (ah - p - e + al) / b
    h = q + r
    return h, r - (h - q)


@njit(cache=True, nogil=True)
def bounds(known: Any, start: Any, end: Any, query_key: Any, query_tick: Any, lookback_us: int, lo: Any) -> None:
    """lo [m]: the first entry of each query's key that is known at or after tick - lookback."""
    at = 0
    for j in range(len(query_key)):
        key = query_key[j]
        if key < 0:
            lo[j] = 0
            continue
        at = max(at, start[key])
        since = query_tick[j] - lookback_us
        while at < end[key] and known[at] < since:
            at += 1
        lo[j] = at


@njit(cache=True, nogil=True)
def prefix_sums(x: Any, key: Any, out: Any) -> None:
    """out [n, PREFIX_WIDTH]: sums up to and with each entry, within its key."""
    s1h = s1l = s2h = s2l = s3h = s3l = centre = 0.0
    run = 0
    for i in range(len(x)):
        if i == 0 or key[i] != key[i - 1]:
            s1h = s1l = s2h = s2l = s3h = s3l = 0.0
            centre = x[i]
            run = i
        elif x[i] != x[i - 1]:
            run = i
        dh, dl = _add(x[i], 0.0, -centre, 0.0)
        qh, ql = _product(dh, dl, dh, dl)
        ch, cl = _product(qh, ql, dh, dl)
        s1h, s1l = _add(s1h, s1l, dh, dl)
        s2h, s2l = _add(s2h, s2l, qh, ql)
        s3h, s3l = _add(s3h, s3l, ch, cl)
        out[i, 0], out[i, 1] = s1h, s1l
        out[i, 2], out[i, 3] = s2h, s2l
        out[i, 4], out[i, 5] = s3h, s3l
        out[i, 6], out[i, 7] = centre, run


@njit(cache=True, nogil=True)
def _directly(x: Any, lo: int, hi: int, mean: float) -> Any:
    """M2, M3 by a second pass over the window, where differences of prefix sums would not be sharp enough."""
    n = hi - lo
    s1 = s2 = s3 = 0.0
    for i in range(lo, hi):
        d = x[i] - mean
        s1 += d
        s2 += d * d
        s3 += d * d * d
    return s2 - s1 * s1 / n, s3 - 3.0 * s1 * s2 / n + 2.0 * s1 * s1 * s1 / (n * n)


@njit(cache=True, nogil=True)
def moments(x: Any, prefix: Any, key: Any, lo: Any, hi: Any, shape: bool, out: Any) -> None:
    """out [m, 4]: sum, mean, sample standard deviation, bias-corrected skewness; NaN where undefined.

    Without `shape` the last two are left alone. From central sums: M2 = S2 - S1^2/n, M3 = S3 - 3 S1 S2/n + 2 S1^3/n^2.
    Where what cancels is more than 1e20 times what is left, the window is passed over again instead.
    """
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            continue
        last = hi[j] - 1
        p = prefix[last]
        s1h, s1l, s2h, s2l, s3h, s3l = p[0], p[1], p[2], p[3], p[4], p[5]
        if lo[j] > 0 and key[lo[j] - 1] == key[last]:
            b = prefix[lo[j] - 1]
            s1h, s1l = _add(s1h, s1l, -b[0], -b[1])
            s2h, s2l = _add(s2h, s2l, -b[2], -b[3])
            s3h, s3l = _add(s3h, s3l, -b[4], -b[5])
        ch, cl = _times(p[6], float(n))
        th, tl = _add(s1h, s1l, ch, cl)
        out[j, 0] = th + tl
        mh, ml = _divide(th, tl, float(n))
        out[j, 1] = mh + ml
        if not shape or n < 2:
            continue
        if p[7] <= lo[j]:
            out[j, 2] = 0.0
            if n >= 3:
                out[j, 3] = 0.0
            continue
        ah, al = _divide(s1h, s1l, float(n))
        ph, pl = _product(ah, al, s1h, s1l)
        vh, vl = _add(s2h, s2l, -ph, -pl)
        m2 = vh + vl
        uh, ul = _product(ah, al, s2h, s2l)
        uh, ul = _product(uh, ul, -3.0, 0.0)
        wh, wl = _product(ah, al, ph, pl)
        wh, wl = _product(wh, wl, 2.0, 0.0)
        m3h, m3l = _add(s3h, s3l, uh, ul)
        m3h, m3l = _add(m3h, m3l, wh, wl)
        m3 = m3h + m3l
        before3 = prefix[lo[j] - 1, 4] if lo[j] > 0 and key[lo[j] - 1] == key[last] else 0.0
        cancels = max(abs(p[4]), abs(before3), abs(uh), abs(wh))
        if not (m2 > 0.0 and p[2] <= 1e20 * m2 and cancels <= 1e20 * m2 * math.sqrt(m2)):
            m2, m3 = _directly(x, lo[j], hi[j], mh + ml)
        out[j, 2] = math.sqrt(m2 / (n - 1)) if m2 > 0.0 else 0.0
        if n < 3:
            continue
        spread = m2 * math.sqrt(m2) if m2 > 0.0 else 0.0
        out[j, 3] = 0.0 if spread == 0.0 else n * math.sqrt(n - 1.0) / (n - 2.0) * (m3 / spread)


@njit(cache=True, nogil=True)
def extremes(x: Any, lo: Any, hi: Any, out: Any) -> None:
    """out [m, 2]: minimum and maximum by two monotone deques, one sweep; NaN where empty."""
    low = np.empty(len(x) + 1, dtype=np.int64)
    high = np.empty(len(x) + 1, dtype=np.int64)
    low_head = low_tail = high_head = high_tail = 0
    right = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            continue
        if lo[j] > right:
            right = lo[j]
        if right < hi[j] and right <= lo[j]:
            low_head = low_tail = high_head = high_tail = 0
        while right < hi[j]:
            while low_tail > low_head and x[low[low_tail - 1]] >= x[right]:
                low_tail -= 1
            low[low_tail] = right
            low_tail += 1
            while high_tail > high_head and x[high[high_tail - 1]] <= x[right]:
                high_tail -= 1
            high[high_tail] = right
            high_tail += 1
            right += 1
        while low[low_head] < lo[j]:
            low_head += 1
        while high[high_head] < lo[j]:
            high_head += 1
        out[j, 0] = x[low[low_head]]
        out[j, 1] = x[high[high_head]]


@njit(cache=True, nogil=True)
def distinct(codes: Any, lo: Any, hi: Any, n_categories: int, number: Any, mode: Any) -> None:
    """number [m], mode [m] (code, -1 where empty) of the codes in each window, by two pointers.

    Counts sit in a tournament tree over category ranks: a change costs log2(categories), the winner (most frequent,
    then smallest) is read at the root, so no order of arrivals and departures is slow.
    """
    width = 1
    while width < n_categories:
        width *= 2
    count = np.zeros(width, dtype=np.int64)
    winner = np.zeros(2 * width, dtype=np.int64)
    for i in range(width):
        winner[width + i] = i
    for i in range(width - 1, 0, -1):
        winner[i] = winner[2 * i]
    left = right = 0
    unique = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            mode[j] = -1
            continue
        while left < right and left < lo[j]:
            code = codes[left]
            count[code] -= 1
            unique -= 1 if count[code] == 0 else 0
            _replay(count, winner, code, width)
            left += 1
        if left < lo[j]:
            left = right = lo[j]
        while right < hi[j]:
            code = codes[right]
            unique += 1 if count[code] == 0 else 0
            count[code] += 1
            _replay(count, winner, code, width)
            right += 1
        number[j] = unique
        mode[j] = winner[1]


@njit(cache=True, nogil=True)
def _replay(count: Any, winner: Any, code: int, width: int) -> None:
    at = (width + code) // 2
    while at >= 1:
        a, b = winner[2 * at], winner[2 * at + 1]
        winner[at] = b if count[b] > count[a] else a
        at //= 2


@njit(cache=True, nogil=True)
def alive(until: Any, event: Any, lo: Any, hi: Any, tick: Any, since: Any, size: Any, out: Any) -> None:
    """The entries that each query still sees, written one query after the other: not superseded before its tick, and
    (where `event` is not empty) with an event in [since, tick). size [m]: how many. With `out` empty it only counts.
    """
    at = 0
    for j in range(len(lo)):
        seen = 0
        for i in range(lo[j], hi[j]):
            if until[i] < tick[j]:
                continue
            if len(event) and not (since[j] <= event[i] < tick[j]):
                continue
            if len(out):
                out[at] = i
                at += 1
            seen += 1
        size[j] = seen


@njit(cache=True, nogil=True)
def first_end(until: Any, start: Any, end: Any, out: Any) -> None:
    """out [keys]: the earliest instant at which any assertion of a key is superseded."""
    for key in range(len(start)):
        least = NEVER
        for i in range(start[key], end[key]):
            least = min(least, until[i])
        out[key] = least
