"""Differences of a window's moments from those of the reference's windows, adjusted for entities, for each column.

| symbol | meaning                                                                                           | shape |
|--------|---------------------------------------------------------------------------------------------------|-------|
| s      | what the moment averages: normal scores, or their absolute sizes, variance 1 over the reference   | [n]   |
| mu     | level of an entity in the reference, shrunken to the mean of all (`clusters.shrinkage`)           | [g]   |
| D_b    | mean of s - mu over the rows of block b, where mu leaves the block out; B blocks                  | [B]   |
| D      | the same of the window, whose rows no mu contains                                                 |       |
| w      | variance of s - mu within a block                                                                 |       |

Each block is treated as if it were the window, so without drift D is one more of the D_b. Their scatter contains what
entities share in a week, and what remains of their levels; an entity that the reference does not have adds the variance
of clusters, within the window (`clusters.cluster_variance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Floats, Pair
from headrace.monitor.drift_tests.scores import Moment
from headrace.monitor.evidence.clusters import MIN_CLUSTERS, Clusters, cluster_variance, effective_count, shrinkage
from headrace.monitor.evidence.variance import PARTS, Blocks


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentDifference:
    """One moment of one column in a window, beside the same of the blocks of the reference.

    Attributes:
        difference: D less the mean of the D_b, standard deviations of the reference.
        blocks: D_b [B], oldest first.
        block_rows: Rows of a block (harmonic mean).
        rows: Rows of the window with a value.
        row_variance: w.
        day_variance: Variance that D_b would have if the parts (days) of a block were independent: that of their means
            within a block, by their number.
        window_row_variance: The same within the window.
        lookback_blocks: Lookback of the feature, in blocks.
        cluster_variance: Variance of D with entities as the units; None where it says nothing (entities recur and are
            few, or there are none).
        clusters: Effective number of entities.
        windows: Number of windows that were joined.
    """

    difference: float
    blocks: Floats
    block_rows: float
    rows: int
    row_variance: float
    window_row_variance: float
    day_variance: float = 0.0
    lookback_blocks: float = 0.0
    cluster_variance: float | None = None
    clusters: float = 0.0
    windows: int = 1


def moment_difference(
    pair: Pair,
    moment: Moment,
    blocks: Blocks,
    clusters: Clusters | None = None,
    *,
    lookback_blocks: float = 0.0,
    windows: int = 1,
) -> MomentDifference | None:
    """Compare a moment of the window with the blocks of the reference.

    Args:
        pair: Both samples, numeric, in their original order.
        moment: Which moment.
        blocks: Blocks of the reference's rows.
        clusters: Entities of both samples' rows; None takes rows of a block as independent, given the block.
        lookback_blocks: Lookback of the feature, in blocks.
        windows: Number of windows that the current sample joins.

    Returns:
        None where the reference is constant or fewer than two blocks have values.
    """
    if pair.rows is None or pair.current_rows is None or not pair.scores.scales[moment]:
        return None
    sides = [pair.scores.terms(rows, moment) for rows in pair.score_rows]
    valid = [np.isfinite(rows) for rows in pair.score_rows]
    before, after = (np.where(keep, side, 0.0) for side, keep in zip(sides, valid, strict=True))
    reference = _Reference.of(before, valid[0], blocks, clusters)
    if reference is None:
        return None
    levels, current = reference.levels(), after[valid[1]]
    entity = np.zeros(len(current), dtype=np.int64) if clusters is None else clusters.current[valid[1]]
    residual = current - levels[entity]
    difference = float(residual.mean() - reference.block_means.mean())
    spread = None if clusters is None else _cluster_variance(residual, entity, clusters, reference)
    return MomentDifference(
        difference=difference,
        blocks=reference.block_means,
        block_rows=reference.block_rows,
        rows=len(current),
        row_variance=reference.row_variance,
        day_variance=reference.day_variance,
        window_row_variance=float(residual.var()),
        lookback_blocks=lookback_blocks,
        cluster_variance=None if spread is None else spread[0],
        clusters=0.0 if spread is None else spread[1],
        windows=windows,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reference:
    """Sums [g], rows [g] and shrinkage of entities; means of blocks [B], their rows, variances within and of days."""

    sums: Floats
    counts: Floats
    shrink: float
    block_means: Floats
    block_rows: float
    row_variance: float
    day_variance: float

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.counts.sum())

    def levels(self) -> Floats:
        """Return mu of each entity [g]."""
        return _shrunken(self.sums, self.counts, self.mean, self.shrink)

    @classmethod
    def of(
        cls, values: Floats, valid: NDArray[np.bool_], blocks: Blocks, clusters: Clusters | None
    ) -> _Reference | None:
        """Compute all from values [n], 0 where they are not valid."""
        if clusters is None:
            cell, cell_block, cell_entity, count = blocks.ids + 1, np.arange(blocks.count + 1) - 1, None, 1
            cell_entity = np.zeros(blocks.count + 1, dtype=np.int64)
        else:
            cell, cell_block, cell_entity = clusters.cell, clusters.cell_block, clusters.cell_entity
            count = clusters.count
        rows, sums, squares = (
            _sums(cell, weights, len(cell_block)) for weights in (valid.astype(np.float64), values, values**2)
        )
        total_sums, total_rows = (_sums(cell_entity, side, count) for side in (sums, rows))
        shrink = shrinkage(total_sums, float(squares.sum()), total_rows)
        mean = float(sums.sum() / rows.sum())
        left_out = _shrunken(total_sums[cell_entity] - sums, total_rows[cell_entity] - rows, mean, shrink)
        residual = sums - rows * left_out
        residual_squares = squares - 2 * left_out * sums + rows * left_out**2
        n, total, total_squares = (
            _sums(cell_block + 1, side, blocks.count + 1)[1:] for side in (rows, residual, residual_squares)
        )
        present = n > 0
        if np.count_nonzero(present) < 2:
            return None
        n, means = n[present], total[present] / n[present]
        within = float((total_squares[present] - n * means**2).sum() / max(float(n.sum()) - len(n), 1.0))
        block_rows = len(n) / float((1 / n).sum())
        days = _day_variance(np.where(valid, values - left_out[cell], 0.0), valid, blocks)
        return cls(sums=total_sums, counts=total_rows, shrink=shrink, block_means=means, block_rows=block_rows,
                   row_variance=max(within, 0.0), day_variance=days)  # fmt: skip


def _day_variance(residual: Floats, valid: NDArray[np.bool_], blocks: Blocks) -> float:
    """Return the variance of the mean of a block's parts, from the scatter of their means [B, 7] within blocks."""
    part = np.where(blocks.ids >= 0, blocks.ids * PARTS + blocks.parts, blocks.count * PARTS)
    rows, sums = (_sums(part, side, blocks.count * PARTS + 1)[:-1] for side in (valid.astype(np.float64), residual))
    means = np.divide(sums, rows, out=np.full_like(sums, np.nan), where=rows > 0).reshape(-1, PARTS)
    present = np.isfinite(means)
    counts = present.sum(axis=1)
    kept = counts >= 2
    if not kept.any():
        return 0.0
    filled, counts = np.where(present, means, 0.0)[kept], counts[kept]
    centred = np.where(present[kept], filled - (filled.sum(axis=1) / counts)[:, None], 0.0)
    return float(((centred**2).sum(axis=1) / (counts - 1) / counts).mean())


