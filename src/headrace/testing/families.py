"""The conformance suite of model families, for a binary label and for numbers.

class TestMyFamily(FamilyConformance):
    @pytest.fixture
    def family(self):
        return MyFamily()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.errors import CorruptError
from headrace.evaluate.metrics import METRICS, Metric
from headrace.models.families.protocol import Family, Fitted, Learner
from headrace.search.space import config_errors, sample
from headrace.testing import model_data

TABLE = model_data.matrix()
DESIGN = model_data.design(TABLE)
TRAIN, VALID = np.arange(400), np.arange(400, 600)


def label_of(metric: Metric) -> np.ndarray:
    """A label [n] that the metric measures."""
    return model_data.binary(TABLE) if metric.binary else model_data.number(TABLE)


def fit(family: Family, metric: Metric, **options: Any) -> Fitted:
    """The family's default config, fitted on the training rows."""
    chosen = {"rounds": 60, **options}
    return family.fit(DESIGN.rows(TRAIN), label_of(metric)[TRAIN], family.default(), metric=metric, **chosen)


def learner_of(family: Family, metric: Metric, **options: Any) -> Learner:
    """A learner of the family's default config, measured on the validation rows."""
    y = label_of(metric)
    valid = (DESIGN.rows(VALID), y[VALID])
    return family.learner(DESIGN.rows(TRAIN), y[TRAIN], valid, family.default(), metric=metric, **options)


