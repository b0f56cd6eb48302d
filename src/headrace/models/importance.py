"""Permutation importance: how much worse a model predicts when the values of one feature are shuffled over rows.

Breiman (2001), "Random forests". On rows that the model was not trained on, it says what the model gains from a feature
there, where mean |SHAP| says how much the feature moves predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.evaluate.metrics import Floats, Metric
from headrace.models.design import Design
from headrace.models.families.protocol import Fitted


def permutation_importance(
    fitted: Fitted,
    design: Design,
    label: Floats,
    metric: Metric,
    features: Sequence[str],
    *,
    repeats: int = 3,
    seed: int = 0,
) -> dict[str, float]:
    """Return feature -> mean loss of the metric when its values are shuffled; positive where the feature helps.

    Args:
        fitted: The model.
        design: Rows [n, d].
        label: Labels [n].
        metric: What to measure.
        features: Names of features.
        repeats: Number of shuffles of each feature.
        seed: Of the shuffles.
    """
    rng = np.random.default_rng(seed)
    whole = metric.loss(label, fitted.predict(design))
    found = {}
    for name in features:
        column, X = design.names.index(name), design.X.copy()
        losses = []
        for _ in range(repeats):
            X[:, column] = rng.permutation(design.X[:, column])
            shuffled = Design(X=X, names=design.names, categorical=design.categorical)
            losses.append(metric.loss(label, fitted.predict(shuffled)))
        found[name] = float(np.mean(losses) - whole)
    return found
