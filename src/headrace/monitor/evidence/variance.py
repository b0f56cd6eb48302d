"""Between-window variance under no drift, estimated from blocks of the reference; limits the significance of a column.

Rows are not independent: a feature of 16 carriers repeats over thousands of rows, and a mean over 30 days hardly
changes within a week. The reference is cut into blocks as long as the window. The variance of the blocks' shares beyond
the sampling variance of independent rows is the variance between windows without drift.

| symbol | meaning                                                                                        | shape  |
|--------|------------------------------------------------------------------------------------------------|--------|
| C      | rows per block and cell (missing is a cell); B blocks, n rows in one on average                | [B, K] |
| u      | (shares of a block - shares of all) / sqrt(pi): Pearson's metric                               | [B, K] |
| W      | covariance of one row in that metric; of n independent rows W / n                              | [K, K] |
| G      | covariance between windows: size g from the trace, shape from the scatter less W               | [K, K] |
| tau    | dependent windows per independent one; B_eff = B / tau independent windows                    |        |

One-way analysis of variance gives g (Donner 1986), bounded below by three of its standard errors: with few rows in a
block, g is poorly estimated. Under no drift q - p has covariance V = W (1/m + 1/N) + G (1 + 1/B_eff), and
|q - p|^2 / tr V is about F(d, v), d = (tr V)^2 / tr V^2, v by Satterthwaite: the second-order correction of Rao and
Scott (1981) in the F form of Thomas and Rao (1987). tau is (1 + r) / (1 - r) of the lag-1 autocorrelation r (Zwiers and
von Storch 1995; bias of r corrected, Kendall 1954), and at least 1 + lookback / window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Counts, Floats

#: Fewest independent windows from which the variance between windows is estimated.
MIN_BLOCKS = 2.0
#: Parts of a block, whose scatter within blocks tells how large that between blocks may be.
PARTS = 7
_MAX_AUTOCORRELATION = 0.95
#: Lower bound of g in standard errors: with one, v falls to 2, and 10,000 rows are less significant than 1,000.
_MIN_STANDARD_ERRORS = 3.0


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of the reference's rows.

    Attributes:
        ids: Block of each row [n], from the oldest; -1 where the row is in no complete block.
        count: Number of blocks.
        length_us: Length of a block, microseconds.
        parts: Which of the equal parts of its block each row is in [n], 0 to PARTS - 1; days, in blocks of a week.
    """

    ids: NDArray[np.int64]
    count: int
    length_us: int
    parts: NDArray[np.int64]

    @classmethod
    def from_cutoffs(cls, cutoffs_us: NDArray[np.int64], length_us: int) -> Blocks:
        """Cut rows into complete blocks, counted back from the last cutoff; blocks without rows are skipped.

        Args:
            cutoffs_us: Cutoff of each row [n], microseconds UTC.
            length_us: Length of a block.
        """
        age = (cutoffs_us.max() - cutoffs_us) // length_us
        n_blocks = int((cutoffs_us.max() - cutoffs_us.min()) // length_us)
        ages, block = np.unique(age, return_inverse=True)
        count = int((ages < n_blocks).sum())
        parts = (cutoffs_us.max() - cutoffs_us) % length_us * PARTS // length_us
        return cls(np.where(block < count, count - 1 - block, -1).astype(np.int64), count, length_us, parts)

    def subset(self, rows: NDArray[np.bool_]) -> Blocks:
        """Return the blocks of a subset of the rows (mask [n])."""
        return Blocks(self.ids[rows], self.count, self.length_us, self.parts[rows])


class VarianceTest(NamedTuple):
    """The test of a window against the variance between windows.

    Attributes:
        p_value: Probability of a difference at least as large without drift; None with too few independent windows.
        windows: Number of independent windows, B_eff.
    """

    p_value: float | None
    windows: float


def between_window_test(
    blocks: Counts, reference: Counts, current: Counts, *, pooled_level: bool = True, lookback_windows: float = 0.0
) -> VarianceTest:
    """Test the counts of a window against a reference, given the variance between blocks.

    Args:
        blocks: Rows per block and cell [B, K].
        reference: Rows per cell of the reference [K].
        current: Rows per cell of the window [K].
        pooled_level: Whether the reference is the sum of the blocks; otherwise it is one other window, with the
            variance of a window.
        lookback_windows: Lookback of the feature in windows; overlapping lookbacks correlate windows.
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
    # Correlated blocks vary less about their own mean than about the expectation.
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
