"""How far whole windows of a still world lie apart: the unit of luck is a window, not a row.

A feature of 16 carriers repeats over thousands of rows, and a mean of 30 days is the same on all days of a week. The
reference is cut into blocks as long as the window; what their shares scatter beyond the luck of rows is what a still
world does from one window to the next, and a window has to lie further out than that.

| symbol | meaning                                                                                        | shape  |
|--------|------------------------------------------------------------------------------------------------|--------|
| C      | rows per block and cell (missing is a cell); B blocks, n rows in one on average                | [B, K] |
| u      | (shares of a block - shares of all) / sqrt(pi): Pearson's metric                               | [B, K] |
| W      | covariance of one row in that metric; of n independent rows W / n                              | [K, K] |
| G      | covariance between windows: size g from the trace, shape from the scatter less W               | [K, K] |
| tau    | windows that tell as much as one would if windows were independent; B_eff = B / tau            |        |

One-way analysis of variance gives g (Donner 1986), never below three of its standard errors: few rows in a block hide
a scatter that many rows in a window show. Under no drift q - p has covariance V = W (1/m + 1/N) + G (1 + 1/B_eff), and
|q - p|^2 / tr V is about F(d, v), d = (tr V)^2 / tr V^2, v by Satterthwaite: the second-order correction of Rao and
Scott (1981) in the F form of Thomas and Rao (1987). tau is (1 + r) / (1 - r) of the lag-1 autocorrelation r (Zwiers and
von Storch 1995; r without its bias, Kendall 1954), at least what the feature's lookback makes of independent days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Counts, Floats

#: With fewer independent windows than this nothing is known of their scatter.
MIN_BLOCKS = 2.0
_MAX_AUTOCORRELATION = 0.95
#: Standard errors below which g is not taken: with one, v falls to 2 and 10,000 rows prove less than 1,000 do.
_MIN_STANDARD_ERRORS = 3.0


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which block each row of the reference is in. ids [n]: from the oldest, -1 outside of whole blocks."""

    ids: NDArray[np.int64]
    count: int
    length_us: int

    @classmethod
    def from_cutoffs(cls, cutoffs_us: NDArray[np.int64], length_us: int) -> Blocks:
        """Whole blocks, counted back from the last cutoff; one without rows is left out."""
        age = (cutoffs_us.max() - cutoffs_us) // length_us
        n_blocks = int((cutoffs_us.max() - cutoffs_us.min()) // length_us)
        ages, block = np.unique(age, return_inverse=True)
        count = int((ages < n_blocks).sum())
        return cls(np.where(block < count, count - 1 - block, -1).astype(np.int64), count, length_us)

    def subset(self, rows: NDArray[np.bool_]) -> Blocks:
        """The blocks of some of the rows."""
        return Blocks(self.ids[rows], self.count, self.length_us)


class VarianceTest(NamedTuple):
    """p_value: of a window as far out, without drift; None where too few windows are known (`windows`: B_eff)."""

    p_value: float | None
    windows: float


def between_window_test(
    blocks: Counts, reference: Counts, current: Counts, *, pooled_level: bool = True, lookback_windows: float = 0.0
) -> VarianceTest:
    """The chance of current rows [K] against a level [K], by the scatter of blocks [B, K].

    own: the level is the blocks' sum; else it is one other window, whose luck counts like the current one's. memory:
    how many windows the feature looks back over.
    """
    blocks = blocks[blocks.sum(axis=1) > 0]
    count = len(blocks)
    if count < MIN_BLOCKS:
        return VarianceTest(None, float(count))
    m, size, total = current.sum(), reference.sum(), blocks.sum()
    q, p, mean = current / m, reference / size, blocks.sum(axis=0) / total
    pi = (q + p + mean) / 3
    nonzero = pi > 0
    q, p, mean, pi = q[nonzero], p[nonzero], mean[nonzero], pi[nonzero]
    root = np.sqrt(pi)
    u = (blocks[:, nonzero] / blocks.sum(axis=1, keepdims=True) - mean) / root
    row_covariance = np.diag(mean / pi) - np.outer(mean / root, mean / root)
    distance = float((((q - p) / root) ** 2).sum())

    between_variance = _estimate_between_variance(
        u, blocks.sum(axis=1).astype(np.float64), row_covariance, lookback_windows
    )
    if between_variance is None or between_variance.windows < MIN_BLOCKS:
        return VarianceTest(None, 0.0 if between_variance is None else between_variance.windows)
    weight = 1 + 1 / between_variance.windows if pooled_level else 2.0
    covariance = row_covariance * (1 / m + 1 / size) + weight * between_variance.between
    return VarianceTest(_p_value(distance, covariance, weight, between_variance), between_variance.windows)


class _BetweenVariance(NamedTuple):
    """between: G. error: the standard error of its trace. freedom: of the scatter it is from. windows: B_eff."""

    between: Floats
    error: float
    freedom: float
    windows: float


def _estimate_between_variance(
    u: Floats, rows: Floats, row_covariance: Floats, lookback_windows: float
) -> _BetweenVariance | None:
    count, total = len(u), float(rows.sum())
    n = (total - float((rows**2).sum()) / total) / (count - 1)
    scatter_matrix = (u * rows[:, None]).T @ u / (count - 1)
    trace = float(np.trace(scatter_matrix))
    if trace <= 0:
        return _BetweenVariance(np.zeros_like(row_covariance), 0.0, np.inf, float(count) / (1 + lookback_windows))
    freedom = trace**2 / float((scatter_matrix**2).sum())
    excess = (trace - float(np.trace(row_covariance))) / n
    noise = trace / n * float(np.sqrt(2 / (freedom * (count - 1))))
    autocorrelation = 0.0
    if excess > noise:  # else there is no scatter that could be alike
        autocorrelation = float((u[1:] * u[:-1]).sum()) / (count - 1) / excess
        autocorrelation = float(
            np.clip(
                (autocorrelation + 1 / count) / (1 - 3 / count) if count > 3 else _MAX_AUTOCORRELATION,
                0,
                _MAX_AUTOCORRELATION,
            )
        )
    windows = count / max(1 + lookback_windows, (1 + autocorrelation) / (1 - autocorrelation))
    if windows < MIN_BLOCKS:
        return _BetweenVariance(np.zeros_like(row_covariance), 0.0, np.inf, windows)
    between_freedom = freedom * (windows - 1)
    error = trace / n * float(np.sqrt(2 / between_freedom))
    # Blocks that are alike scatter less about their own mean than about the truth.
    between = max(excess / (1 - 1 / windows), _MIN_STANDARD_ERRORS * error)
    values, vectors = np.linalg.eigh(scatter_matrix - row_covariance)
    values = np.clip(values, 0, None)
    shape = (vectors * values) @ vectors.T / values.sum() if values.sum() > 0 else scatter_matrix / trace
    return _BetweenVariance(between * shape, error, between_freedom, windows)


def _p_value(distance: float, covariance: Floats, weight: float, between_variance: _BetweenVariance) -> float:
    """v is the smaller of what the error of g leaves and what g, an estimate itself where it is least, leaves."""
    from scipy import stats

    expected = float(np.trace(covariance))
    if expected <= 0:
        return 1.0 if distance <= 0 else 0.0
    numerator_freedom = expected**2 / float((covariance**2).sum())
    denominator_freedom = 1e9
    if between_variance.error > 0:
        between = weight * float(np.trace(between_variance.between))
        denominator_freedom = min(
            denominator_freedom,
            2 * (expected / (weight * between_variance.error)) ** 2,
            between_variance.freedom * (expected / between) ** 2,
        )
    return float(stats.f.sf(distance / expected, numerator_freedom, denominator_freedom))