class FamilyConformance:
    """What every `headrace.models.families.protocol.Family` must do. Override the fixture `family`."""

    @pytest.fixture
    def family(self) -> Family:
        """The family under test."""
        raise NotImplementedError("give a fixture `family` that returns your family")

    @pytest.fixture(params=["auc", "rmse", "mae"])
    def metric(self, request: pytest.FixtureRequest) -> Metric:
        return METRICS[request.param]

    def test_learns(self, family: Family, metric: Metric) -> None:
        predicted = fit(family, metric).predict(DESIGN.rows(VALID))
        assert predicted.shape == (200,)
        assert predicted.dtype == np.float64
        if metric.binary:
            assert ((predicted >= 0) & (predicted <= 1)).all()
            assert metric.value(label_of(metric)[VALID], predicted) > 0.85
        else:
            spread = float(label_of(metric)[VALID].std())
            assert metric.value(label_of(metric)[VALID], predicted) < 0.5 * spread

    def test_of_a_number_it_learns_what_the_metric_asks_for(self, family: Family) -> None:
        """Noise that is seldom, large and positive moves the mean, not the median."""
        y = model_data.number(TABLE) + np.where(np.random.default_rng(0).random(600) < 0.1, 20.0, 0.0)
        fitted = {
            name: family.fit(DESIGN.rows(TRAIN), y[TRAIN], family.default(), metric=METRICS[name], rounds=60).predict(
                DESIGN.rows(VALID)
            )
            for name in ("rmse", "mae")
        }
        assert METRICS["mae"].value(y[VALID], fitted["mae"]) < 0.95 * METRICS["mae"].value(y[VALID], fitted["rmse"])
        assert fitted["rmse"].mean() > fitted["mae"].mean() + 1
        assert np.median(y[VALID] - fitted["mae"]) == pytest.approx(0, abs=0.4)

    def test_another_unit_of_the_label_is_another_unit_of_the_prediction(self, family: Family) -> None:
        y = model_data.number(TABLE)
        for name in ("rmse", "mae"):
            one, large = (
                family.fit(DESIGN.rows(TRAIN), scaled, family.default(), metric=METRICS[name], rounds=20).predict(
                    DESIGN
                )
                for scaled in (y[TRAIN], 1e5 * y[TRAIN] + 3e6)
            )
            assert np.corrcoef(one, large)[0, 1] > 0.999
            assert METRICS["mae"].value(1e5 * one + 3e6, large) < 0.05 * large.std()

    def test_same_seed_same_bits_whatever_the_threads(self, family: Family, metric: Metric) -> None:
        one, two = fit(family, metric, seed=3, threads=1), fit(family, metric, seed=3, threads=2)
        np.testing.assert_array_equal(one.predict(DESIGN), two.predict(DESIGN))

    def test_saved_and_loaded_it_predicts_the_same_bits(self, family: Family, metric: Metric, tmp_path: Path) -> None:
        fitted = fit(family, metric)
        fitted.save(tmp_path)
        loaded = family.load(tmp_path)
        np.testing.assert_array_equal(loaded.predict(DESIGN), fitted.predict(DESIGN))
        assert loaded.rounds == fitted.rounds

    def test_a_row_alone_is_predicted_as_among_others(self, family: Family, metric: Metric) -> None:
        fitted = fit(family, metric)
        together = fitted.predict(DESIGN, threads=2)
        alone = [fitted.predict(DESIGN.rows(np.array([i])))[0] for i in range(0, 600, 37)]
        np.testing.assert_allclose(alone, together[::37], rtol=1e-12)

    def test_rounds_can_be_fixed(self, family: Family, metric: Metric) -> None:
        fitted = fit(family, metric, rounds=7)
        assert fitted.rounds in (7, None)

    def test_default_is_in_the_space_and_random_configsfit(self, family: Family, metric: Metric) -> None:
        assert config_errors(family.space(), family.default()) == []
        rng = np.random.default_rng(0)
        y = label_of(metric)
        for _ in range(3):
            config = sample(family.space(), rng)
            fitted = family.fit(DESIGN.rows(TRAIN[:40]), y[:40], config, metric=metric, rounds=5)
            assert np.isfinite(fitted.predict(DESIGN)).all()

    def test_a_learner_tells_the_loss_of_what_it_has_learnt(self, family: Family, metric: Metric) -> None:
        learner = learner_of(family, metric, seed=3)
        losses = [loss for loss in (learner.step() for _ in range(12)) if loss is not None]
        assert len(losses) == (1 if family.rounds_at(family.default(), 1.0) is None else 12)
        for rounds in (1, 8, len(losses)):
            fitted = learner.fitted(rounds)
            expected = losses[min(rounds, len(losses)) - 1]
            assert metric.loss(label_of(metric)[VALID], fitted.predict(DESIGN.rows(VALID))) == pytest.approx(
                expected, rel=1e-6
            )
            again = fit(family, metric, seed=3, rounds=rounds)
            np.testing.assert_allclose(again.predict(DESIGN), fitted.predict(DESIGN), rtol=1e-9)

    def test_a_learner_ends(self, family: Family) -> None:
        learner, most = learner_of(family, METRICS["rmse"]), 2_000
        steps = sum(1 for _ in range(most) if learner.step() is not None)
        assert steps == 1 if family.rounds_at(family.default(), 1.0) is None else 1 <= steps < most

    def test_slower_steps_learn_as_much_in_more_rounds(self, family: Family) -> None:
        config = family.default()
        slow = family.with_smaller_steps(config, 3.0)
        if family.rounds_at(config, 1.0) is None:
            assert slow == config
        else:
            assert family.rounds_at(slow, 1.0) == pytest.approx(3 * (family.rounds_at(config, 1.0) or 0), abs=2)

    def test_contributions_sum_to_the_raw_output(self, family: Family, metric: Metric) -> None:
        fitted = fit(family, metric)
        sums = fitted.contributions(DESIGN).sum(axis=1)
        predicted = fitted.predict(DESIGN)
        raw = np.log(predicted / (1 - predicted)) if metric.binary else predicted
        # equal up to the average row's output, one constant
        assert np.ptp(raw - sums) < 1e-5 * max(np.ptp(raw), 1)
        assert fitted.contributions(DESIGN).shape == DESIGN.X.shape

    def test_the_empty_column_contributes_nothing(self, family: Family, metric: Metric) -> None:
        values = np.abs(fit(family, metric).contributions(DESIGN)).mean(axis=0)
        assert values[DESIGN.names.index("x3")] == 0
        assert values.argmax() == DESIGN.names.index("x0")

    @pytest.mark.parametrize("damage", ["empty", "nonsense", "cut"])
    def test_a_file_that_cannot_be_read_is_corrupt(self, family: Family, damage: str, tmp_path: Path) -> None:
        fit(family, METRICS["auc"]).save(tmp_path)
        for path in (path for path in tmp_path.rglob("*") if path.is_file()):
            whole = path.read_bytes()
            path.write_bytes({"empty": b"", "nonsense": b"nonsense", "cut": whole[: min(200, len(whole) // 2)]}[damage])
        with pytest.raises(CorruptError):
            family.load(tmp_path)
