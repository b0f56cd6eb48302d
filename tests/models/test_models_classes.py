"""Models of classes and of sets of labels: they learn, and a label that never varies is its share."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.evaluate.class_metrics import class_metrics, label_metrics
from headrace.models.classes import fit_classes, rank_features
from headrace.models.design import Design

ROWS = 1_200


@pytest.fixture(scope="module")
def design() -> Design:
    values = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    return Design(X=values, names=("a", "b", "c", "d"), categorical=())


TRAIN, TUNE, TEST = np.arange(800), np.arange(800, 1_000), np.arange(1_000, ROWS)


def test_one_of_several_classes(design: Design) -> None:
    truth = np.eye(3)[np.digitize(design.X[:, 0], (-0.4, 0.4))]
    model = fit_classes(design, truth, TRAIN, TUNE, exclusive=True)
    probabilities = model.predict(design.rows(TEST))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert class_metrics(truth[TEST], probabilities)["accuracy"] > 0.9
    assert rank_features(design, truth, TRAIN, exclusive=True)[0] == 0


def test_several_labels_at_once(design: Design) -> None:
    truth = np.stack([design.X[:, 0] > 0, design.X[:, 1] + design.X[:, 2] > 0, np.ones(ROWS)], axis=1).astype(float)
    model = fit_classes(design, truth, TRAIN, TUNE, exclusive=False)
    probabilities = model.predict(design.rows(TEST))
    assert label_metrics(truth[TEST], probabilities)["macro_auc"] > 0.95
    assert (probabilities[:, 2] == 1.0).all()
    assert set(rank_features(design, truth, TRAIN, exclusive=False)[:3]) == {0, 1, 2}
