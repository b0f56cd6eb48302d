"""P-values of moment differences: the larger of the test by windows and the test by entities, variances moderated.

| symbol | meaning                                                                                           |
|--------|---------------------------------------------------------------------------------------------------|
| s^2    | variance of the D_b (`moments`) over the B blocks                                                 |
| F      | s^2 / (w / n): how much blocks of n rows vary beyond rows that are independent, 1 where they are   |
| d      | degrees of freedom of s^2: independent blocks - 1                                                 |
| a      | autocorrelation of the D_b from block to block, shrunken to that of columns with like lookbacks   |
| tau    | dependent blocks per independent one, (1 + a) / (1 - a), at least 1 + lookback / block            |

By windows: D / sqrt(V) is about t distributed. V = g (j + tau / B) + w_m / m + w / (n B), g = (F - 1) w / n, F
moderated over columns (`moderation`; F by what it would be if days were independent, in which columns differ less),
j = 1 for one window; its degrees of freedom are Satterthwaite's. g is at least
one standard error of F: with less, a window of many rows would be compared with a variance that is not known. By
entities: D is compared with the variance of clusters. A shock common to all entities is invisible to the second test,
new entities to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Floats
from headrace.monitor.evidence.moderation import fit_prior, mean_squared_correlation
from headrace.monitor.evidence.moments import MomentDifference
from headrace.monitor.evidence.variance import MIN_BLOCKS

_MAX_AUTOCORRELATION = 0.9
_MIN_STANDARD_ERRORS = 1.0
#: Within-block variance below which rows of a block are taken as equal.
_EQUAL = 1e-9


class MomentResult(NamedTuple):
    """The test of one moment difference.

    Attributes:
        p_value: Two-sided; None with too few independent blocks.
        variance: V of the difference, square of the reference's standard deviation.
        window_variance: Its part that is new in each window.
        freedom: Degrees of freedom of `variance`.
        blocks: Number of independent blocks, B / tau.
        cluster_p_value: By entities; 0 where there are none.
    """

    p_value: float | None
    variance: float
    window_variance: float
    freedom: float
    blocks: float
    cluster_p_value: float


def moment_results(differences: Sequence[MomentDifference], *, moderate: bool = True) -> list[MomentResult]:
    """Test one moment of several columns [c].

    Args:
        differences: Of each column.
        moderate: Whether variances are moderated over the columns.
    """
    if not differences:
        return []
    from scipy import stats

    parts = _Parts.of(differences)
    ratio, freedom = _moderated(parts, differences) if moderate else (parts.ratio, parts.freedom)
    slack = np.clip(1 - (parts.tau - 1) / (parts.n_blocks - 1), 0.25, 1)
    error = ratio * np.sqrt(2 / freedom)
    excess = np.maximum((ratio - 1) / slack, _MIN_STANDARD_ERRORS * error)
    window = excess * parts.unit * parts.joined + parts.window_noise
    variance = window + (excess * parts.tau * parts.unit + parts.unit) / parts.n_blocks
    share = parts.unit * (parts.joined + parts.tau / parts.n_blocks) * error / np.maximum(variance, 1e-300)
    total_freedom = np.clip(2 / np.maximum(share, 1e-4) ** 2, 1.0, None)
    statistic = np.abs(parts.difference) / np.sqrt(np.maximum(variance, 1e-300))
    p_values = 2 * stats.t.sf(statistic, total_freedom)
    results = []
    for i, item in enumerate(differences):
        by_entities = _cluster_p_value(item)
        judged = parts.blocks[i] >= MIN_BLOCKS
        results.append(
            MomentResult(
                float(max(p_values[i], by_entities)) if judged else None,
                float(variance[i]), float(window[i]), float(total_freedom[i]), float(parts.blocks[i]), by_entities,
            )
        )  # fmt: skip
    return results


class _Parts(NamedTuple):
    """Arrays over columns [c]. unit: w / n. n_blocks: B. blocks: B / tau. joined: variance of the mean of the joined
    windows, as a share of that of one.
    """

    difference: Floats
    unit: Floats
    window_noise: Floats
    ratio: Floats
    n_blocks: Floats
    tau: Floats
    blocks: Floats
    freedom: Floats
    joined: Floats
    lookback: Floats

    @classmethod
    def of(cls, differences: Sequence[MomentDifference]) -> _Parts:
        unit = np.array([max(item.row_variance, _EQUAL) / item.block_rows for item in differences])
        noise = np.array([max(item.row_variance, item.window_row_variance) / max(item.rows, 1) for item in differences])
        n_blocks = np.array([float(len(item.blocks)) for item in differences])
        ratio = np.array([float(item.blocks.var(ddof=1)) for item in differences]) / unit
        lookback = np.array([item.lookback_blocks for item in differences])
        correlation = _autocorrelation(differences, n_blocks, lookback)
        excess = np.maximum(ratio - 1, 0) / np.maximum(ratio, 1e-12)
        # Noise of rows dilutes the correlation of what blocks share; where there is only noise, there is none.
        own = np.clip(correlation / np.maximum(excess, 0.7), 0, _MAX_AUTOCORRELATION)
        own = np.where(ratio - 1 > ratio * np.sqrt(2 / (n_blocks - 1)), own, 0.0)
        tau = np.maximum(1 + lookback, (1 + own) / (1 - own))
        freedom = np.maximum(n_blocks / (1 + (tau - 1) * excess) - 1, 0.5)
        joined = np.array([_joined_share(one, item.windows) for one, item in zip(tau, differences, strict=True)])
        difference = np.array([item.difference for item in differences])
        return cls(difference, unit, noise, ratio, n_blocks, tau, n_blocks / tau, freedom, joined, lookback)


def _joined_share(tau: float, windows: int) -> float:
    """Return the variance of the mean of so many successive windows, of a first-order process, by that of one."""
    correlation, lags = (tau - 1) / (tau + 1), np.arange(1, windows)
    return float(1 + 2 * ((1 - lags / windows) * correlation**lags).sum()) / windows


def _autocorrelation(differences: Sequence[MomentDifference], count: Floats, lookback: Floats) -> Floats:
    """Return the lag-1 autocorrelation of each column's blocks [c], bias corrected (Kendall 1954), shrunken."""
    own = np.zeros(len(differences))
    for i, item in enumerate(differences):
        centred = item.blocks - item.blocks.mean()
        square = float((centred**2).sum())
        raw = float((centred[1:] * centred[:-1]).sum()) / square if square > 0 else 0.0
        own[i] = raw + (1 + 3 * raw) / count[i]
    result = np.empty_like(own)
    for group in (lookback < 1, lookback >= 1):
        if group.any():
            values = own[group]
            scatter = float(values.var(ddof=1)) if len(values) > 1 else np.inf
            weight = 1.0 if scatter == np.inf else max(0.0, 1 - float((1 / count[group]).mean()) / max(scatter, 1e-12))
            result[group] = values.mean() + weight * (values - values.mean())
    return np.clip(result, 0, _MAX_AUTOCORRELATION)


