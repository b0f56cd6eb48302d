"""LightGBM (Ke et al., 2017) through its Booster API: text model files, round by round, same bits every run.

Binning costs as much as dozens of rounds. In a study the rows are binned once for each `max_bin`, by whichever process
comes first; the others read its file, every trial trains on the same Dataset, and a part of the rows is cut out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError
from headrace.core.openmp import ensure_openmp
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Label, Rows
from headrace.models.space import Categorical, Config, Float, Integer, Space

if TYPE_CHECKING:
    import lightgbm

    from headrace.models.kept import Kept

ensure_openmp()  # here, before the first of the imports of LightGBM below

#: With a learning rate of .04 or more, more rounds than this are seldom of use.
MAX_ROUNDS = 300
#: Learning rates beyond this say little about small ones.
_COARSEST = 0.5
_FILE = "model.txt"
#: Our metric -> LightGBM's own, watched while it trains; another metric is computed by us from its predictions.
_WATCHED = {"auc": "auc", "log_loss": "binary_logloss", "rmse": "rmse", "mae": "l1"}
#: Fewer rows than this are predicted faster by one thread than by waking others.
_ROWS_PER_THREAD = 256


@dataclass(frozen=True)
class FittedLightGBM:
    """A trained booster. best: the round that it is cut to; None where nothing was trained after it."""

    trained: lightgbm.Booster
    best: int | None = None

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """Cut, and read again from its text: a fitted model and the one that a server loads are the same bytes.

        A trial of a study never asks for it, which saves it a twentieth of its time.
        """
        import lightgbm

        if self.best is None:
            return self.trained
        return lightgbm.Booster(model_str=self.trained.model_to_string(num_iteration=self.best))

    @property
    def rounds(self) -> int | None:
        done = int(self.trained.current_iteration())
        return done if self.best is None else min(self.best, done)

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        used = threads if len(design) >= _ROWS_PER_THREAD else 1
        predicted = self.booster.predict(design.X, num_threads=used, validate_features=False)
        return np.asarray(predicted, dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Exact Shapley values of the trees (Lundberg et al., 2020), in log-odds or the label's unit.

        LightGBM's own: shap would ask it for the same, and costs a second to import.
        """
        values = self.booster.predict(design.X, pred_contrib=True, validate_features=False)
        return np.asarray(values, dtype=np.float64)[:, :-1]  # the last is the mean

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(self.booster.model_to_string(), encoding="utf-8")


