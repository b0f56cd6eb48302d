"""What a study minimises, and the final fit."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import DataError
from headrace.evaluate.metrics import METRICS
from headrace.models.families import split_config, study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.recipe import Recipe, fit_recipe, fit_rounds
from headrace.search.searchers import SEARCHERS
from headrace.search.study.study import run_study
from headrace.testing import model_data as examples

TABLE = examples.matrix()
DESIGN = examples.design(TABLE)
WINDOWS = examples.windows()
FOLDS = ((WINDOWS.train, WINDOWS.tune),)
TREES, LINEAR = warm_start()[:2]


def _label(metric: str) -> np.ndarray:
    return examples.binary(TABLE) if METRICS[metric].binary else examples.number(TABLE)


def _objective(folder: Path, metric: str = "auc", **more: int) -> TrialObjective:
    label = _label(metric)
    return TrialObjective(folder=folder, digest=prepare(folder, DESIGN, label, FOLDS), metric=metric, seed=0, **more)


@pytest.mark.parametrize("metric", ["auc", "average_precision", "log_loss", "brier", "rmse", "mae"])
@pytest.mark.parametrize("config", warm_start(), ids=lambda config: str(config["family"]))
def test_loss_is_the_metric_on_the_tune_window(tmp_path: Path, metric: str, config: dict[str, object]) -> None:
    result = _objective(tmp_path, metric)(config)  # type: ignore[arg-type]
    assert result["loss"] == -METRICS[metric].sign * result["value"]
    settled = fit_rounds(config, DESIGN, _label(metric), FOLDS, metric=metric, threads=1)
    on_tune = METRICS[metric].value(_label(metric)[WINDOWS.tune], settled.predicted[0])
    assert on_tune == pytest.approx(result["value"], abs=0.01), "but for the smoothing it is the metric"
    assert result["train_rows"] == len(WINDOWS.train)
    trivial = {
        "auc": 0.5, "average_precision": 0.4, "log_loss": 0.69, "brier": 0.25, "rmse": 2.0, "mae": 1.6,
    }[metric]  # fmt: skip
    assert METRICS[metric].sign * (result["value"] - trivial) > 0.05


def test_the_gate_is_never_looked_at(tmp_path: Path) -> None:
    """Spoiling every gate row changes nothing."""
    clean = _objective(tmp_path / "a")(warm_start()[0])
    spoiled = DESIGN.rows(np.arange(len(DESIGN)))
    spoiled.X[WINDOWS.gate] = 1e6
    label = examples.binary(TABLE)
    label[WINDOWS.gate] = 1 - label[WINDOWS.gate]
    digest = prepare(tmp_path / "b", spoiled, label, FOLDS)
    again = TrialObjective(folder=tmp_path / "b", digest=digest, metric="auc", seed=0)
    assert again(warm_start()[0]) == clean


def test_rows_are_capped_by_a_seeded_sample(tmp_path: Path) -> None:
    objective = _objective(tmp_path, row_cap=100)
    first = objective(warm_start()[1])
    assert first["train_rows"] == 100
    assert pickle.loads(pickle.dumps(objective))(warm_start()[1]) == first


def test_identity_is_the_content_not_the_place(tmp_path: Path) -> None:
    one = _objective(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    two = _objective(tmp_path / "b")
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != _objective(tmp_path / "c", "log_loss").fingerprint()
    changed = examples.design(examples.matrix(seed=5))
    assert prepare(tmp_path / "d", changed, examples.binary(TABLE), FOLDS) != one.digest


def test_labels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    label = examples.binary(TABLE)
    label[3] = np.nan
    with pytest.raises(DataError, match="label: 1 of 600 values are NaN or infinite"):
        prepare(tmp_path, DESIGN, label, FOLDS)
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_recipe(_recipe(3), DESIGN, label, metric="auc")
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_rounds(TREES, DESIGN, label, FOLDS, metric="auc")


def test_a_study_over_families_in_processes(tmp_path: Path) -> None:
    objective = _objective(tmp_path / "data")
    result = run_study(
        study_space(),
        objective,
        SEARCHERS["tpe"](study_space()),
        trials=4,
        seed=0,
        workers=2,
        journal_path=tmp_path / "j",
        warm_start=warm_start(),
    )
    assert [trial.error for trial in result.trials] == [""] * 4
    assert result.trials[0].loss == objective(warm_start()[0])["loss"]
    assert result.best.loss is not None
    assert result.best.loss < -0.8


def _recipe(rounds: int) -> Recipe:
    return Recipe(family="lightgbm", config=split_config(TREES)[1], rounds=rounds, rows=400)


def test_the_final_fit_keeps_its_rounds() -> None:
    label = examples.binary(TABLE)
    rows = np.concatenate([WINDOWS.train, WINDOWS.tune])
    some = fit_recipe(_recipe(12), DESIGN, label, metric="auc", rows=rows[:400], threads=1)
    every = fit_recipe(_recipe(12), DESIGN, label, metric="auc", threads=1)
    assert some.rounds == every.rounds == 12
    assert (some.predict(DESIGN) != every.predict(DESIGN)).any()


def test_a_settled_recipe_is_the_trials_when_no_row_was_sampled_away(tmp_path: Path) -> None:
    trial = _objective(tmp_path)(TREES)
    settled = fit_rounds(TREES, DESIGN, _label("auc"), FOLDS, metric="auc", threads=1)
    assert (settled.recipe.rounds, settled.loss) == (trial["rounds"], trial["loss"])
    assert settled.recipe.rows == len(WINDOWS.train)
    assert Recipe.from_json(settled.recipe.to_json()) == settled.recipe


def test_what_is_predicted_on_a_fold_is_of_a_model_that_has_not_seen_it() -> None:
    """A label that is another in each row cannot be predicted, unless it was learnt from."""
    label = np.random.default_rng(3).normal(size=600)
    folds = ((np.arange(200), np.arange(200, 400)), (np.arange(400), np.arange(400, 600)))
    settled = fit_rounds(TREES, DESIGN, label, folds, metric="rmse", threads=1)
    for (_, rows), predicted in zip(folds, settled.predicted, strict=True):
        assert abs(np.corrcoef(label[rows], predicted)[0, 1]) < 0.25
