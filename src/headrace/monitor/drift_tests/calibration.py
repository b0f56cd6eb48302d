"""How large a drift score gets by chance alone, for BOTH sample sizes.

A score of two samples of one distribution is never 0, and grows as either sample shrinks; a fixed threshold therefore
alarms on small windows and sleeps on large ones. Each test asks here for its null: what scores come when nothing
drifted. Three nulls are enough for the catalogue:

- Kolmogorov: distribution-free, by formula (Marsaglia, Tsang and Wang 2003, through scipy's kstwo).
- tables: counts of shuffled samples are hypergeometric; by the chi-square law where every cell is well filled, else
  simulated, once per margins of the table (so once per sizes and cells, for a column without ties).
- bridge: F - G tends to a Brownian bridge over sqrt(ne) (Donsker); its paths are drawn once and weighed per column.

A simulated null of R draws cannot show a p-value below 1 / R, and false-discovery control over many columns asks for
such. Beyond the largest hundredth of the draws an exponential tail goes on, as steep as those draws are (Knijnenburg et
al. 2009 fit a generalised Pareto; its shape costs more noise here than it mends). Gamma tails by the null's mean and
variance were tried: three times too many p-values below 1e-4 for PSI, fifty times for rare categories.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from headrace.monitor.drift_tests.samples import Counts, Floats, Pair

#: A first look is enough for most columns; who passes a look with less than this p-value gets the next.
_SIMULATION_STAGES = ((199, 0.15), (1_999, 0.02), (19_999, 0.0))
#: So far out that more draws would not change a decision.
_NEGLIGIBLE = 1e-9
_TAIL = 20
#: Expected rows in the emptiest cell from which the chi-square law is true far into the tail.
_MIN_EXPECTED = 40
_PATHS, _GRID = 8_000, 256


class NullComparison(NamedTuple):
    """p_value: chance of a score as large without drift. typical: the mean of such scores (of squares: see tests)."""

    p_value: float
    null_mean: float


def kolmogorov_null_test(distance: float, n: int, m: int) -> NullComparison:
    """The two-sided law of D; typical is the mean of D squared. Ties make the p-value too large, never too small."""
    from scipy import stats

    effective = n * m / (n + m)
    p_value = float(stats.kstwo.sf(distance, max(1, round(effective))))
    return NullComparison(min(1.0, p_value), np.pi**2 / 12 / effective)


def table_null_test(
    name: str, counts: Counts, statistic: Callable[[Counts], Floats], scale: float, seed: int
) -> NullComparison:
    """The law of a statistic of C [2, K] (and of [R, 2, K], by the last axes) under shuffling of the rows.

    scale: scale * ne * statistic tends to chi-square with K - 1 degrees of freedom.
    """
    from scipy import stats

    n, m = (int(size) for size in counts.sum(axis=1))
    cells = counts.sum(axis=0)
    observed, degrees = float(statistic(counts)), len(cells) - 1
    if degrees < 1:
        return NullComparison(1.0, observed)
    scale *= n * m / (n + m)
    if cells.min() * min(n, m) / (n + m) >= _MIN_EXPECTED:
        return NullComparison(float(stats.chi2.sf(observed * scale, degrees)), degrees / scale)
    key = (n, m, np.sort(cells).tobytes(), seed)
    for draws, next_stage in _SIMULATION_STAGES:
        comparison = compare_with_null(observed, _table_null(name, statistic, *key, draws))
        if comparison.p_value >= next_stage or comparison.p_value < _NEGLIGIBLE:
            break
    return comparison


@lru_cache(maxsize=256)
def _table_null(
    name: str, statistic: Callable[[Counts], Floats], n: int, m: int, cells: bytes, seed: int, draws: int
) -> Floats:
    """Sorted scores [R] of shuffled samples."""
    tables = _shuffled(n, m, cells, seed, draws)
    return np.sort(statistic(tables))


@lru_cache(maxsize=2)
def _shuffled(n: int, m: int, cells: bytes, seed: int, draws: int) -> Counts:
    """Tables [R, 2, K] with these margins; the same in every process."""
    margins = np.frombuffer(cells, dtype=np.int64)
    rng = np.random.default_rng([seed, n, m, draws, zlib.crc32(cells)])
    current = rng.multivariate_hypergeometric(margins, m, size=draws, method="marginals")
    return np.stack([margins - current, current], axis=1)


def bridge_null_test(distance: float, pair: Pair, seed: int) -> NullComparison:
    """The law of the integral of |F - G| (in the column's unit); typical is the mean of its square."""
    values, _, _, pooled = pair.distributions
    gaps = np.diff(values)
    cell = np.minimum((pooled[:-1] * _GRID).astype(np.int64), _GRID - 1)
    weights = np.bincount(cell, weights=gaps, minlength=_GRID)
    null = np.sort(_paths(seed) @ weights) / np.sqrt(pair.effective)
    return NullComparison(compare_with_null(distance, null).p_value, float(np.mean(null**2)))


@lru_cache(maxsize=2)
def _paths(seed: int) -> Floats:
    """Absolute values of Brownian bridges [R, G] in the middle of G cells of [0, 1]."""
    steps = np.random.default_rng([seed, _PATHS]).standard_normal((_PATHS, 2 * _GRID)) / np.sqrt(2 * _GRID)
    walks = np.cumsum(steps, axis=1)
    times = np.arange(1, 2 * _GRID + 1) / (2 * _GRID)
    return np.asarray(np.abs(walks - times * walks[:, -1:])[:, ::2], dtype=np.float64)


def share_null_test(missing: tuple[int, int], sizes: tuple[int, int]) -> NullComparison:
    """Fisher's exact law of two shares; typical is the mean of their squared difference."""
    from scipy import stats

    (a, b), (n, m) = missing, sizes
    law = stats.hypergeom(n + m, a + b, m)
    p_value = min(1.0, 2 * min(float(law.sf(b - 1)), float(law.cdf(b))))
    pooled = (a + b) / (n + m)
    return NullComparison(p_value, pooled * (1 - pooled) * (1 / n + 1 / m))


def compare_with_null(observed: float, null: Floats) -> NullComparison:
    """From sorted scores [R] of the null: counted where enough of them are larger, else by the exponential tail."""
    # Equal tables differ in the last bit by the order of their cells.
    larger = len(null) - int(np.searchsorted(null, observed * (1 - 1e-9), side="left"))
    counted, n_tail = (larger + 1) / (len(null) + 1), max(_TAIL, len(null) // 100)
    start, excess = null[-n_tail - 1], float((null[-n_tail:] - null[-n_tail - 1]).mean())
    if larger >= n_tail or excess <= 0 or observed <= start:
        return NullComparison(counted, float(null.mean()))
    extrapolated = (n_tail + 1) / (len(null) + 1) * float(np.exp(-(observed - start) / excess))
    return NullComparison(min(counted, extrapolated), float(null.mean()))


def benjamini_hochberg_threshold(p_values: Floats, fdr: float) -> float:
    """The level at which each of these p-values [c] is to be judged, -1 where none is significant.

    Benjamini and Hochberg (1995); holds for columns that depend on each other positively, as shared causes make them.
    """
    levels = fdr * np.arange(1, len(p_values) + 1) / max(1, len(p_values))
    passed = np.flatnonzero(np.sort(p_values) <= levels)
    return float(levels[passed[-1]]) if len(passed) else -1.0
