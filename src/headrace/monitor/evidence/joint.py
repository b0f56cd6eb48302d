"""A classifier two-sample test: can a window's rows be told from the reference's by all features together?

Each feature by itself may look unchanged where they change together, a little each. A linear discriminant is fitted to
tell the rows apart, and its AUC measured on rows whose entity and day it has not seen (Lopez-Paz and Oquab 2017; folds
by entity and day, since a row is known by its entity or its day). Any week can be told from others to some degree, so
the AUC is compared with those of the reference's own blocks, each as a window against the others with as many rows:

| symbol | meaning                                                                              | shape  |
|--------|--------------------------------------------------------------------------------------|--------|
| X      | normal scores of the numeric features and their absolute values, 0 where missing      | [n, d] |
| A      | AUC of the window; A_b of block b as a window                                         | [B]    |

(A - mean A_b) / (s sqrt(tau + tau / B)) is about t distributed with B / tau - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.drift_tests.samples import Floats
from headrace.monitor.drift_tests.scores import NormalScores
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.variance import MIN_BLOCKS, Blocks

Ints = NDArray[np.int64]

#: Ridge penalty by row: features are standardised and correlated.
_PENALTY = 0.05
_MIN_ROWS = 30
_REFERENCE_ROWS = 5_000


class JointResult(NamedTuple):
    """The result of the classifier two-sample test.

    Attributes:
        auc: AUC of telling the window's rows from the reference's; .5 is chance.
        usual_auc: Mean AUC of the reference's blocks.
        p_value: One-sided; None with too few blocks or rows.
    """

    auc: float
    usual_auc: float
    p_value: float | None


class Rows(NamedTuple):
    """Rows of one sample. features: X [n, d]. entity, day: groups that folds do not divide [n]."""

    features: Floats
    entity: Ints
    day: Ints

    def take(self, rows: Ints) -> Rows:
        return Rows(self.features[rows], self.entity[rows], self.day[rows])


def joint_test(
    reference: Rows, current: Rows, block: Ints, *, lookback_blocks: float = 0.0, seed: int = 0
) -> JointResult:
    """Compare the window with the blocks of the reference.

    Args:
        reference: Rows [n].
        current: Rows [m] of the window; as many as a block has are drawn.
        block: Block of each reference row [n], from the oldest; negative outside complete blocks.
        lookback_blocks: Longest lookback of the features, in blocks.
        seed: Of the draw and of the folds.
    """
    from scipy import stats

    count = int(block.max(initial=-1)) + 1
    sizes = np.bincount(block[block >= 0], minlength=max(count, 1))
    present, tau = np.flatnonzero(sizes >= _MIN_ROWS), 1 + lookback_blocks
    if len(present) / tau < max(MIN_BLOCKS, 3) or len(current.day) < _MIN_ROWS:
        return JointResult(float("nan"), float("nan"), None)
    rng, rows = np.random.default_rng(seed), int(np.median(sizes[present]))
    windows = [(np.flatnonzero(block != one), np.flatnonzero(block == one)) for one in present]
    usual = np.array([_auc(reference.take(others), reference.take(own), seed) for others, own in windows])
    drawn = np.sort(rng.choice(len(current.day), min(rows, len(current.day)), replace=False))
    found = _auc(reference, current.take(drawn), seed)
    freedom = len(usual) / tau - 1
    scale = float(usual.std(ddof=1)) * float(np.sqrt(1 + tau / len(usual)))
    statistic = (found - float(usual.mean())) / scale if scale > 0 else 0.0
    return JointResult(found, float(usual.mean()), float(stats.t.sf(statistic, freedom)))


def joint_evidence(
    reference: pa.Table, current: pa.Table, features: Sequence[str], *, cutoffs_us: Ints, length_us: int,
    entity: str | None = None, lookback_us: int = 0, seed: int = 0,
) -> JointResult | None:  # fmt: skip
    """Run the test on numeric features of a reference with `_cutoff` (us) and of a window.

    Args:
        reference: Rows of the reference; at most 5,000 of them are used.
        current: Rows of the window.
        features: Names of numeric features; those that either side lacks, or that are constant, are left out.
        cutoffs_us: Cutoffs of the window's rows.
        length_us: Length of the window.
        entity: Column of digests of the entity that folds do not divide.
        lookback_us: Longest lookback of the features.
        seed: Of draws and folds.

    Returns:
        None without cutoffs, a length or features.
    """
    if CUTOFF not in reference.column_names or not length_us or not len(cutoffs_us):
        return None
    if reference.num_rows > _REFERENCE_ROWS:
        drawn = np.random.default_rng(seed).choice(reference.num_rows, _REFERENCE_ROWS, replace=False)
        reference = reference.take(pa.array(np.sort(drawn)))
    columns = [_columns(reference, current, name) for name in features]
    kept = [pair for pair in columns if pair is not None]
    if not kept:
        return None
    cutoffs = reference[CUTOFF].to_numpy()
    before, after = (
        Rows(np.column_stack([pair[side] for pair in kept]), _entities(table, entity), times // DAY)
        for side, table, times in ((0, reference, cutoffs), (1, current, cutoffs_us))
    )
    blocks = Blocks.from_cutoffs(cutoffs, length_us)
    return joint_test(before, after, blocks.ids, lookback_blocks=lookback_us / length_us, seed=seed)


def _columns(reference: pa.Table, current: pa.Table, name: str) -> tuple[Floats, Floats] | None:
    """Return normal scores and their absolute values of both sides [n, 2]; None where they cannot be compared."""
    if name not in reference.column_names or name not in current.column_names:
        return None
    before, after = (as_numbers(table[name]) for table in (reference, current))
    if before is None or after is None or not np.isfinite(before).any():
        return None
    scores = NormalScores.fit(np.sort(before[np.isfinite(before)]))
    if not scores.scales["spread"]:
        return None
    sides = []
    for values in (before, after):
        mean = scores.transform(np.where(np.isfinite(values), values, np.nan))
        sides.append(np.nan_to_num(np.column_stack([mean, scores.terms(mean, "spread")])))
    return sides[0], sides[1]


def _entities(table: pa.Table, entity: str | None) -> Ints:
    if entity is None or entity not in table.column_names:
        return np.arange(table.num_rows)
    return np.asarray(table[entity].to_numpy(), dtype=np.int64)


def _auc(zeros: Rows, ones: Rows, seed: int) -> float:
    """Return the AUC over four folds: rows of half of the entities and days, by a fit to the other half of both."""
    from scipy.stats import rankdata

    features = np.concatenate([zeros.features, ones.features])
    label = np.repeat([0.0, 1.0], [len(zeros.day), len(ones.day)])
    entity, day = (_halves(np.concatenate(both), seed) for both in ((zeros.entity, ones.entity), (zeros.day, ones.day)))
    aucs, weights = [], []
    for first in (0, 1):
        for second in (0, 1):
            test, train = (entity == first) & (day == second), (entity != first) & (day != second)
            positive = int(label[test].sum())
            if not 0 < positive < test.sum() or not 0 < label[train].sum() < train.sum():
                continue
            scores = features[test] @ _discriminant(features[train], label[train])
            ranks = rankdata(scores)[label[test] == 1]
            pairs = positive * (int(test.sum()) - positive)
            aucs.append((float(ranks.sum()) - positive * (positive + 1) / 2) / pairs)
            weights.append(positive)
    return float(np.average(aucs, weights=weights)) if aucs else 0.5


def _halves(groups: Ints, seed: int) -> Ints:
    """Return 0 or 1 for each row [n], by its group, equally for equal groups."""
    codes = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng([seed, int(codes.max(initial=0))]).permutation(int(codes.max(initial=0)) + 1)
    return np.asarray(order[codes] % 2, dtype=np.int64)


def _discriminant(features: Floats, label: Floats) -> Floats:
    """Return the direction [d] of Fisher's linear discriminant with a ridge penalty, both classes weighted equally."""
    ones = label == 1
    means = [features[side].mean(axis=0) for side in (~ones, ones)]
    centred = features - np.where(ones[:, None], means[1], means[0])
    covariance = centred.T @ centred / len(label)
    covariance[np.diag_indices_from(covariance)] += _PENALTY
    return np.asarray(np.linalg.solve(covariance, means[1] - means[0]), dtype=np.float64)
