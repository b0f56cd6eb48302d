"""A classifier two-sample test: can a window's rows be told from the reference's by all features together?

Each feature by itself may look unchanged where their joint distribution changes. A classifier is trained to tell the
rows apart, and its AUC is measured on rows whose entity and whose day it has not seen (Lopez-Paz and Oquab 2017; folds
by entity and day, since a row is known by its entity or its day). Any week can be told from others to some degree, so
the AUC is compared with those where whole blocks of the reference take the window's place:

| symbol | meaning                                                                                       |
|--------|-----------------------------------------------------------------------------------------------|
| A      | AUC of the window against the reference                                                       |
| A_b    | the same with the rows of block b as the window, against the other blocks [B]; where the      |
|        | window's entities are new, of half of the entities in block b against the other half elsewhere |
| tau    | dependent blocks per independent one: 1 + lookback / length of a block                        |

(A - mean A_b) / (s sqrt(tau + tau / B)) is about t distributed with B / tau - 1 degrees of freedom, s the standard
deviation of the A_b. Permutations of whole blocks alone could not give a p-value below 1 / (B + 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.drift_tests.samples import Floats
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.variance import MIN_BLOCKS, Blocks

Ints = NDArray[np.int64]

#: Rows of the reference and of a window, and features, that are used at most: the test takes about a second.
_REFERENCE_ROWS, _WINDOW_ROWS = 5_000, 400
MAX_FEATURES = 20
_MIN_ROWS = 30
#: Thirds of entities and of days whose rows are tested.
_FOLDS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
#: The window's entities are new where fewer of its rows are of entities that the reference has.
_RECURRING_SHARE = 0.5
_TREES: Mapping[str, Any] = {
    "n_estimators": 30, "num_leaves": 15, "max_depth": 4, "learning_rate": 0.15, "min_child_samples": 10,
    "n_jobs": 1, "verbose": -1, "class_weight": "balanced",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JointResult:
    """The result of the classifier two-sample test.

    Attributes:
        auc: AUC of telling the window's rows from the reference's; .5 is chance.
        usual_auc: Mean AUC of the reference's blocks.
        p_value: One-sided.
        features: How many features were used.
        drifted: Whether it is a finding.
    """

    auc: float
    usual_auc: float
    p_value: float
    features: int = 0
    drifted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Rows(NamedTuple):
    """Rows of one sample. features: [n, d], NaN where missing. entity, day: groups that folds do not divide [n]."""

    features: Floats
    entity: Ints
    day: Ints

    def take(self, rows: NDArray[Any]) -> Rows:
        return Rows(self.features[rows], self.entity[rows], self.day[rows])


def joint_evidence(
    reference: pa.Table, current: pa.Table, features: Sequence[str], *, cutoffs_us: Ints, length_us: int,
    entity: str | None = None, lookback_us: int = 0, level: float = 0.001, seed: int = 0,
) -> JointResult | None:  # fmt: skip
    """Run the test on features of a reference with `_cutoff` (us) and of a window.

    Args:
        reference: Rows of the reference.
        current: Rows of the window.
        features: Names of features, the most important ones first; those that either side lacks are left out.
        cutoffs_us: Cutoffs of the window's rows.
        length_us: Length of the window.
        entity: Column of digests of the entity that folds do not divide.
        lookback_us: Longest lookback of the features.
        level: p-value from which it is a finding.
        seed: Of draws and folds.

    Returns:
        None without cutoffs, a length or features, or with too few rows or blocks.
    """
    if CUTOFF not in reference.column_names or not length_us or not len(cutoffs_us):
        return None
    rng = np.random.default_rng(seed)
    drawn = _drawn(rng, reference.num_rows, _REFERENCE_ROWS)
    columns = [_columns(reference, current, name) for name in features]
    kept = [pair for pair in columns if pair is not None][:MAX_FEATURES]
    if not kept:
        return None
    cutoffs = reference[CUTOFF].to_numpy()
    samples = [
        Rows(np.column_stack([pair[side] for pair in kept]), _entities(table, entity), times // DAY)
        for side, table, times in ((0, reference, cutoffs), (1, current, cutoffs_us))
    ]
    block = Blocks.from_cutoffs(cutoffs, length_us).ids
    return joint_test(
        samples[0].take(drawn), samples[1], block[drawn],
        lookback_blocks=lookback_us / length_us, level=level, seed=seed,
    )  # fmt: skip


def joint_test(
    reference: Rows, current: Rows, block: Ints, *, lookback_blocks: float = 0.0, level: float = 0.001, seed: int = 0
) -> JointResult | None:
    """Compare the window with the blocks of the reference.

    Args:
        reference: Rows [n].
        current: Rows [m] of the window; as many as a block has are drawn.
        block: Block of each reference row [n], from the oldest; negative outside complete blocks.
        lookback_blocks: Longest lookback of the features, in blocks.
        level: p-value from which it is a finding.
        seed: Of the draw and of the folds.

    Returns:
        None with too few rows or blocks.
    """
    from scipy import stats

    sizes = np.bincount(block[block >= 0], minlength=1)
    present, tau = np.flatnonzero(sizes >= _MIN_ROWS), 1 + lookback_blocks
    freedom = len(present) / tau - 1
    if freedom < MIN_BLOCKS or len(current.day) < _MIN_ROWS:
        return None
    rng = np.random.default_rng(seed)
    new = np.isin(current.entity, reference.entity).mean() < _RECURRING_SHARE
    most = min(_WINDOW_ROWS, int(np.median(sizes[present])))
    usual = []
    for one in present:
        inside, outside = block == one, block != one
        if new:
            half = rng.permutation(np.unique(reference.entity))
            chosen = np.isin(reference.entity, half[: len(half) // 2])
            inside, outside = inside & chosen, outside & ~chosen
        usual.append(_auc(reference.take(outside), reference.take(np.flatnonzero(inside)[:most]), seed))
    found = _auc(reference, current.take(_drawn(rng, len(current.day), most)), seed)
    scale = float(np.std(usual, ddof=1)) * float(np.sqrt(tau + tau / len(usual)))
    statistic = (found - float(np.mean(usual))) / scale if scale > 0 else 0.0
    p_value = float(stats.t.sf(statistic, freedom))
    return JointResult(
        auc=found, usual_auc=float(np.mean(usual)), p_value=p_value,
        features=reference.features.shape[1], drifted=p_value <= level,
    )  # fmt: skip


def _drawn(rng: np.random.Generator, count: int, most: int) -> Ints:
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))


def _columns(reference: pa.Table, current: pa.Table, name: str) -> tuple[Floats, Floats] | None:
    """Return a feature of both sides as numbers [n], [m]; categories as codes. None where it cannot be compared."""
    if name not in reference.column_names or name not in current.column_names:
        return None
    before, after = (as_numbers(table[name]) for table in (reference, current))
    if before is None or after is None:
        texts = [table[name].cast(pa.string()) for table in (reference, current)]
        known = pc.unique(texts[0].drop_null())
        before, after = (pc.index_in(one, known).cast(pa.float64()).to_numpy(zero_copy_only=False) for one in texts)
    return np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)


def _entities(table: pa.Table, entity: str | None) -> Ints:
    if entity is None or entity not in table.column_names:
        return np.arange(table.num_rows)
    return np.asarray(table[entity].to_numpy(), dtype=np.int64)


def _auc(zeros: Rows, ones: Rows, seed: int) -> float:
    """Return the mean AUC of six folds: rows of a third of the entities and days, by a fit to the others of both."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    features = np.concatenate([zeros.features, ones.features])
    label = np.repeat([0, 1], [len(zeros.day), len(ones.day)])
    entity, day = (_thirds(np.concatenate(both), seed) for both in ((zeros.entity, ones.entity), (zeros.day, ones.day)))
    aucs = []
    for first, second in _FOLDS:
        test, train = (entity == first) & (day == second), (entity != first) & (day != second)
        if not 0 < label[test].sum() < test.sum() or not 0 < label[train].sum() < train.sum():
            continue
        fitted = LGBMClassifier(**_TREES, random_state=seed).fit(features[train], label[train])
        aucs.append(roc_auc_score(label[test], np.asarray(fitted.predict_proba(features[test]))[:, 1]))
    return float(np.mean(aucs)) if aucs else 0.5


def _thirds(groups: Ints, seed: int) -> Ints:
    """Return 0, 1 or 2 for each row [n], by its group, equally for equal groups."""
    codes = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng([seed, int(codes.max(initial=0))]).permutation(int(codes.max(initial=0)) + 1)
    return np.asarray(order[codes] % 3, dtype=np.int64)
