"""Sums, means, spread and shape: prefix sums of powers, and their differences.

Notation
  x [n]            values that are not null, sorted by key, then time
  lo, hi [m]       a query sees values lo <= i < hi, all of one key
  S1 .. S4         sums of d, d^2, d^3, d^4 with d = x - centre, centre = the key's first value
  M2, M3, M4       sums of (x - mean)^2, ^3, ^4 over a window: with a = S1 / n,
                   M2 = S2 - a S1, M3 = S3 - 3 a S2 + 2 a^2 S1, M4 = S4 - 4 a S3 + 6 a^2 S2 - 3 a^3 S1

Prefixes are kept in double-double. Where what cancels is so much larger than what is left that even that would not be
sharp, the window is passed over again: such windows follow values of another order of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.engines.families.entries import Asked, Entries
from headrace.synthesis.engines.families.precise import add, divide, product
from headrace.synthesis.values import Floats, Ints

#: What is left of a difference of sums, relative to them, below which a window is passed over again.
_FAINT_SUM, _FAINT_POWER = 1e-12, 1e-20
_SUMS = frozenset({"sum", "mean"})
_CUBED = frozenset({"skew"})
_FOURTH = frozenset({"kurtosis"})


def moments(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    found: dict[str, Floats] = {}
    if names & _SUMS:
        totals, means = window_sums(asked.filled, asked.low, asked.high)
        found = {"sum": totals, "mean": means}
    if names - _SUMS:
        order = 4 if names & _FOURTH else 3 if names & _CUBED else 2
        found |= _shapes(asked, names - _SUMS, order)
    return {name: found[name] for name in names}


def window_sums(filled: Entries, low: Ints, high: Ints) -> tuple[Floats, Floats]:
    """Sum and mean [m] of the numbers at low <= i < high; NaN where there are none."""

    def before() -> Floats:
        made = np.empty((len(filled.key), 4))
        running_sums(filled.x, filled.key, made)
        return made

    out = np.empty((2, len(low)))
    sums_within(filled.x, filled.once("sums", before), filled.key, low, high, out)
    return out[0], out[1]


def window_deviations(filled: Entries, low: Ints, high: Ints, order: int = 2) -> Floats:
    """out [m, 5]: last - mean, mean, M2, M3 / M2^1.5, M4 / M2^2 of the numbers at low <= i < high.

    The last two are left NaN below that order, and where all are equal; everything is NaN where there are none.
    """

    def before() -> tuple[Floats, ...]:
        made = np.empty((len(filled.key), 6))
        running_powers(filled.x, filled.key, made)
        return (made,)

    def further(power: int) -> Floats:
        made = np.empty((len(filled.key), 2))
        running_power(filled.x, filled.key, power, made)
        return made

    nothing = np.empty((0, 2))
    third = filled.once("cubes", lambda: further(3)) if order >= 3 else nothing
    fourth = filled.once("fourths", lambda: further(4)) if order >= 4 else nothing
    out = np.full((len(low), 5), np.nan)
    deviations(filled.x, filled.once("powers", before)[0], third, fourth, filled.key, low, high, out)
    return out


def _shapes(asked: Asked, names: frozenset[str], order: int) -> dict[str, Floats]:
    n = (asked.high - asked.low).astype(np.float64)
    last, mean, m2, cubed, fourth = window_deviations(asked.filled, asked.low, asked.high, order).T

    def skew() -> Floats:
        found = np.where(m2 == 0.0, 0.0, n * np.sqrt(n - 1) / (n - 2) * cubed)
        return np.where(n >= 3, found, np.nan)

    with np.errstate(all="ignore"):
        variance = np.where(n >= 2, m2 / (n - 1), np.nan)
        std = np.sqrt(variance)
        says: dict[str, Callable[[], Floats]] = {
            "variance": lambda: variance,
            "std": lambda: std,
            "skew": skew,
            "kurtosis": lambda: n * fourth - 3.0,
            "coefficient_of_variation": lambda: np.where(mean == 0.0, np.nan, std / mean),
            "root_mean_square": lambda: np.sqrt(m2 / n + mean * mean),
            "last_z_score": lambda: np.where(std == 0.0, 0.0, last / std),
            "last_to_mean": lambda: np.where(mean == 0.0, np.nan, 1.0 + last / mean),
        }
        return {name: says[name]() for name in names}


@njit(cache=True, nogil=True)
def running_sums(x: Any, key: Any, out: Any) -> None:
    """out [n, 4] up to and with each entry, within its key: sum and what its rounding lost (Neumaier, 1974), sum of
    sizes, position of the last that is not 0."""
    total = lost = size = 0.0
    last = -1
    for i in range(len(x)):
        if i == 0 or key[i] != key[i - 1]:
            total = lost = size = 0.0
            last = -1
        here = x[i]
        after = total + here
        gone = after - total
        lost += (total - (after - gone)) + (here - gone)
        total = after
        size += abs(here)
        if here != 0.0:
            last = i
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = total, lost, size, last


@njit(cache=True, nogil=True)
def sums_within(x: Any, prefix: Any, key: Any, lo: Any, hi: Any, out: Any) -> None:
    """out [2, m]: sum and mean; NaN where empty."""
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            out[0, j] = out[1, j] = np.nan
            continue
        last = hi[j] - 1
        p = prefix[last]
        sh, sl, size = p[0], p[1], p[2]
        if lo[j] > 0 and key[lo[j] - 1] == key[last]:
            b = prefix[lo[j] - 1]
            sh, sl = add(sh, sl, -b[0], -b[1])
            if p[3] < lo[j]:
                sh = sl = 0.0
            elif not size - b[2] > _FAINT_SUM * size:
                sh, sl = _total(x, lo[j], hi[j])
        out[0, j] = sh + sl
        mh, ml = divide(sh, sl, float(n))
        out[1, j] = mh + ml


@njit(cache=True, nogil=True)
def _total(x: Any, lo: int, hi: int) -> Any:
    sh = sl = 0.0
    for i in range(lo, hi):
        sh, sl = add(sh, sl, x[i], 0.0)
    return sh, sl


@njit(cache=True, nogil=True)
def running_powers(x: Any, key: Any, out: Any) -> None:
    """out [n, 6] up to and with each entry, within its key: S1, S2 (high, low each), centre, start of the run of equal
    values."""
    s1h = s1l = s2h = s2l = centre = 0.0
    run = 0
    for i in range(len(x)):
        if i == 0 or key[i] != key[i - 1]:
            s1h = s1l = s2h = s2l = 0.0
            centre = x[i]
            run = i
        elif x[i] != x[i - 1]:
            run = i
        dh, dl = add(x[i], 0.0, -centre, 0.0)
        qh, ql = product(dh, dl, dh, dl)
        s1h, s1l = add(s1h, s1l, dh, dl)
        s2h, s2l = add(s2h, s2l, qh, ql)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = s1h, s1l, s2h, s2l
        out[i, 4], out[i, 5] = centre, run


@njit(cache=True, nogil=True)
def running_power(x: Any, key: Any, power: int, out: Any) -> None:
    """out [n, 2] up to and with each entry, within its key: S3 or S4 (high, low)."""
    sh = sl = centre = 0.0
    for i in range(len(x)):
        if i == 0 or key[i] != key[i - 1]:
            sh = sl = 0.0
            centre = x[i]
        dh, dl = add(x[i], 0.0, -centre, 0.0)
        ph, pl = product(dh, dl, dh, dl)
        if power == 3:
            ph, pl = product(ph, pl, dh, dl)
        else:
            ph, pl = product(ph, pl, ph, pl)
        sh, sl = add(sh, sl, ph, pl)
        out[i, 0], out[i, 1] = sh, sl


@njit(cache=True, nogil=True)
def _directly(x: Any, lo: int, hi: int) -> Any:
    """last - mean, mean, M2, M3 / M2^1.5, M4 / M2^2 by a second pass, corrected for the rounding of the mean."""
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
def _since(prefix: Any, last: int, lo: int, at: int, within: bool) -> Any:
    """A sum over a window, high and low, and the size of what it was subtracted from."""
    h, low = prefix[last, at], prefix[last, at + 1]
    size = abs(h)
    if within:
        size = max(size, abs(prefix[lo - 1, at]))
        h, low = add(h, low, -prefix[lo - 1, at], -prefix[lo - 1, at + 1])
    return h, low, size


@njit(cache=True, nogil=True)
def deviations(x: Any, prefix: Any, cubes: Any, fourths: Any, key: Any, lo: Any, hi: Any, out: Any) -> None:
    """out [m, 5], see `window_deviations`; cubes and fourths [n, 2] or empty."""
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            continue
        last = hi[j] - 1
        if n == 1 or prefix[last, 5] <= lo[j]:  # all are equal
            out[j, 0], out[j, 1], out[j, 2] = 0.0, x[last], 0.0
            continue
        within = lo[j] > 0 and key[lo[j] - 1] == key[last]
        s1h, s1l, _ = _since(prefix, last, lo[j], 0, within)
        s2h, s2l, size = _since(prefix, last, lo[j], 2, within)
        ah, al = divide(s1h, s1l, float(n))
        ph, pl = product(ah, al, s1h, s1l)
        vh, vl = add(s2h, s2l, -ph, -pl)
        m2 = vh + vl
        if not (m2 > 0.0 and size <= m2 / _FAINT_POWER):
            out[j] = _directly(x, lo[j], hi[j])
            continue
        mh, ml = add(prefix[last, 4], 0.0, ah, al)
        out[j, 1] = mh + ml
        lh, ll = add(x[last], 0.0, -mh, -ml)
        out[j, 0] = lh + ll
        out[j, 2] = m2
        if len(cubes):
            s3h, s3l, size = _since(cubes, last, lo[j], 0, within)
            uh, ul = product(ah, al, s2h, s2l)
            uh, ul = product(uh, ul, -3.0, 0.0)
            wh, wl = product(ah, al, ph, pl)
            wh, wl = product(wh, wl, 2.0, 0.0)
            th, tl = add(s3h, s3l, uh, ul)
            th, tl = add(th, tl, wh, wl)
            spread = m2 * math.sqrt(m2)
            if max(size, abs(uh), abs(wh)) <= spread / _FAINT_POWER:
                out[j, 3] = (th + tl) / spread
            else:
                out[j, 3] = _directly(x, lo[j], hi[j])[3]
        if len(fourths):
            s4h, s4l, size = _since(fourths, last, lo[j], 0, within)
            s3h, s3l, _ = _since(cubes, last, lo[j], 0, within)
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
            if m4 > 0.0 and max(size, abs(uh), abs(wh), abs(yh)) <= m4 / _FAINT_POWER:
                out[j, 4] = m4 / (m2 * m2)
            else:
                out[j, 4] = _directly(x, lo[j], hi[j])[4]
