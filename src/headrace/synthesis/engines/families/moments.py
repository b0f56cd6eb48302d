"""Sum, mean, standard deviation, skewness: prefix sums of powers, and their differences.

Notation
  x [n]            values that are not null, sorted by key, then time
  lo, hi [m]       a query sees values lo <= i < hi, all of one key
  S1, S2, S3       sums of d, d^2, d^3 with d = x - centre, centre = the key's first value
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.engines.families.entries import Asked
from headrace.synthesis.engines.families.precise import add, divide, product, times
from headrace.synthesis.values import Floats

#: Columns of the prefix array: S1, S2, S3 (high, low each), centre, start of the run of equal values.
PREFIX_WIDTH = 8
_COLUMNS = {"sum": 0, "mean": 1, "std": 2, "skew": 3}


def moments(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    filled = asked.filled

    def sums() -> Floats:
        prefix = np.empty((len(filled.key), PREFIX_WIDTH))
        prefix_sums(filled.x, filled.key, prefix)
        return prefix

    table = np.full((asked.size, 4), np.nan)
    shape = not names.isdisjoint(("std", "skew"))
    windows(filled.x, filled.once("moments", sums), filled.key, asked.low, asked.high, shape, table)
    return {name: table[:, _COLUMNS[name]] for name in names}


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
        dh, dl = add(x[i], 0.0, -centre, 0.0)
        qh, ql = product(dh, dl, dh, dl)
        ch, cl = product(qh, ql, dh, dl)
        s1h, s1l = add(s1h, s1l, dh, dl)
        s2h, s2l = add(s2h, s2l, qh, ql)
        s3h, s3l = add(s3h, s3l, ch, cl)
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
def windows(x: Any, prefix: Any, key: Any, lo: Any, hi: Any, shape: bool, out: Any) -> None:
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
            s1h, s1l = add(s1h, s1l, -b[0], -b[1])
            s2h, s2l = add(s2h, s2l, -b[2], -b[3])
            s3h, s3l = add(s3h, s3l, -b[4], -b[5])
        ch, cl = times(p[6], float(n))
        th, tl = add(s1h, s1l, ch, cl)
        out[j, 0] = th + tl
        mh, ml = divide(th, tl, float(n))
        out[j, 1] = mh + ml
        if not shape or n < 2:
            continue
        if p[7] <= lo[j]:
            out[j, 2] = 0.0
            if n >= 3:
                out[j, 3] = 0.0
            continue
        ah, al = divide(s1h, s1l, float(n))
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
        before3 = prefix[lo[j] - 1, 4] if lo[j] > 0 and key[lo[j] - 1] == key[last] else 0.0
        cancels = max(abs(p[4]), abs(before3), abs(uh), abs(wh))
        if not (m2 > 0.0 and p[2] <= 1e20 * m2 and cancels <= 1e20 * m2 * math.sqrt(m2)):
            m2, m3 = _directly(x, lo[j], hi[j], mh + ml)
        out[j, 2] = math.sqrt(m2 / (n - 1)) if m2 > 0.0 else 0.0
        if n < 3:
            continue
        spread = m2 * math.sqrt(m2) if m2 > 0.0 else 0.0
        out[j, 3] = 0.0 if spread == 0.0 else n * math.sqrt(n - 1.0) / (n - 2.0) * (m3 / spread)
