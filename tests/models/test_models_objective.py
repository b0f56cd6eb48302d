"""What a study minimises, and the final fit."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import DataError
from headrace.evaluate.metrics import METRICS
from headrace.models.families import study_space, warm_start
from headrace.models.objective import TrialObjective, fit_final, fit_stopped, prepare
from headrace.search.searchers import SEARCHERS
from headrace.search.study import run_study
from tests.models import examples

TABLE = examples.matrix()
DESIGN = examples.design(TABLE)
WINDOWS = examples.windows()


def _objective(folder: Path, metric: str = "auc", **more: int) -> TrialObjective:
    label = examples.binary(TABLE) if METRICS[metric].binary else examples.number(TABLE)
    return TrialObjective(folder=folder, digest=prepare(folder, DESIGN, label, WINDOWS), metric=metric, seed=0, **more)


@pytest.mark.parametrize("metric", ["auc", "average_precision", "log_loss", "brier", "rmse", "mae"])
@pytest.mark.parametrize("config", warm_start(), ids=lambda config: str(config["family"]))
def test_loss_is_the_metric_on_the_tune_window(tmp_path: Path, metric: str, config: dict[str, object]) -> None:
    result = _objective(tmp_path, metric)(config)  # type: ignore[arg-type]
    assert result["loss"] == -METRICS[metric].sign * result["value"]
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
    digest = prepare(tmp_path / "b", spoiled, label, WINDOWS)
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
    assert prepare(tmp_path / "d", changed, examples.binary(TABLE), WINDOWS) != one.digest


def test_labels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    label = examples.binary(TABLE)
    label[3] = np.nan
    with pytest.raises(DataError, match="label: 1 of 600 values are NaN or infinite"):
        prepare(tmp_path, DESIGN, label, WINDOWS)
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_final(warm_start()[0], DESIGN, label, metric="auc", rounds=3)


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


def test_the_final_fit_keeps_its_rounds() -> None:
    label = examples.binary(TABLE)
    rows = np.concatenate([WINDOWS.train, WINDOWS.tune])
    some = fit_final(warm_start()[0], DESIGN, label, metric="auc", rounds=12, rows=rows, threads=1)
    every = fit_final(warm_start()[0], DESIGN, label, metric="auc", rounds=12, threads=1)
    assert some.rounds == every.rounds == 12
    assert (some.predict(DESIGN) != every.predict(DESIGN)).any()


def test_the_model_for_the_gate_is_the_trials_when_no_row_was_sampled_away(tmp_path: Path) -> None:
    objective = _objective(tmp_path)
    fitted = fit_stopped(warm_start()[0], DESIGN, examples.binary(TABLE), WINDOWS, metric="auc", threads=1)
    trial = objective(warm_start()[0])
    assert fitted.rounds == trial["rounds"]
    label = examples.binary(TABLE)[WINDOWS.tune]
    assert METRICS["auc"].value(label, fitted.predict(DESIGN.rows(WINDOWS.tune))) == trial["value"]
