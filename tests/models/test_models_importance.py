"""Permutation importance: what predicts has some, what does not has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.importance import permutation_importance


class Identity:
    """Predicts the first column."""

    def predict(self, design: Design, *, threads: int = 1) -> Any:
        return design.X[:, 0].astype(np.float64)


def test_a_feature_that_is_not_used_has_none_and_the_used_one_twice_the_variance() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2)).astype(np.float32)
    design, before = Design(X=X, names=("used", "idle"), categorical=()), X.copy()
    model: Any = Identity()
    label = X[:, 0].astype(np.float64)
    found = permutation_importance(model, design, label, METRICS["rmse"], ["used", "idle"])
    assert found["idle"] == 0.0
    assert found["used"] == pytest.approx(np.sqrt(2.0), rel=0.05)  # of two independent normal values
    assert (before == X).all()
    assert found == permutation_importance(model, design, label, METRICS["rmse"], ["used", "idle"])
