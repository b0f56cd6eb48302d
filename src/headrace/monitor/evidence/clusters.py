"""Entities of both samples' rows as clusters, for tests of features whose rows share entities.

Rows of one entity share its level, and often its shocks of the day. `Clusters` numbers the entities of both samples
together, so that it is known which of the window's entities recur in the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Counts, Floats
from headrace.monitor.evidence.variance import Blocks

Ints = NDArray[np.int64]

#: Smallest effective number of entities from which the variance between them is estimated, where all of them recur.
#: Entities that recur are no sample: what they do together or alone in a week, the weeks of the reference have shown.
MIN_CLUSTERS = 10
#: Share of rows of new entities up to which they count as recurring.
_NEW_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Clusters:
    """The entity of each row.

    Attributes:
        reference: Entity of each row of the reference [n], 0 to count - 1.
        current: Entity of each row of the window [m].
        count: Number of entities in both.
        cell: Index of each reference row's (block, entity) [n], 0 to len(cell_block) - 1.
        cell_block: Block of each index [c], -1 outside complete blocks.
        cell_entity: Entity of each index [c].
    """

    reference: Ints
    current: Ints
    count: int
    cell: Ints
    cell_block: Ints
    cell_entity: Ints

    @classmethod
    def from_keys(cls, reference: Any, current: Any, blocks: Blocks) -> Clusters:
        """Number the entities of both samples.

        Args:
            reference: Key of each reference row [n], Arrow, any type; null is an entity of its own.
            current: Key of each row of the window [m].
            blocks: Blocks of the reference's rows.
        """
        sides = [pa.chunked_array([side]) if isinstance(side, pa.Array) else side for side in (reference, current)]
        pooled = pa.chunked_array([chunk for side in sides for chunk in side.chunks], sides[0].type).combine_chunks()
        codes = pooled.dictionary_encode(null_encoding="encode")
        entities = np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
        count = len(codes.dictionary)
        first, second = entities[: len(sides[0])], entities[len(sides[0]) :]
        pairs, cell = np.unique((blocks.ids + 1) * count + first, return_inverse=True)
        return cls(first, second, count, cell.astype(np.int64), pairs // count - 1, pairs % count)

    @cached_property
    def recur(self) -> bool:
        """Whether nearly all rows of the window are of entities that the reference has."""
        seen = np.bincount(self.reference, minlength=self.count) > 0
        return bool((~seen[self.current]).mean() <= _NEW_SHARE)


def effective_count(sizes: Floats | Counts) -> float:
    """Return how many equal clusters have the variance of clusters of these sizes [k]: (sum n^2)^2 / sum n^4."""
    squares = np.square(sizes, dtype=np.float64)
    total = float(np.square(squares).sum())
    return float(squares.sum() ** 2 / total) if total else 0.0


def shrinkage(sums: Floats, squares: float, counts: Floats) -> float:
    """Return lambda = row variance / entity variance, by one-way analysis of variance (Searle et al. 1992).

    The level of an entity with n rows is predicted by n / (n + lambda) of its mean's deviation (its BLUP).

    Args:
        sums: Sum of the values of each entity [g], or of vectors of values [g, K].
        squares: Sum of all squared values.
        counts: Rows of each entity [g].

    Returns:
        At least 0; infinity where entities do not differ, or none has two rows.
    """
    present = counts > 0
    total, entities = float(counts.sum()), int(present.sum())
    if entities < 2 or total <= entities:
        return np.inf
    vectors, sizes = sums[present].reshape(entities, -1), counts[present]
    between_sum = float((vectors**2 / sizes[:, None]).sum())
    within = max((squares - between_sum) / (total - entities), 0.0)
    between = (between_sum - float((vectors.sum(axis=0) ** 2).sum()) / total) / (entities - 1)
    size = (total - float((sizes**2).sum()) / total) / (entities - 1)
    excess = (between - within) / size
    return within / excess if excess > 1e-12 else np.inf


def cluster_share_p_value(reference: Counts, current: Counts, *, recur: bool) -> float:
    """Test the shares of cells of a window with entities as the units; 0 where entities recur and are few.

    The difference from what the window's entities had in the reference (their shrunken shares) has the covariance of
    its clusters' sums (Liang and Zeger 1986), to which the reference's own adds as far as entities are new. The p-value
    is that of `variance.between_window_test`: |q - p|^2 / tr V in Pearson's metric is about F(d, d (k - 1)).

    Args:
        reference: Rows per entity and cell [g, K].
        current: The same of the window.
        recur: Whether the window's entities are those of the reference.
    """
    from scipy import stats

    before, after = reference.astype(np.float64), current.astype(np.float64)
    sizes, n = after.sum(axis=1), before.sum(axis=1)
    if not n.any() or not sizes.any() or (recur and effective_count(sizes) < MIN_CLUSTERS):
        return 0.0
    root = np.sqrt((before.sum(axis=0) / n.sum() + after.sum(axis=0) / sizes.sum()) / 2)
    before, after = (np.divide(side, root, out=np.zeros_like(side), where=root > 0) for side in (before, after))
    pooled = before.sum(axis=0) / n.sum()
    squares = float((pooled * n.sum() / np.where(root > 0, root, 1.0)).sum())
    weight = np.divide(n, n + shrinkage(before, squares, n), out=np.zeros_like(n), where=n > 0)
    level = pooled + weight[:, None] * (before / np.maximum(n, 1)[:, None] - pooled)
    new = 1 - float(weight @ sizes) / float(sizes.sum())
    difference, covariance, units = _clustered(after - sizes[:, None] * level, sizes)
    own = (before - n[:, None] * pooled) / n.sum()
    covariance += new**2 * own.T @ own
    trace = float(np.trace(covariance))
    if trace <= 0:
        return 0.0
    freedom = trace**2 / float((covariance**2).sum())
    return float(stats.f.sf(float(difference @ difference) / trace, freedom, freedom * max(units - 1, 0.5)))


def _clustered(sums: Floats, sizes: Floats) -> tuple[Floats, Floats, float]:
    """Return the mean of clusters' sums [g, K] per row, its covariance [K, K], and the effective number of clusters."""
    total, units = float(sizes.sum()), effective_count(sizes)
    difference = sums.sum(axis=0) / total
    centred = (sums - np.outer(sizes, difference)) / total
    return difference, centred.T @ centred * units / max(units - 1, 0.5), units


def cluster_variance(sums: Floats, sizes: Floats) -> tuple[float, float]:
    """Return the variance of a mean of clustered rows, and the effective number of clusters.

    Args:
        sums: Sum of the values of each cluster [g].
        sizes: Rows of each cluster [g].
    """
    _, covariance, units = _clustered(sums[:, None], sizes)
    return float(covariance[0, 0]), units
