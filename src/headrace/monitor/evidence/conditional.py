"""The mean of a feature in a window, given the means of the other features: finds a feature that has moved alone.

Weekly means of features go up and down together, with weather, season and volume. What the other features do not
explain varies far less than the mean itself, so that a shift of one feature shows that its own mean would hide.

| symbol | meaning                                                                                     | shape  |
|--------|---------------------------------------------------------------------------------------------|--------|
| y      | window means of the feature over the reference's blocks (`moments`)                         | [B]    |
| Z      | those of the other c features, each divided by its standard deviation                       | [B, c] |
| q      | weights of the other features, sum 1: those that read the same columns count most            | [c]    |
| K      | Z diag(q) Z' + a large constant for the level                                               | [B, B] |
| l      | variance of what the others do not explain; one for all features, by marginal likelihood     |        |

The prediction is kernel ridge regression, equal to a Gaussian process (Rasmussen and Williams 2006, 2.2): mean k' A y,
variance s^2 (k0 + l - k' A k), with A = (K + l)^-1. s^2 is the mean square of the standardised errors with which blocks
are predicted from the others; a feature with a lookback of several blocks from blocks that share no row with it. s^2 is
moderated over features (`moderation`). A window of fewer rows than a block has more noise, which is added.

Where all features that read a column move together, this test sees nothing; that of the mean itself does. A feature
that has moved alone can make those that are predicted from it significant, too: alerts name their common column.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Floats
from headrace.monitor.evidence.moderation import fit_prior, mean_squared_correlation
from headrace.monitor.evidence.moment_tests import MomentResult
from headrace.monitor.evidence.moments import MomentDifference

#: Fewer other features, or blocks, predict nothing.
MIN_OTHERS, MIN_BLOCKS = 4, 8
#: Blocks that are left out on both sides of a block, of a feature whose lookback is a block or longer.
_APART = 2
#: Weight of a feature that reads a common column, beside one that does not; by marginal likelihood on the flights.
_SAME_COLUMN = 100.0
#: Weights fall with the square root of the ratio of two lookbacks, which are taken as at least this (blocks).
_SHORTEST = 1 / 168
#: Share of a mean's variance over blocks that the others may leave unexplained. With more, this test could find little
#: that the mean's own does not, and it does not know how weeks depend on each other.
_MOST_UNEXPLAINED = 0.7
_LEVEL = 1e3
_NOISE = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
#: Parameters that are estimated beside s^2: the level, l, and two for what the weights were chosen by.
_PARAMETERS = 4
_EQUAL = 1e-9


def conditional_results(
    differences: Sequence[MomentDifference],
    results: Sequence[MomentResult],
    columns: Sequence[Collection[str]],
) -> list[tuple[float, MomentResult] | None]:
    """Test the mean of each feature, given those of the others.

    Args:
        differences: Mean of each feature [c] in the window and in the blocks.
        results: Their tests by themselves: a feature that these do not judge is not judged, and an effect that entities
            explain is none.
        columns: Columns that each feature is computed from [c]; empty where that is not known.

    Returns:
        For each feature [c] the residual, in standard deviations of the reference, and its test; None where it is not
        tested: fewer than 8 blocks, fewer than 4 other features, a mean that never changed, or one of which the others
        explain less than 30 %.
    """
    found: list[tuple[float, MomentResult] | None] = [None] * len(differences)
    most = max((len(item.blocks) for item in differences), default=0)
    usable = [
        i
        for i, item in enumerate(differences)
        if len(item.blocks) == most and item.blocks.std() > _EQUAL and results[i].p_value is not None
    ]
    if most < MIN_BLOCKS or len(usable) <= MIN_OTHERS:
        return found
    used = [differences[i] for i in usable]
    prediction = _predict(used, _weights(used, [columns[i] for i in usable]))
    for i, item, error, square, degrees, left in zip(usable, used, *prediction, strict=True):
        if left <= _MOST_UNEXPLAINED:
            found[i] = float(error), _result(item, float(error), float(square), float(degrees), results[i])
    return found


def _result(
    item: MomentDifference, residual: float, variance: float, freedom: float, alone: MomentResult
) -> MomentResult:
    from scipy import stats

    own, usual = (
        max(item.row_variance, item.window_row_variance) / max(item.rows, 1),
        item.row_variance / item.block_rows,
    )
    variance += max(0.0, own - usual)
    p_value = float(2 * stats.t.sf(abs(residual) / np.sqrt(max(variance, 1e-300)), freedom))
    by_entities = alone.cluster_p_value
    return MomentResult(max(p_value, by_entities), variance, variance, freedom, alone.blocks, by_entities)


def _weights(differences: Sequence[MomentDifference], columns: Sequence[Collection[str]]) -> Floats:
    """Return q of each feature [c, c], 0 on the diagonal; rows sum to 1."""
    lookback = np.log([max(item.lookback_blocks, _SHORTEST) for item in differences])
    weights = np.exp(-np.abs(lookback[:, None] - lookback[None, :]) / 2)
    names = sorted({name for some in columns for name in some})
    reads = np.array([[name in some for name in names] for some in columns], dtype=np.float64)
    reads = reads.reshape(len(columns), len(names))
    weights *= np.where(reads @ reads.T > 0, _SAME_COLUMN, 1.0)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


class _Prediction(NamedTuple):
    """Of each feature [c]: the window's residual, its variance and degrees of freedom, the unexplained share of y."""

    residual: Floats
    variance: Floats
    freedom: Floats
    unexplained: Floats


