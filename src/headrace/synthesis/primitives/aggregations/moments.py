"""Moments: spread and shape of numbers.

With n values x, mean m, and M_k = sum (x - m)^k: variance M_2 / (n - 1), standard deviation its root (both of a
sample, as in pandas), skewness n sqrt(n - 1) / (n - 2) M_3 / M_2^1.5 (bias-corrected; Joanes and Gill, 1998),
kurtosis n M_4 / M_2^2 - 3 (of the population, Fisher's, as in SciPy).

The kernel adds up powers of the distance to a centre, to either side of a border, as `sums` does:

  x [n]            values that are not null, sorted by key, then time
  lo, mid, hi [m]  a range holds the values lo <= i < hi, all of one key; mid, between them, is its border
  S1 .. S4         sums of d, d^2, d^3, d^4 with d = x - centre, where centre is the last value before the border if
                   the range holds it, else the first value after the border
  M2, M3, M4       from these, with a = S1 / n: M2 = S2 - a S1, M3 = S3 - 3 a S2 + 2 a^2 S1,
                   M4 = S4 - 4 a S3 + 6 a^2 S2 - 3 a^3 S1

Sums are kept in double-double. The centre is a value of the range, so at most the number of values cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.double_double import add, divide, product
from headrace.synthesis.primitives.entries import LookbackRanges

_AGGREGATIONS = (
    Aggregation(name="std", description="their sample standard deviation (two or more)", inputs=NUMBER),
    Aggregation(name="variance", description="their sample variance (two or more)", inputs=NUMBER),
    Aggregation(name="skew", description="their bias-corrected skewness (three or more)", inputs=NUMBER),
    Aggregation(name="kurtosis", description="their excess kurtosis (missing if all are equal)", inputs=NUMBER),
    Aggregation(name="coefficient_of_variation", description="standard deviation / mean", inputs=NUMBER),
    Aggregation(name="root_mean_square", description="the root of the mean of their squares", inputs=NUMBER),
    Aggregation(
        name="last_z_score",
        description="standard deviations of the last above their mean (0 if all are equal)",
        inputs=NUMBER,
    ),
    Aggregation(name="last_to_mean", description="the last / their mean", inputs=NUMBER),
)


#: A difference of sums that is smaller than this share of them is recomputed in a second pass (underflow).
_SMALLEST_SHARE = 1e-20


def moments(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    order = 4 if "kurtosis" in names else 3 if "skew" in names else 2
    n = (ranges.hi - ranges.lo).astype(np.float64)
    last, mean, m2, cubed, fourth = range_deviations(ranges.valid.x, ranges.lo, ranges.mid, ranges.hi, order).T

    def skew() -> Floats:
        values = np.where(m2 == 0.0, 0.0, n * np.sqrt(n - 1) / (n - 2) * cubed)
        return np.where(n >= 3, values, np.nan)

    with np.errstate(all="ignore"):
        variance = np.where(n >= 2, m2 / (n - 1), np.nan)
        std = np.sqrt(variance)
        compute: dict[str, Callable[[], Floats]] = {
            "variance": lambda: variance,
            "std": lambda: std,
            "skew": skew,
            "kurtosis": lambda: n * fourth - 3.0,
            "coefficient_of_variation": lambda: np.where(mean == 0.0, np.nan, std / mean),
            "root_mean_square": lambda: np.sqrt(m2 / n + mean * mean),
            "last_z_score": lambda: np.where(std == 0.0, 0.0, last / std),
            "last_to_mean": lambda: np.where(mean == 0.0, np.nan, 1.0 + last / mean),
        }
        return {name: compute[name]() for name in names}


def range_deviations(x: Floats, lo: Ints, mid: Ints, hi: Ints, order: int = 2) -> Floats:
    """Mean and central moments of the numbers x at lo <= i < hi.

    Args:
        x: numbers [n], sorted by key, then time.
        lo: first position of each range [m]; lo and hi never decrease.
        mid: border of each range [m], see the module's head.
        hi: end of each range [m].
        order: the highest moment needed, 2 to 4.

    Returns:
        [m, 5]: last - mean, mean, M2, M3 / M2^1.5, M4 / M2^2. NaN where the range is empty; the last two are NaN above
        `order`, and where all numbers are equal.
    """
    out = np.full((len(lo), 5), np.nan)
    deviations(x, lo, mid, hi, order, out)
    return out


@njit(cache=True, nogil=True)
def _total(x: Any, lo: int, hi: int) -> Any:
    sh = sl = 0.0
    for i in range(lo, hi):
        sh, sl = add(sh, sl, x[i], 0.0)
    return sh, sl


@njit(cache=True, nogil=True)
def _second_pass(x: Any, lo: int, hi: int) -> Any:
    """last - mean, mean, M2, M3 / M2^1.5, M4 / M2^2 in a second pass, corrected for the rounding of the mean."""
    n = hi - lo
    sh, sl = _total(x, lo, hi)
    mh, ml = divide(sh, sl, float(n))
    mean = mh + ml
    scale = 0.0
    for i in range(lo, hi):
        scale = max(scale, abs(x[i] - mean))
    if scale == 0.0:
        return 0.0, mean, 0.0, np.nan, np.nan
    s1 = s2 = s3 = s4 = 0.0
    for i in range(lo, hi):
        d = (x[i] - mean) / scale
        s1 += d
        s2 += d * d
        s3 += d * d * d
        s4 += d * d * d * d
    a = s1 / n
    m2 = s2 - a * s1
    m3 = s3 - 3.0 * a * s2 + 2.0 * a * a * s1
    m4 = s4 - 4.0 * a * s3 + 6.0 * a * a * s2 - 3.0 * a * a * a * s1
    return (x[hi - 1] - mh) - ml, mean, m2 * scale * scale, m3 / (m2 * math.sqrt(m2)), m4 / (m2 * m2)


@njit(cache=True, nogil=True)
def deviations(x: Any, lo: Any, mid: Any, hi: Any, order: int, out: Any) -> None:
    """out [m, 5], see `range_deviations`. b: sums from a border backwards; a: sums from it forwards."""
    back = np.empty((len(x), 4 if order < 3 else 6))
    fourths = np.empty((len(x) if order > 3 else 0, 2))
    others_back = np.empty(len(x), dtype=np.int64)
    b1h = b1l = b2h = b2l = b3h = b3l = b4h = b4l = 0.0
    a1h = a1l = a2h = a2l = a3h = a3l = a4h = a4l = 0.0
    border = left = right = -1
    others_b = others_a = 0
    alone = False
    centre = 0.0
    for j in range(len(lo)):
        low, n = lo[j], hi[j] - lo[j]
        if n <= 0:
            continue
        if mid[j] != border or (low == border) != alone:
            border = left = right = mid[j]
            alone = low == border
            centre = x[border] if alone else x[border - 1]
            b1h = b1l = b2h = b2l = b3h = b3l = b4h = b4l = 0.0
            a1h = a1l = a2h = a2l = a3h = a3l = a4h = a4l = 0.0
            others_b = others_a = 0
        while left > low:
            left -= 1
            dh, dl = add(x[left], 0.0, -centre, 0.0)
            if dh != 0.0:
                others_b += 1
                qh, ql = product(dh, dl, dh, dl)
                b1h, b1l = add(b1h, b1l, dh, dl)
                b2h, b2l = add(b2h, b2l, qh, ql)
                if order >= 3:
                    ph, pl = product(qh, ql, dh, dl)
                    b3h, b3l = add(b3h, b3l, ph, pl)
                if order >= 4:
                    ph, pl = product(qh, ql, qh, ql)
                    b4h, b4l = add(b4h, b4l, ph, pl)
            others_back[left] = others_b
            back[left, 0], back[left, 1], back[left, 2], back[left, 3] = b1h, b1l, b2h, b2l
            if order >= 3:
                back[left, 4], back[left, 5] = b3h, b3l
            if order >= 4:
                fourths[left, 0], fourths[left, 1] = b4h, b4l
        while right < hi[j]:
            dh, dl = add(x[right], 0.0, -centre, 0.0)
            right += 1
            if dh == 0.0:
                continue
            others_a += 1
            qh, ql = product(dh, dl, dh, dl)
            a1h, a1l = add(a1h, a1l, dh, dl)
            a2h, a2l = add(a2h, a2l, qh, ql)
            if order >= 3:
                ph, pl = product(qh, ql, dh, dl)
                a3h, a3l = add(a3h, a3l, ph, pl)
            if order >= 4:
                ph, pl = product(qh, ql, qh, ql)
                a4h, a4l = add(a4h, a4l, ph, pl)
        if others_a + (0 if alone else others_back[low]) == 0:  # all are equal
            out[j, 0], out[j, 1], out[j, 2] = 0.0, x[hi[j] - 1], 0.0
            continue
        s1h, s1l, s2h, s2l, s3h, s3l, s4h, s4l = a1h, a1l, a2h, a2l, a3h, a3l, a4h, a4l
        if not alone:
            s1h, s1l = add(back[low, 0], back[low, 1], a1h, a1l)
            s2h, s2l = add(back[low, 2], back[low, 3], a2h, a2l)
            if order >= 3:
                s3h, s3l = add(back[low, 4], back[low, 5], a3h, a3l)
            if order >= 4:
                s4h, s4l = add(fourths[low, 0], fourths[low, 1], a4h, a4l)
        ah, al = divide(s1h, s1l, float(n))
        ph, pl = product(ah, al, s1h, s1l)
        vh, vl = add(s2h, s2l, -ph, -pl)
        m2 = vh + vl
        if not (m2 > 0.0 and s2h <= m2 / _SMALLEST_SHARE):
            out[j] = _second_pass(x, low, hi[j])
            continue
        mh, ml = add(centre, 0.0, ah, al)
        out[j, 1] = mh + ml
        lh, ll = add(x[hi[j] - 1], 0.0, -mh, -ml)
        out[j, 0] = lh + ll
        out[j, 2] = m2
        if order >= 3:
            uh, ul = product(ah, al, s2h, s2l)
            uh, ul = product(uh, ul, -3.0, 0.0)
            wh, wl = product(ah, al, ph, pl)
            th, tl = add(s3h, s3l, uh, ul)
            th, tl = add(th, tl, 2.0 * wh, 2.0 * wl)
            spread = m2 * math.sqrt(m2)
            if max(abs(s3h), abs(uh), 2.0 * abs(wh)) <= spread / _SMALLEST_SHARE:
                out[j, 3] = (th + tl) / spread
            else:
                out[j, 3] = _second_pass(x, low, hi[j])[3]
        if order >= 4:
            out[j, 4] = _fourth(ah, al, ph, pl, s2h, s2l, s3h, s3l, s4h, s4l, m2)
            if out[j, 4] < 0.0:
                out[j, 4] = _second_pass(x, low, hi[j])[4]


@njit(cache=True, nogil=True)
def _fourth(
    ah: float, al: float, ph: float, pl: float, s2h: float, s2l: float, s3h: float, s3l: float, s4h: float, s4l: float,
    m2: float,
) -> float:  # fmt: skip
    """M4 / M2^2 from a, a S1 and the sums; -1 where rounding errors are too large."""
    uh, ul = product(ah, al, s3h, s3l)
    uh, ul = product(uh, ul, -4.0, 0.0)
    qh, ql = product(ah, al, ah, al)
    wh, wl = product(qh, ql, s2h, s2l)
    wh, wl = product(wh, wl, 6.0, 0.0)
    yh, yl = product(qh, ql, ph, pl)
    yh, yl = product(yh, yl, -3.0, 0.0)
    th, tl = add(s4h, s4l, uh, ul)
    th, tl = add(th, tl, wh, wl)
    th, tl = add(th, tl, yh, yl)
    m4 = th + tl
    accurate = m4 > 0.0 and max(s4h, abs(uh), abs(wh), abs(yh)) <= m4 / _SMALLEST_SHARE
    return m4 / (m2 * m2) if accurate else -1.0


MOMENTS = AggregationFamily(name="moments", aggregations=_AGGREGATIONS, kernel=moments, reads_only_lookback=True)
