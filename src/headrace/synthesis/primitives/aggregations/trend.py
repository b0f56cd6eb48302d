"""Trend: the slope of the least-squares line through values over their instants, per day.

featuretools takes the unit from how the group's first instant is rounded; here it is a day, always.

The kernel differences prefix sums of t, t^2 and t d in double-double, where t = instants since the key's first one in
microseconds, and d = values - the key's first value. Over a range of n values,
slope = (S_td - S_t S_d / n) / (S_tt - S_t^2 / n).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from headrace.core.clock import DAY
from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.double_double import add, divide, product
from headrace.synthesis.primitives.entries import LookbackRanges

_AGGREGATIONS = (
    Aggregation(
        name="trend",
        description="the slope of their line of least squares, per day (three or more)",
        inputs=NUMBER,
    ),
)


_WIDTH = 9
_FAINT = 1e-20


def trend(ranges: LookbackRanges, _names: frozenset[str]) -> dict[str, Floats]:
    """The slope per day."""
    valid = ranges.valid

    def compute() -> Floats:
        prefix = np.empty((len(valid.key), _WIDTH))
        running_products(valid.x, valid.anchor, valid.start, prefix)
        return prefix

    out = np.full(ranges.size, np.nan)
    slopes(valid.x, valid.anchor, valid.start, valid.cached("trend", compute), ranges.lo, ranges.hi, out)
    return {"trend": out * float(DAY)}


@njit(cache=True, nogil=True)
def running_products(x: Any, anchor: Any, start: Any, out: Any) -> None:
    """out [n, 9] up to and with each entry, within its key: sums of d, t, t^2, t d (high, low each), start of the run
    of equal values."""
    dh = dl = th = tl = qh = ql = ph = pl = 0.0
    run = 0
    for i in range(len(x)):
        if start[i] == i:
            dh = dl = th = tl = qh = ql = ph = pl = 0.0
            run = i
        elif x[i] != x[i - 1]:
            run = i
        t = float(anchor[i] - anchor[start[i]])
        vh, vl = add(x[i], 0.0, -x[start[i]], 0.0)
        dh, dl = add(dh, dl, vh, vl)
        th, tl = add(th, tl, t, 0.0)
        ah, al = product(t, 0.0, t, 0.0)
        qh, ql = add(qh, ql, ah, al)
        ah, al = product(vh, vl, t, 0.0)
        ph, pl = add(ph, pl, ah, al)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = dh, dl, th, tl
        out[i, 4], out[i, 5], out[i, 6], out[i, 7] = qh, ql, ph, pl
        out[i, 8] = run


@njit(cache=True, nogil=True)
def _second_pass(x: Any, anchor: Any, lo: int, hi: int) -> float:
    """The slope in two passes over the range."""
    n = hi - lo
    mh = ml = th = tl = 0.0
    for i in range(lo, hi):
        mh, ml = add(mh, ml, x[i], 0.0)
        th, tl = add(th, tl, float(anchor[i] - anchor[lo]), 0.0)
    mh, ml = divide(mh, ml, float(n))
    th, tl = divide(th, tl, float(n))
    together = spread = 0.0
    for i in range(lo, hi):
        t = (float(anchor[i] - anchor[lo]) - th) - tl
        together += t * ((x[i] - mh) - ml)
        spread += t * t
    return together / spread


@njit(cache=True, nogil=True)
def slopes(x: Any, anchor: Any, start: Any, prefix: Any, lo: Any, hi: Any, out: Any) -> None:
    """out [m]: the slope per microsecond, of three or more at more than one instant."""
    s = np.empty(8)
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n < 3 or anchor[hi[j] - 1] == anchor[lo[j]]:
            continue
        last = hi[j] - 1
        if prefix[last, 8] <= lo[j]:
            out[j] = 0.0
            continue
        sizes = 0.0
        for k in range(0, 8, 2):
            s[k], s[k + 1] = prefix[last, k], prefix[last, k + 1]
            if lo[j] > start[last]:
                b = lo[j] - 1
                s[k], s[k + 1] = add(s[k], s[k + 1], -prefix[b, k], -prefix[b, k + 1])
                if k == 6:
                    sizes = abs(prefix[b, 6])
        ah, al = divide(s[2], s[3], float(n))
        ph, pl = product(ah, al, s[2], s[3])
        vh, vl = add(s[4], s[5], -ph, -pl)
        spread = vh + vl
        ph, pl = product(ah, al, s[0], s[1])
        uh, ul = add(s[6], s[7], -ph, -pl)
        together = uh + ul
        sizes = max(sizes, abs(prefix[last, 6]), abs(ph))
        if spread > 0.0 and prefix[last, 4] * _FAINT <= spread and sizes * _FAINT <= abs(together):
            out[j] = together / spread
        else:
            out[j] = _second_pass(x, anchor, lo[j], hi[j])


TREND = AggregationFamily(name="trend", aggregations=_AGGREGATIONS, kernel=trend)