def _sums(groups: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(groups, weights=values, minlength=count), dtype=np.float64)


def _shrunken(sums: Floats, counts: Floats, mean: float, shrink: float) -> Floats:
    """Return the levels of entities [g]: their means, shrunken to the mean of all rows."""
    own = np.divide(sums, counts, out=np.full_like(sums, mean), where=counts > 0)
    weight = np.divide(counts, counts + shrink, out=np.zeros_like(counts), where=counts > 0)
    return np.asarray(mean + weight * (own - mean), dtype=np.float64)


def _cluster_variance(
    residual: Floats, entity: NDArray[np.int64], clusters: Clusters, reference: _Reference
) -> tuple[float, float] | None:
    """Return the variance of the window's D with entities as the units, and their effective number."""
    sizes = np.bincount(entity, minlength=clusters.count).astype(np.float64)
    if clusters.recur and effective_count(sizes) < MIN_CLUSTERS:
        return None
    sums = _sums(entity, residual, clusters.count)
    variance, units = cluster_variance(sums, sizes)
    n = reference.counts
    weight = np.divide(n, n + reference.shrink, out=np.zeros_like(n), where=n > 0)
    new = 1 - float(weight @ sizes) / len(residual)
    own, _ = cluster_variance(reference.sums, n)
    return variance + new**2 * own, units
