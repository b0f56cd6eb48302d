"""Attribution drift: which features the model leans on more or less than on the reference, for alerts and reports.

The size of a feature's contribution is its mean |SHAP| over the rows of a window. Windows of the reference give its
scatter without drift. A feature is shifted where Student's t of the window against those windows is significant under
control of the false-discovery rate (Benjamini and Hochberg 1995), and its share of all attribution changed by a floor.
The similarity of the two rankings is NDCG (Jarvelin and Kekalainen 2002), as SageMaker Clarify reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]

_MIN_WINDOWS, _FLOOR = 4, 0.02


@dataclass(frozen=True, kw_only=True)
class AttributionShift:
    """One feature whose attribution changed.

    Attributes:
        name: Name of the feature.
        share, reference: Its share of the window's attribution, and its mean share over windows of the reference.
        p_value: Of the change of its mean |SHAP|.
    """

    name: str
    share: float
    reference: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The attribution of a window against the reference.

    Attributes:
        shifts: Features whose attribution changed, the largest change first.
        ndcg: Similarity of the ranking of the features by attribution with that of the reference, at most 1.
        windows: Number of reference windows.
        tested: Number of features.
    """

    shifts: tuple[AttributionShift, ...]
    ndcg: float
    windows: int
    tested: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def attribution_drift(
    names: Sequence[str], reference: Floats, blocks: Groups, current: Floats, *, fdr: float = 0.01
) -> Attribution | None:
    """Compare contributions of a window with those of the reference.

    Args:
        names: Names of the features [d].
        reference: Contributions (SHAP values) of reference rows [k, d].
        blocks: Reference window of each row [k], -1 for none. Windows are as long as the current one.
        current: Contributions of the window's rows [n, d].
        fdr: False-discovery rate.

    Returns:
        The comparison; None with fewer than four reference windows, or without rows.
    """
    ids = np.unique(blocks[blocks >= 0])
    if len(ids) < _MIN_WINDOWS or not len(current):
        return None
    sizes = np.stack([np.abs(reference[blocks == one]).mean(axis=0) for one in ids])
    rows = np.array([(blocks == one).sum() for one in ids])
    now = np.abs(current).mean(axis=0)
    mean, spread = sizes.mean(axis=0), sizes.std(axis=0, ddof=1)
    # The reference is sampled: its windows have fewer rows or more than the present one, and row noise is no scatter.
    row_variance = np.abs(reference[blocks >= 0]).var(axis=0, ddof=1)
    between = np.maximum(spread**2 - row_variance * (1 / rows).mean(), 0.0)
    error = np.sqrt((between + row_variance / len(current)) + spread**2 / len(ids))
    t = np.divide(now - mean, error, out=np.zeros_like(now), where=error > 0)
    p_values = 2 * stats.t.sf(np.abs(t), len(ids) - 1)
    share, share_before = now / max(now.sum(), 1e-300), mean / max(mean.sum(), 1e-300)
    significant = (stats.false_discovery_control(p_values) <= fdr) & (np.abs(share - share_before) >= _FLOOR)
    order = [int(i) for i in np.argsort(-np.abs(share - share_before), kind="stable") if significant[i]]
    return Attribution(
        shifts=tuple(
            AttributionShift(
                name=names[i], share=float(share[i]), reference=float(share_before[i]), p_value=float(p_values[i])
            )
            for i in order
        ),
        ndcg=ndcg(mean, now),
        windows=len(ids),
        tested=len(names),
    )


def ndcg(relevance: Floats, order_by: Floats) -> float:
    """Return the normalised discounted cumulative gain of the order of `order_by` [d] for relevances [d]."""
    discount = 1 / np.log2(np.arange(len(relevance)) + 2)
    best = float((np.sort(relevance)[::-1] * discount).sum())
    found = float((relevance[np.argsort(-order_by, kind="stable")] * discount).sum())
    return found / best if best > 0 else 1.0
