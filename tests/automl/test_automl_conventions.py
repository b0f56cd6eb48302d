"""All of scikit-learn's checks of estimators, and all families of models on every kind of task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from headrace.automl import HeadraceClassifier, HeadraceRegressor
from headrace.automl.families import TABLE_FAMILIES
from tests.automl.learning import LINEAR, expect_every_kind_is_learnt

pytestmark = pytest.mark.slow


def expected_failures(estimator: Any) -> dict[str, str]:
    """Checks that do not apply, with the reason."""
    small = "fewer rows than can be validated are refused, with another message"
    return {
        "check_fit2d_1sample": small,
        "check_supervised_y_no_nan": "an infinite target is refused by a HeadraceError",
        "check_classifiers_one_label": "one class is refused: there is nothing to learn",
        "check_classifiers_one_label_sample_weights": "one class is refused: there is nothing to learn",
        "check_sample_weight_equivalence_on_dense_data": "folds depend on the number of rows",
        "check_sample_weight_equivalence_on_sparse_data": "sparse matrices are refused",
    }


@parametrize_with_checks(
    [HeadraceClassifier(**LINEAR), HeadraceRegressor(**LINEAR)], expected_failed_checks=expected_failures
)
def test_scikit_learns_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("family", TABLE_FAMILIES)
def test_every_family_learns_every_kind_and_is_read_back(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_every_kind_is_learnt(family, tmp_path, monkeypatch)