def _predict(differences: Sequence[MomentDifference], weights: Floats) -> _Prediction:
    blocks = np.column_stack([item.blocks for item in differences])
    n_blocks = len(blocks)
    # A block's mean is measured from the others' mean, the window's from that of all.
    blocks = (blocks - blocks.mean(axis=0)) * (n_blocks - 1) / n_blocks
    scale = blocks.std(axis=0, ddof=1)
    z = blocks / scale
    window = np.array([item.difference for item in differences]) / scale
    kernels = np.einsum("bc,jc,dc->jbd", z, weights, z, optimize=True) + _LEVEL
    kernel = (weights * window) @ z.T + _LEVEL
    own = weights @ window**2 + _LEVEL
    noise = _noise(kernels, z)
    matrices = kernels + noise * np.eye(n_blocks)
    gain = np.einsum("jb,jbd->jd", kernel, np.linalg.inv(matrices))
    residual = window - (gain * z.T).sum(axis=1)
    spread = own + noise - (gain * kernel).sum(axis=1)
    lookback = np.array([item.lookback_blocks for item in differences])
    apart = np.where(lookback >= 1, _APART, 0)
    left_out = [_left_out(matrices[j], z[:, j], int(apart[j])) for j in range(len(differences))]
    errors, deviations = (np.column_stack(side) for side in zip(*left_out, strict=True))
    square, freedom = _moderated(errors / deviations, lookback)
    return _Prediction(residual * scale, spread * square * scale**2, freedom, (errors**2).mean(axis=0))


def _noise(kernels: Floats, z: Floats) -> float:
    """Return l, by the sum of the features' marginal likelihoods with their s^2 at its maximum."""
    n_blocks = len(z)

    def log_likelihood(noise: float) -> float:
        matrices = kernels + noise * np.eye(n_blocks)
        fits = np.einsum("bj,jbd,dj->j", z, np.linalg.inv(matrices), z, optimize=True) / (n_blocks - 1)
        determinants = np.linalg.slogdet(matrices)[1]
        return float((-(n_blocks - 1) * np.log(np.maximum(fits, 1e-30)) - determinants).sum())

    return max(_NOISE, key=log_likelihood)


def _left_out(matrix: Floats, y: Floats, apart: int) -> tuple[Floats, Floats]:
    """Return the error of each block [B], predicted from blocks more than so many away, and its standard deviation.

    Args:
        matrix: K + l [B, B].
        y: The feature [B].
        apart: 0 leaves out the block alone.
    """
    if not apart:
        inverse = np.linalg.inv(matrix)
        precision = np.diag(inverse)
        return inverse @ y / precision, 1 / np.sqrt(precision)
    index = np.arange(len(y))
    errors, deviations = np.empty(len(y)), np.empty(len(y))
    for b in index:
        kept = np.abs(index - b) > apart
        solved = np.linalg.solve(matrix[np.ix_(kept, kept)], np.column_stack([y[kept], matrix[kept, b]]))
        errors[b] = y[b] - matrix[b, kept] @ solved[:, 0]
        deviations[b] = np.sqrt(matrix[b, b] - matrix[b, kept] @ solved[:, 1])
    return errors, deviations


def _moderated(errors: Floats, lookback: Floats) -> tuple[Floats, Floats]:
    """Return s^2 and its degrees of freedom of each feature [c], moderated among those of short or long lookback."""
    square = np.asarray((errors**2).mean(axis=0), dtype=np.float64)
    freedom = np.full(len(square), float(len(errors) - _PARAMETERS))
    correlation = mean_squared_correlation(errors)
    for group in (lookback < 1, lookback >= 1):
        chosen: NDArray[np.bool_] = group & (square > 0)
        prior = fit_prior(square[chosen], freedom[chosen], correlation)
        square[chosen], freedom[chosen] = prior.moderate(square[chosen], freedom[chosen])
    return square, freedom