def _moderated(parts: _Parts, differences: Sequence[MomentDifference]) -> tuple[Floats, Floats]:
    """Return F moderated over columns, and its degrees of freedom [c]."""
    expected = np.maximum(np.array([item.day_variance for item in differences]) / parts.unit, 1.0)
    usable: NDArray[np.bool_] = np.array([item.row_variance > _EQUAL for item in differences])
    most = parts.n_blocks.max()
    same = [item.blocks for item, keep in zip(differences, usable, strict=True) if keep and len(item.blocks) == most]
    correlation = mean_squared_correlation(np.column_stack(same)) if len(same) > 1 else 0.0
    scaled = parts.ratio / expected
    ratio, freedom = scaled.copy(), parts.freedom.copy()
    for group in (parts.lookback < 1, parts.lookback >= 1):
        prior = fit_prior(scaled[usable & group], parts.freedom[usable & group], correlation)
        ratio[group], freedom[group] = prior.moderate(scaled[group], parts.freedom[group])
    return np.where(usable, ratio * expected, parts.ratio), np.where(usable, freedom, parts.freedom)


def _cluster_p_value(item: MomentDifference) -> float:
    from scipy import stats

    if item.cluster_variance is None:
        return 0.0
    if item.cluster_variance <= 0:
        return 1.0 if item.difference == 0 else 0.0
    variance = item.cluster_variance * (1 + 1 / len(item.blocks))
    return float(2 * stats.t.sf(abs(item.difference) / np.sqrt(variance), max(item.clusters - 1, 0.5)))
