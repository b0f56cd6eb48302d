"""Every built-in family passes the conformance suite; and what is particular to each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.models.families import (
    DEFAULT_FAMILIES,
    FAMILIES,
    Family,
    get_family,
    split_config,
    study_space,
    warm_start,
)
from headrace.models.families.lightgbm import FittedLightGBM, LightGBM
from headrace.search.space import Space, config_errors
from headrace.testing import model_data
from headrace.testing.families import DESIGN, TABLE, FamilyConformance, fit, learner_of


class TestBuiltInFamilies(FamilyConformance):
    @pytest.fixture(params=sorted(FAMILIES.built_in))
    def family(self, request: pytest.FixtureRequest) -> Family:
        return FAMILIES[request.param]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore:LightGBM binary classifier:UserWarning")
def test_contributions_of_trees_are_those_that_shap_tells() -> None:
    import shap

    fitted = fit(LightGBM(), METRICS["auc"])
    assert isinstance(fitted, FittedLightGBM)
    told = shap.TreeExplainer(fitted.booster).shap_values(DESIGN.X)
    np.testing.assert_allclose(fitted.contributions(DESIGN), told[-1] if isinstance(told, list) else told, atol=1e-9)


def test_types_that_are_not_ours_are_not_loaded(tmp_path: Path) -> None:
    import skops.io
    from sklearn.tree import DecisionTreeClassifier

    X = DESIGN.X[:, [0]]
    skops.io.dump(DecisionTreeClassifier().fit(X, model_data.binary(TABLE)), tmp_path / "model.skops")
    with pytest.raises(CorruptError, match="not trusted"):
        FAMILIES["linear"].load(tmp_path)


def test_unseen_codes_do_not_break_a_linear_model() -> None:
    fitted = fit(FAMILIES["linear"], METRICS["auc"])
    odd = DESIGN.rows(np.arange(3))
    odd.X[:, DESIGN.categorical[0]] = [77, np.nan, 0]
    assert np.isfinite(fitted.predict(odd)).all()


def test_warm_start_covers_the_families_and_is_in_the_study_space() -> None:
    assert all(config_errors(study_space(), config) == [] for config in warm_start())
    assert [config["family"] for config in warm_start()][: len(DEFAULT_FAMILIES)] == list(DEFAULT_FAMILIES)
    assert len(warm_start()) == sum(1 + len(FAMILIES[name].extra_configs()) for name in DEFAULT_FAMILIES)
    assert all(config_errors(study_space(FAMILIES), config) == [] for config in warm_start(FAMILIES))
    family, own = split_config(warm_start()[0])
    assert (family.name, own) == ("lightgbm", family.default())
    assert isinstance(study_space(), Space)


def test_lightgbm_learns_three_hundred_rounds_at_most() -> None:
    learner = learner_of(FAMILIES["lightgbm"], METRICS["rmse"])
    assert sum(1 for _ in range(400) if learner.step() is not None) == 300


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"no family 'oracle'.*found: lightgbm, linear, xgboost, catboost"):
        get_family("oracle")
