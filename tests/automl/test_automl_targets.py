"""Targets as users have them: truth values with gaps, several types, texts among numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceClassifier, HeadraceRegressor
from headrace.core.errors import DataError


@pytest.mark.parametrize("kind", [list, pd.Series])
@pytest.mark.parametrize("values", [(True, False, None), (1, 0, None), (1.0, 2.0, np.nan), ("a", "b", None)])
def test_missing_labels_do_not_change_the_type_of_the_others(kind: type, values: tuple[object, ...]) -> None:
    model = HeadraceClassifier()
    target, task = model._target(kind([*values] * 8), 24)
    assert task.kind == "binary"
    assert model.classes_.tolist() == sorted(values[:2])  # type: ignore[type-var]
    assert np.isnan(target).sum() == 8


def test_labels_of_several_types_are_refused_with_a_reason() -> None:
    with pytest.raises(DataError, match=r"target: the labels have several types. found: int, str"):
        HeadraceClassifier()._target(pd.Series(["a", 1, "b"] * 8), 24)
    with pytest.raises(DataError, match="several types"):
        HeadraceClassifier()._target(pd.Series([True, "yes", None] * 8), 24)


def test_texts_in_a_target_of_numbers_are_refused_with_a_reason() -> None:
    with pytest.raises(DataError, match=r"target: 1 values are no numbers. found: n/a"):
        HeadraceRegressor()._target(pd.Series([*range(23), "n/a"]), 24)
    target, _ = HeadraceRegressor()._target(pd.Series(["1.5", None, "2"] * 8), 24)
    assert np.nansum(target) == 28


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "bool[pyarrow]", "int8[pyarrow]"])
def test_classes_of_nullable_types_keep_their_type(dtype: str) -> None:
    model = HeadraceClassifier()
    labels = pd.Series([1, 0, None] * 8).astype("Int64").astype(dtype)
    for given in (labels, labels.array):
        target, _ = model._target(given, 24)
        assert model.classes_.tolist() == [0, 1]
        assert model.classes_.dtype == (bool if "bool" in dtype else np.int64)
        np.testing.assert_array_equal(target[:3], [1, 0, np.nan])


@pytest.mark.parametrize("estimator", [HeadraceClassifier, HeadraceRegressor])
@pytest.mark.parametrize("value", [np.nan, None])
def test_a_target_without_a_value_is_refused_with_a_reason(estimator: type, value: object) -> None:
    with pytest.raises(DataError, match="0 rows with a target are too few"):
        estimator()._target(pd.Series([value] * 24), 24)
