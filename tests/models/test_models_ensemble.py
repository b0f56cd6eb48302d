"""An ensemble as one model: pooling, Shapley values, its files, its recipe, and the row alone as among others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import CorruptError
from headrace.evaluate.metrics import METRICS
from headrace.models.ensemble import ENSEMBLE, FittedEnsemble, families_of, from_raw, load_fitted, pooled, raw_output
from headrace.models.families import FAMILIES
from headrace.models.recipe import Recipe, fit_recipe
from headrace.testing.families import DESIGN, TRAIN, label_of

NAMES = ("lightgbm", "xgboost", "catboost", "linear")


def recipe() -> Recipe:
    members = tuple(
        (0.25, Recipe(family=name, config=FAMILIES[name].default(), rounds=None if name == "linear" else 20, rows=400))
        for name in NAMES
    )
    return Recipe(family=ENSEMBLE, config={}, rounds=None, rows=400, members=members)


@pytest.fixture(scope="module", params=["auc", "rmse"])
def fitted(request: pytest.FixtureRequest) -> FittedEnsemble:
    metric = METRICS[request.param]
    model = fit_recipe(recipe(), DESIGN, label_of(metric), metric=metric.name, rows=TRAIN)
    assert isinstance(model, FittedEnsemble)
    return model


def test_a_recipe_is_read_back_with_its_members() -> None:
    assert Recipe.from_json(recipe().to_json()) == recipe()
    assert recipe().families == NAMES


def test_saved_and_loaded_it_predicts_the_same_bits(fitted: FittedEnsemble, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = load_fitted(ENSEMBLE, tmp_path)
    np.testing.assert_array_equal(loaded.predict(DESIGN), fitted.predict(DESIGN))
    assert families_of(ENSEMBLE, loaded) == NAMES
    (tmp_path / "members.json").write_text('{"binary": true, "members": [{"family": "linear"}]}')
    with pytest.raises(CorruptError, match="weight"):
        load_fitted(ENSEMBLE, tmp_path)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 599), min_size=1, max_size=8))
def test_a_row_alone_is_predicted_as_among_others(fitted: FittedEnsemble, rows: list[int]) -> None:
    together = fitted.predict(DESIGN, threads=2)
    alone = [fitted.predict(DESIGN.rows(np.array([row])))[0] for row in rows]
    np.testing.assert_allclose(alone, together[rows], rtol=1e-12)


def test_contributions_sum_to_the_raw_output(fitted: FittedEnsemble) -> None:
    raw = raw_output(fitted.predict(DESIGN), binary=fitted.binary)
    assert np.ptp(raw - fitted.contributions(DESIGN).sum(axis=1)) < 1e-5 * max(np.ptp(raw), 1)


@given(
    p=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=5),
    weights=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_equal_members_are_one_member(p: list[float], weights: list[float]) -> None:
    shares = np.array(weights) / sum(weights)
    for binary in (True, False):
        np.testing.assert_allclose(pooled([np.array(p)] * 3, list(shares), binary=binary), p, rtol=1e-9)
        np.testing.assert_allclose(from_raw(raw_output(np.array(p), binary=binary), binary=binary), p, rtol=1e-9)
