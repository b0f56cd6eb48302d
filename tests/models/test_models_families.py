"""The conformance suite: every family of the catalogue passes it, for a binary label and for a number."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS, Metric
from headrace.models.families import (
    FAMILIES,
    Family,
    Fitted,
    Learner,
    get_family,
    split_config,
    study_space,
    warm_start,
)
from headrace.models.families.lightgbm import FittedLightGBM, LightGBM
from headrace.search.space import Space, config_errors, sample
from tests.models import examples

TABLE = examples.matrix()
DESIGN = examples.design(TABLE)
TRAIN, VALID = np.arange(400), np.arange(400, 600)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(params=["auc", "rmse", "mae"])
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]


def _label(metric: Metric) -> np.ndarray:
    return examples.binary(TABLE) if metric.binary else examples.number(TABLE)


def _fit(family: Family, metric: Metric, **more: object) -> Fitted:
    options = {"rounds": 60, **more}
    return family.fit(DESIGN.rows(TRAIN), _label(metric)[TRAIN], family.default(), metric=metric, **options)  # type: ignore[arg-type]


def _learner(family: Family, metric: Metric, **more: object) -> Learner:
    y = _label(metric)
    valid = (DESIGN.rows(VALID), y[VALID])
    return family.learner(DESIGN.rows(TRAIN), y[TRAIN], valid, family.default(), metric=metric, **more)  # type: ignore[arg-type]


def test_learns(family: Family, metric: Metric) -> None:
    predicted = _fit(family, metric).predict(DESIGN.rows(VALID))
    assert predicted.shape == (200,)
    assert predicted.dtype == np.float64
    if metric.binary:
        assert ((predicted >= 0) & (predicted <= 1)).all()
        assert metric.value(_label(metric)[VALID], predicted) > 0.85
    else:
        spread = float(_label(metric)[VALID].std())
        assert metric.value(_label(metric)[VALID], predicted) < 0.5 * spread


def test_of_a_number_it_learns_what_the_metric_asks_for(family: Family) -> None:
    """Noise that is seldom, large and positive moves the mean, not the median."""
    y = examples.number(TABLE) + np.where(np.random.default_rng(0).random(600) < 0.1, 20.0, 0.0)
    fitted = {
        name: family.fit(DESIGN.rows(TRAIN), y[TRAIN], family.default(), metric=METRICS[name], rounds=60).predict(
            DESIGN.rows(VALID)
        )
        for name in ("rmse", "mae")
    }
    assert METRICS["mae"].value(y[VALID], fitted["mae"]) < 0.95 * METRICS["mae"].value(y[VALID], fitted["rmse"])
    assert fitted["rmse"].mean() > fitted["mae"].mean() + 1
    assert np.median(y[VALID] - fitted["mae"]) == pytest.approx(0, abs=0.4)


def test_another_unit_of_the_label_is_another_unit_of_the_prediction(family: Family) -> None:
    y = examples.number(TABLE)
    for name in ("rmse", "mae"):
        one, large = (
            family.fit(DESIGN.rows(TRAIN), scaled, family.default(), metric=METRICS[name], rounds=20).predict(DESIGN)
            for scaled in (y[TRAIN], 1e5 * y[TRAIN] + 3e6)
        )
        assert np.corrcoef(one, large)[0, 1] > 0.999
        assert METRICS["mae"].value(1e5 * one + 3e6, large) < 0.05 * large.std()


def test_same_seed_same_bits_whatever_the_threads(family: Family, metric: Metric) -> None:
    one, two = _fit(family, metric, seed=3, threads=1), _fit(family, metric, seed=3, threads=2)
    np.testing.assert_array_equal(one.predict(DESIGN), two.predict(DESIGN))


def test_saved_and_loaded_it_predicts_the_same_bits(family: Family, metric: Metric, tmp_path: Path) -> None:
    fitted = _fit(family, metric)
    fitted.save(tmp_path)
    loaded = family.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(DESIGN), fitted.predict(DESIGN))
    assert loaded.rounds == fitted.rounds


def test_a_row_alone_is_predicted_as_among_others(family: Family, metric: Metric) -> None:
    fitted = _fit(family, metric)
    together = fitted.predict(DESIGN, threads=2)
    alone = [fitted.predict(DESIGN.rows(np.array([i])))[0] for i in range(0, 600, 37)]
    np.testing.assert_allclose(alone, together[::37], rtol=1e-12)


def test_rounds_can_be_fixed(family: Family, metric: Metric) -> None:
    fitted = _fit(family, metric, rounds=7)
    assert fitted.rounds in (7, None)


def test_default_is_in_the_space_and_random_configs_fit(family: Family, metric: Metric) -> None:
    assert config_errors(family.space(), family.default()) == []
    rng = np.random.default_rng(0)
    y = _label(metric)
    for _ in range(3):
        config = sample(family.space(), rng)
        fitted = family.fit(DESIGN.rows(TRAIN[:40]), y[:40], config, metric=metric, rounds=5)
        assert np.isfinite(fitted.predict(DESIGN)).all()


def test_a_learner_tells_the_loss_of_what_it_has_learnt(family: Family, metric: Metric) -> None:
    learner = _learner(family, metric, seed=3)
    losses = [loss for loss in (learner.step() for _ in range(12)) if loss is not None]
    assert len(losses) == (1 if family.rounds_at(family.default(), 1.0) is None else 12)
    for rounds in (1, 8, len(losses)):
        fitted = learner.fitted(rounds)
        told = losses[min(rounds, len(losses)) - 1]
        assert metric.loss(_label(metric)[VALID], fitted.predict(DESIGN.rows(VALID))) == pytest.approx(told, rel=1e-6)
        again = _fit(family, metric, seed=3, rounds=rounds)
        np.testing.assert_allclose(again.predict(DESIGN), fitted.predict(DESIGN), rtol=1e-9)


def test_a_learner_ends(family: Family) -> None:
    learner = _learner(family, METRICS["rmse"])
    assert sum(1 for _ in range(400) if learner.step() is not None) == (1 if family.name == "linear" else 300)


def test_slower_steps_learn_as_much_in_more_rounds(family: Family) -> None:
    config = family.default()
    slow = family.with_smaller_steps(config, 3.0)
    if family.rounds_at(config, 1.0) is None:
        assert slow == config
    else:
        assert family.rounds_at(slow, 1.0) == pytest.approx(3 * (family.rounds_at(config, 1.0) or 0), abs=2)


def test_contributions_sum_to_the_raw_output(family: Family, metric: Metric) -> None:
    fitted = _fit(family, metric)
    sums = fitted.contributions(DESIGN).sum(axis=1)
    predicted = fitted.predict(DESIGN)
    raw = np.log(predicted / (1 - predicted)) if metric.binary else predicted
    # equal up to the average row's output, one constant
    assert np.ptp(raw - sums) < 1e-5 * max(np.ptp(raw), 1)
    assert fitted.contributions(DESIGN).shape == DESIGN.X.shape


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore:LightGBM binary classifier:UserWarning")
def test_contributions_of_trees_are_those_that_shap_tells() -> None:
    import shap

    fitted = _fit(LightGBM(), METRICS["auc"])
    assert isinstance(fitted, FittedLightGBM)
    told = shap.TreeExplainer(fitted.booster).shap_values(DESIGN.X)
    np.testing.assert_allclose(fitted.contributions(DESIGN), told[-1] if isinstance(told, list) else told, atol=1e-9)


def test_the_empty_column_contributes_nothing(family: Family, metric: Metric) -> None:
    values = np.abs(_fit(family, metric).contributions(DESIGN)).mean(axis=0)
    assert values[DESIGN.names.index("x3")] == 0
    assert values.argmax() == DESIGN.names.index("x0")


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_file_that_cannot_be_read_is_corrupt(family: Family, content: bytes | None, tmp_path: Path) -> None:
    _fit(family, METRICS["auc"]).save(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(CorruptError, match="model"):
        family.load(tmp_path)


def test_types_that_are_not_ours_are_not_loaded(tmp_path: Path) -> None:
    import skops.io
    from sklearn.tree import DecisionTreeClassifier

    X = DESIGN.X[:, [0]]
    skops.io.dump(DecisionTreeClassifier().fit(X, examples.binary(TABLE)), tmp_path / "model.skops")
    with pytest.raises(CorruptError, match="not trusted"):
        FAMILIES["linear"].load(tmp_path)


def test_unseen_codes_do_not_break_a_linear_model() -> None:
    fitted = _fit(FAMILIES["linear"], METRICS["auc"])
    odd = DESIGN.rows(np.arange(3))
    odd.X[:, DESIGN.categorical[0]] = [77, np.nan, 0]
    assert np.isfinite(fitted.predict(odd)).all()


def test_warm_start_covers_the_families_and_is_in_the_study_space() -> None:
    assert all(config_errors(study_space(), config) == [] for config in warm_start())
    assert [config["family"] for config in warm_start()][: len(FAMILIES)] == list(FAMILIES)
    assert len(warm_start()) == sum(1 + len(family.extra_configs()) for family in FAMILIES.values())
    family, own = split_config(warm_start()[0])
    assert (family.name, own) == ("lightgbm", family.default())
    assert isinstance(study_space(), Space)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"no family 'oracle'.*found: lightgbm, linear"):
        get_family("oracle")


def test_one_row_takes_well_under_a_millisecond() -> None:
    fitted, row = _fit(FAMILIES["lightgbm"], METRICS["auc"]), DESIGN.rows(np.array([0]))
    fastest = min(_seconds(lambda: fitted.predict(row)) for _ in range(50))
    assert fastest < 1e-3


def _seconds(call: object) -> float:
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started
