"""Moments by a sweep (see `sweeps`): running sums in double-double, recomputed from the live entries now and then.

Notation as in `aggregations.moments`: S1, S2, S3 are sums of d, d^2, d^3 with d = x - centre. When more entries were
removed than are live, or a removed one was 2^32 times larger than all that are left, the sums are recomputed around the
mean of the live entries. So they stay accurate whatever was inserted before, at a constant cost per operation (except
where the largest values are removed again and again).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.primitives.double_double import add, divide, product, times

#: Positions in the state: S1, S2, S3 (high, low each), centre, the largest |d| since the sums were recomputed.
_STATE, _CENTRE, _LARGEST = 8, 6, 7
#: |d| is sorted into buckets of 16 binary orders, one of them for 0; sums are recomputed at so many empty top buckets.
_BUCKETS, _EMPTY = 140, 3
#: They are also recomputed after so many operations and twice the number of live entries.
_LEAST = 16


@njit(cache=True, nogil=True)
def _bucket(d: float) -> int:
    return 0 if d == 0.0 else (math.frexp(abs(d))[1] + 1090) // 16


@njit(cache=True, nogil=True)
def _apply(state: Any, x: float, sign: float, shape: bool) -> Any:
    """Add or take away one value; returns |d|."""
    dh, dl = add(x, 0.0, -state[_CENTRE], 0.0)
    state[0], state[1] = add(state[0], state[1], sign * dh, sign * dl)
    if shape:
        qh, ql = product(dh, dl, dh, dl)
        ch, cl = product(qh, ql, dh, dl)
        state[2], state[3] = add(state[2], state[3], sign * qh, sign * ql)
        state[4], state[5] = add(state[4], state[5], sign * ch, sign * cl)
    state[_LARGEST] = max(state[_LARGEST], abs(dh))
    return abs(dh)


@njit(cache=True, nogil=True)
def _recompute(state: Any, buckets: Any, x: Any, after: Any, head: int, n: int, shape: bool) -> int:
    """Recompute the sums of the live entries (a linked list from `head`) around their mean. Returns the top bucket."""
    th = tl = 0.0
    i = head
    while i >= 0:
        th, tl = add(th, tl, x[i], 0.0)
        i = after[i]
    state[:] = 0.0
    state[_CENTRE] = (th + tl) / n
    buckets[:] = 0
    top = 0
    i = head
    while i >= 0:
        bucket = _bucket(_apply(state, x[i], 1.0, shape))
        buckets[bucket] += 1
        top = max(top, bucket)
        i = after[i]
    return top


@njit(cache=True, nogil=True)
def moments(ops: Any, start: Any, stop: Any, x: Any, same: Any, kinds: int, shape: bool, out: Any) -> None:
    """out [m, 4]: sum, mean, sample standard deviation and skewness of the live entries; NaN where undefined.

    x NaN is no value. same [n] < kinds: equal exactly where x is, to count distinct values.
    """
    state = np.zeros(_STATE)
    buckets = np.zeros(_BUCKETS, dtype=np.int64)
    count = np.zeros(kinds, dtype=np.int64)
    after = np.full(len(x), -1, dtype=np.int64)
    ahead = np.full(len(x), -1, dtype=np.int64)
    before = head = tail = -1
    at = n = distinct = age = top = 0
    for j in range(len(start)):
        if start[j] != before:
            while head >= 0:
                count[same[head]] = 0
                head = after[head]
            head = tail = -1
            before = at = start[j]
            n = distinct = 0
        while at < stop[j]:
            i = ops[at]
            is_insertion = i >= 0
            i = i if is_insertion else ~i
            at += 1
            if math.isnan(x[i]):
                continue
            if is_insertion:
                if n == 0:
                    state[:] = 0.0
                    state[_CENTRE] = x[i]
                    buckets[:] = 0
                    age = top = 0
                    head = i
                else:
                    after[tail] = i
                ahead[i], after[i] = tail, -1
                tail = i
                distinct += count[same[i]] == 0
                count[same[i]] += 1
                n += 1
            else:
                left, right = ahead[i], after[i]
                if left >= 0:
                    after[left] = right
                else:
                    head = right
                if right >= 0:
                    ahead[right] = left
                else:
                    tail = left
                count[same[i]] -= 1
                distinct -= count[same[i]] == 0
                n -= 1
                if n == 0:
                    continue
            bucket = _bucket(_apply(state, x[i], 1.0 if is_insertion else -1.0, shape))
            age += 1
            if is_insertion:
                buckets[bucket] += 1
                top = max(top, bucket)
            else:
                buckets[bucket] -= 1
                inaccurate = age > 2 * n + _LEAST
                if not inaccurate and buckets[top] == 0:
                    live = top
                    while live > 0 and buckets[live] == 0:
                        live -= 1
                    inaccurate = top - live >= _EMPTY
                if inaccurate:
                    top = _recompute(state, buckets, x, after, head, n, shape)
                    age = 0
        if n:
            _write(state, n, distinct, x, after, head, shape, out[j])


@njit(cache=True, nogil=True)
def _write(state: Any, n: int, distinct: int, x: Any, after: Any, head: int, shape: bool, out: Any) -> None:
    """Write the four results of one query. M2 = S2 - S1^2/n, M3 = S3 - 3 S1 S2/n + 2 S1^3/n^2."""
    s1h, s1l, s2h, s2l, s3h, s3l = state[0], state[1], state[2], state[3], state[4], state[5]
    ah, al = divide(s1h, s1l, float(n))
    mh, ml = add(ah, al, state[_CENTRE], 0.0)
    ch, cl = times(state[_CENTRE], float(n))
    th, tl = add(s1h, s1l, ch, cl)
    out[0], out[1] = th + tl, mh + ml
    if distinct == 1:
        out[1] = x[head]
    if not shape or n < 2:
        return
    if distinct == 1:
        out[2] = 0.0
        if n >= 3:
            out[3] = 0.0
        return
    ph, pl = product(ah, al, s1h, s1l)
    vh, vl = add(s2h, s2l, -ph, -pl)
    m2 = vh + vl
    uh, ul = product(ah, al, s2h, s2l)
    uh, ul = product(uh, ul, -3.0, 0.0)
    wh, wl = product(ah, al, ph, pl)
    wh, wl = product(wh, wl, 2.0, 0.0)
    m3h, m3l = add(s3h, s3l, uh, ul)
    m3h, m3l = add(m3h, m3l, wh, wl)
    m3 = m3h + m3l
    square = n * state[_LARGEST] * state[_LARGEST]
    if not (m2 > 0.0 and square <= 1e20 * m2 and square * state[_LARGEST] <= 1e20 * m2 * math.sqrt(m2)):
        m2, m3 = _second_pass(x, after, head, n, mh + ml)
    out[2] = math.sqrt(m2 / (n - 1)) if m2 > 0.0 else 0.0
    if n < 3:
        return
    spread = m2 * math.sqrt(m2) if m2 > 0.0 else 0.0
    out[3] = 0.0 if spread == 0.0 else n * math.sqrt(n - 1.0) / (n - 2.0) * (m3 / spread)


@njit(cache=True, nogil=True)
def _second_pass(x: Any, after: Any, head: int, n: int, mean: float) -> Any:
    """M2, M3 in a pass over the live entries, where the running sums are not accurate enough."""
    s1 = s2 = s3 = 0.0
    i = head
    while i >= 0:
        d = x[i] - mean
        s1 += d
        s2 += d * d
        s3 += d * d * d
        i = after[i]
    return s2 - s1 * s1 / n, s3 - 3.0 * s1 * s2 / n + 2.0 * s1 * s1 * s1 / (n * n)
