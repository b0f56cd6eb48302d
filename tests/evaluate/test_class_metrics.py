"""Metrics of class probabilities beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

from headrace.evaluate.class_metrics import class_metrics, label_metrics


@settings(deadline=None)
@given(rows=st.integers(1, 30), classes=st.integers(2, 6), seed=st.integers(0, 1_000))
def test_metrics_of_one_class_are_those_of_scikit_learn(rows: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, probabilities = rng.integers(0, classes, rows), rng.dirichlet(np.ones(classes), rows)
    found = class_metrics(np.eye(classes)[true], probabilities)
    chosen = probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx((true == chosen).mean())
    assert found["macro_f1"] == pytest.approx(f1_score(true, chosen, average="macro", zero_division=0))
    assert found["log_loss"] == pytest.approx(log_loss(true, probabilities, labels=range(classes)))
    ranks = [1 + (row > row[one]).sum() for row, one in zip(probabilities, true, strict=True)]
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_a_class_that_no_column_stands_for_is_never_right() -> None:
    found = class_metrics(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.9, 0.1], [0.9, 0.1]]))
    assert (found["accuracy"], found["mrr"]) == (0.5, 0.5)


def test_labels_that_do_not_vary_are_left_out() -> None:
    truth = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    probabilities = np.array([[0.9, 0.2, 0.8], [0.9, 0.7, 0.1], [0.9, 0.6, 0.3]])
    assert label_metrics(truth, probabilities) == {"micro_f1": 1.0, "macro_average_precision": 1.0, "macro_auc": 1.0}
