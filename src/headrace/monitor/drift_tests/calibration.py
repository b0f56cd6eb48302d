"""Null distributions of drift scores for both sample sizes: p-values and mean scores without drift, for drift tests.

The score of two samples of one distribution is not 0 and grows as either sample shrinks; a fixed threshold is therefore
too sensitive for small windows and too insensitive for large ones. Three null distributions serve all tests:

- Kolmogorov: distribution-free, by formula (Marsaglia, Tsang and Wang 2003, through scipy's kstwo).
- tables: counts of shuffled samples are hypergeometric; by the chi-square distribution where every cell has enough
  rows, else simulated, once per margins of the table.
- bridge: F - G tends to a Brownian bridge over sqrt(ne) (Donsker); its paths are drawn once and weighted per column.

A simulated null of R draws has no p-value below 1 / R, but false-discovery control over many columns needs smaller.
Beyond the largest hundredth of the draws, the tail is extrapolated as an exponential fitted to them (Knijnenburg et al.
2009 fit a generalised Pareto; its shape parameter adds more noise here than it removes bias). Gamma tails by the null's
mean and variance gave three times too many p-values below 1e-4 for PSI, and fifty times for rare categories.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from headrace.monitor.drift_tests.samples import Counts, Floats, Pair

#: (draws, p-value below which the next, larger simulation is run); the first is enough for most columns.
_SIMULATION_STAGES = ((199, 0.15), (1_999, 0.02), (19_999, 0.0))
#: p-values below this need no further draws.
_NEGLIGIBLE = 1e-9
_TAIL = 20
#: Expected rows in the emptiest cell from which the chi-square distribution is accurate far into the tail.
_MIN_EXPECTED = 40
_PATHS, _GRID = 8_000, 256


class NullComparison(NamedTuple):
    """A score compared with its null distribution.

    Attributes:
        p_value: Probability of a score at least as large without drift.
        null_mean: Mean of the score without drift; of its square where the function says so.
    """

    p_value: float
    null_mean: float


def kolmogorov_null_test(distance: float, n: int, m: int) -> NullComparison:
    """Compare a Kolmogorov-Smirnov distance of samples of sizes n and m; `null_mean` is that of its square.

    Ties make the p-value too large, never too small.
    """
    from scipy import stats

    effective = n * m / (n + m)
    p_value = float(stats.kstwo.sf(distance, max(1, round(effective))))
    return NullComparison(min(1.0, p_value), np.pi**2 / 12 / effective)


def table_null_test(
    name: str, counts: Counts, statistic: Callable[[Counts], Floats], scale: float, seed: int
) -> NullComparison:
    """Compare a statistic of a table with its distribution under shuffling of the rows.

    Args:
        name: Name of the statistic, for the cache of simulations.
        counts: C [2, K].
        statistic: [..., 2, K] -> [...].
        scale: scale x ne x statistic tends to chi-square with K - 1 degrees of freedom.
        seed: Of the simulation.
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
    """Return the sorted scores [R] of shuffled samples."""
    tables = _shuffled(n, m, cells, seed, draws)
    return np.sort(statistic(tables))


@lru_cache(maxsize=2)
def _shuffled(n: int, m: int, cells: bytes, seed: int, draws: int) -> Counts:
    """Draw tables [R, 2, K] with these margins; equal in every process."""
    margins = np.frombuffer(cells, dtype=np.int64)
    rng = np.random.default_rng([seed, n, m, draws, zlib.crc32(cells)])
    current = rng.multivariate_hypergeometric(margins, m, size=draws, method="marginals")
    return np.stack([margins - current, current], axis=1)


def bridge_null_test(distance: float, pair: Pair, seed: int) -> NullComparison:
    """Compare the integral of |F - G| (in the column's unit) with its null; `null_mean` is that of its square."""
    values, _, _, pooled = pair.distributions
    gaps = np.diff(values)
    cell = np.minimum((pooled[:-1] * _GRID).astype(np.int64), _GRID - 1)
    weights = np.bincount(cell, weights=gaps, minlength=_GRID)
    null = np.sort(_paths(seed) @ weights) / np.sqrt(pair.effective)
    return NullComparison(compare_with_null(distance, null).p_value, float(np.mean(null**2)))


@lru_cache(maxsize=2)
def _paths(seed: int) -> Floats:
    """Draw absolute values of Brownian bridges [R, G] at the middle of G cells of [0, 1]."""
    steps = np.random.default_rng([seed, _PATHS]).standard_normal((_PATHS, 2 * _GRID)) / np.sqrt(2 * _GRID)
    walks = np.cumsum(steps, axis=1)
    times = np.arange(1, 2 * _GRID + 1) / (2 * _GRID)
    return np.asarray(np.abs(walks - times * walks[:, -1:])[:, ::2], dtype=np.float64)


def share_null_test(missing: tuple[int, int], sizes: tuple[int, int]) -> NullComparison:
    """Compare two missing shares by Fisher's exact test; `null_mean` is that of their squared difference.

    Args:
        missing: Missing rows of the reference and of the current sample.
        sizes: Rows of both.
    """
    from scipy import stats

    (a, b), (n, m) = missing, sizes
    law = stats.hypergeom(n + m, a + b, m)
    p_value = min(1.0, 2 * min(float(law.sf(b - 1)), float(law.cdf(b))))
    pooled = (a + b) / (n + m)
    return NullComparison(p_value, pooled * (1 - pooled) * (1 / n + 1 / m))


def compare_with_null(observed: float, null: Floats) -> NullComparison:
    """Compare a score with sorted scores [R] of the null: by counting, or by the exponential tail beyond them."""
    # Scores of equal tables can differ in the last bit by the order of their cells.
    larger = len(null) - int(np.searchsorted(null, observed * (1 - 1e-9), side="left"))
    counted, n_tail = (larger + 1) / (len(null) + 1), max(_TAIL, len(null) // 100)
    start, excess = null[-n_tail - 1], float((null[-n_tail:] - null[-n_tail - 1]).mean())
    if larger >= n_tail or excess <= 0 or observed <= start:
        return NullComparison(counted, float(null.mean()))
    extrapolated = (n_tail + 1) / (len(null) + 1) * float(np.exp(-(observed - start) / excess))
    return NullComparison(min(counted, extrapolated), float(null.mean()))


def benjamini_hochberg_threshold(p_values: Floats, fdr: float) -> float:
    """Return the significance level of p-values [c] that controls the false-discovery rate; -1 where none passes.

    Benjamini and Hochberg (1995); valid for positively dependent columns. `scipy.stats.false_discovery_control`
    returns adjusted p-values instead of a level, and rounds ties differently: simulated p-values lie on a grid, and 1
    in 10,000 sets of them has a tie at the level that SciPy decides the other way (tested against it without ties).
    """
    levels = fdr * np.arange(1, len(p_values) + 1) / max(1, len(p_values))
    passed = np.flatnonzero(np.sort(p_values) <= levels)
    return float(levels[passed[-1]]) if len(passed) else -1.0