class LightGBM:
    """Gradient-boosted trees."""

    name = "lightgbm"

    def space(self) -> Space:
        return Space(
            {
                "learning_rate": Float(0.04, 0.2, log=True),
                "num_leaves": Integer(15, 127, log=True),
                "min_data_in_leaf": Integer(10, 300, log=True),
                "feature_fraction": Float(0.3, 1.0),
                "bagging_fraction": Float(0.5, 1.0),
                "lambda_l2": Float(1e-3, 30.0, log=True),
                "max_bin": Categorical((63, 127)),
            }
        )

    def default(self) -> Config:
        return {
            "learning_rate": 0.05,
            "num_leaves": 63,
            "min_data_in_leaf": 40,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.8,
            "lambda_l2": 10.0,
            "max_bin": 63,
        }

    def others(self) -> tuple[Config, ...]:
        """LightGBM's own default, as near as the space has it: where columns are few, each tree needs all of them."""
        plain: Config = {
            "learning_rate": 0.1,
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "feature_fraction": 1.0,
            "bagging_fraction": 1.0,
            "lambda_l2": 1e-3,
            "max_bin": 127,
        }
        return (plain,)

    def fit(
        self,
        design: Design,
        label: Label,
        config: Mapping[str, Any],
        *,
        metric: Metric,
        rounds: int | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> FittedLightGBM:
        import lightgbm

        parameters = self._parameters(config, metric, len(design), seed, threads)
        booster = lightgbm.Booster(parameters, _binned(design, label, _binning(parameters)))
        for _ in range(rounds or MAX_ROUNDS):
            booster.update()
        return FittedLightGBM(booster, booster.current_iteration())

    def learner(
        self,
        design: Design,
        label: Label,
        valid: tuple[Design, Label],
        config: Mapping[str, Any],
        *,
        metric: Metric,
        seed: int = 0,
        threads: int = 1,
        rows: Rows | None = None,
        kept: Kept | None = None,
    ) -> _Boosting:
        import lightgbm

        parameters = self._parameters(config, metric, len(design) if rows is None else len(rows), seed, threads)
        train, check = _datasets(design, label, valid, parameters, rows, kept)
        booster = lightgbm.Booster(parameters, train)
        booster.add_valid(check, "valid")
        return _Boosting(booster, metric)

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """progress: the sum of the learning rates so far; 1 has closed 63 % of what single steps of 1 would."""
        return math.ceil(progress / float(config["learning_rate"]))

    def coarse(self, config: Mapping[str, Any]) -> Config:
        rate = float(config["learning_rate"])
        return {**config, "learning_rate": max(rate, min(3 * rate, _COARSEST))}

    def slower(self, config: Mapping[str, Any], factor: float) -> Config:
        return {**config, "learning_rate": float(config["learning_rate"]) / factor}

    def load(self, folder: Path) -> FittedLightGBM:
        import lightgbm

        try:
            booster = lightgbm.Booster(model_str=(folder / _FILE).read_text(encoding="utf-8"))
        except (lightgbm.basic.LightGBMError, OSError, ValueError) as error:
            raise CorruptError(f"not a LightGBM model ({error})", where=str(folder / _FILE)) from None
        return FittedLightGBM(booster)

    @staticmethod
    def _parameters(config: Mapping[str, Any], metric: Metric, rows: int, seed: int, threads: int) -> dict[str, Any]:
        fixed = {
            "objective": _objective(metric),
            "metric": _WATCHED.get(metric.name, "none"),
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            # Else the data that is binned for one min_data_in_leaf lacks columns that another could split.
            "feature_pre_filter": False,
            "seed": seed,
            "num_threads": threads,
            "verbosity": -1,
        }
        # A leaf must not ask for more rows than a small problem has to give.
        leaf = min(int(config["min_data_in_leaf"]), max(rows // 20, 1))
        return {**config, **fixed, "min_data_in_leaf": leaf}


def _objective(metric: Metric) -> str:
    """What the trees minimise: log loss for every metric of a probability, else the metric itself."""
    if metric.binary:
        return "binary"
    return "regression_l1" if metric.name == "mae" else "regression"


@dataclass(frozen=True)
class _Boosting:
    """A booster with validation rows."""

    booster: lightgbm.Booster
    metric: Metric

    def step(self) -> float | None:
        if self.booster.current_iteration() >= MAX_ROUNDS:
            return None
        self.booster.update()  # without effect where no leaf can be split any more
        return _loss(self.booster, self.metric)

    def fitted(self, rounds: int) -> FittedLightGBM:
        return FittedLightGBM(self.booster, rounds)


#: The parameters that decide how rows are binned; data that agrees in them serves any config.
_BINNED_BY = ("max_bin", "feature_pre_filter", "seed", "num_threads", "verbosity")


def _binning(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in _BINNED_BY}


def _datasets(
    design: Design,
    label: Label,
    valid: tuple[Design, Label],
    parameters: Mapping[str, Any],
    rows: Rows | None,
    kept: Kept | None,
) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
    """(training rows, validation rows) with the same bins. rows: of the design, all where None."""
    binning = _binning(parameters)
    if kept is None:
        train = _binned(design, label, binning)
        check = _binned(*valid, binning, reference=train)
        return (train if rows is None else _part(train, rows)), check
    name = "lightgbm-" + "-".join(str(parameters[key]) for key in ("max_bin", "seed"))
    train = whole = kept.once(name, lambda: _filed(design, label, binning, name, kept))
    check = kept.once(f"{name} valid", lambda: _binned(*valid, binning, reference=whole))
    if rows is not None:
        some = rows
        train = kept.once(f"{name} {len(some)}", lambda: _part(whole, some))
    return train, check


def _binned(
    design: Design, label: Label, binning: Mapping[str, Any], *, reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    import lightgbm

    # what a reference says of its columns holds for the rows that refer to it
    named: dict[str, Any] = (
        {"feature_name": list(design.names), "categorical_feature": list(design.categorical)}
        if reference is None
        else {}
    )
    return lightgbm.Dataset(design.X, label=label, reference=reference, params=dict(binning), **named).construct()


def _filed(design: Design, label: Label, binning: Mapping[str, Any], name: str, kept: Kept) -> lightgbm.Dataset:
    """The binned rows from the file that all processes share; it is written first where it is not there."""
    import lightgbm

    path = kept.filed(f"{name}.bin", lambda file: _binned(design, label, binning).save_binary(str(file)))
    return lightgbm.Dataset(str(path), params=dict(binning)).construct()


def _part(whole: lightgbm.Dataset, rows: Rows) -> lightgbm.Dataset:
    return whole.subset(rows.tolist()).construct()


def _loss(booster: lightgbm.Booster, metric: Metric) -> float:
    if metric.name in _WATCHED:
        _, _, value, greater_is_better = booster.eval_valid()[0][:4]
    else:
        up = metric.greater_is_better
        own = booster.eval_valid(lambda p, data: (metric.name, metric.value(data.get_label(), p), up))
        _, _, value, greater_is_better = own[0][:4]
    return float(-value if greater_is_better else value)
