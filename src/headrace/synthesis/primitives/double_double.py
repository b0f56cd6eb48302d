"""Sums in double-double (Dekker, 1971; Knuth, TAOCP 2, 4.2.2): an unevaluated sum of two float64, 106 bits.

The rounding error of a difference of prefix sums is then negligible whatever lies before the range, and the result for
a query depends only on its key's earlier entries: the same bits in training, in parts and online. In the notation of
the kernels, `ah, al` are the high and the low part of a number.
"""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def add(ah: float, al: float, bh: float, bl: float) -> Any:
    """a + b."""
    s = ah + bh
    v = s - ah
    e = (ah - (s - v)) + (bh - v) + al + bl
    h = s + e
    return h, e - (h - s)


@njit(cache=True, nogil=True)
def times(a: float, b: float) -> Any:
    """The exact product of two float64."""
    p = a * b
    t = 134217729.0 * a
    ah = t - (t - a)
    al = a - ah
    t = 134217729.0 * b
    bh = t - (t - b)
    bl = b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


@njit(cache=True, nogil=True)
def product(ah: float, al: float, bh: float, bl: float) -> Any:
    """a b."""
    p, e = times(ah, bh)
    e += ah * bl + al * bh
    h = p + e
    return h, e - (h - p)


@njit(cache=True, nogil=True)
def divide(ah: float, al: float, b: float) -> Any:
    """a / b, where b is a float64."""
    q = ah / b
    p, e = times(q, b)
    r = (ah - p - e + al) / b
    h = q + r
    return h, r - (h - q)
