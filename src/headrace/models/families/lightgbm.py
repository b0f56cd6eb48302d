"""Model family `lightgbm`: gradient-boosted trees (Ke et al., 2017) by LightGBM's Booster API, bit-reproducible.

Binning costs as much as dozens of rounds. In a study the rows are binned once for each `max_bin`, by the process that
needs them first; the others read its file. All trials train on the same Dataset or on a subset of it.
"""

from __future__ import annotations

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
from headrace.models.families.steps import BoostingSteps
from headrace.models.space import Categorical, Config, Float, Integer, Space

if TYPE_CHECKING:
    import lightgbm

    from headrace.models.cache import FoldCache

ensure_openmp()  # here, before the first of the imports of LightGBM below

#: Largest number of rounds; enough for learning rates of 0.04 or more.
MAX_ROUNDS = 300
_FILE = "model.txt"
#: Metric -> LightGBM's own name of it; other metrics are computed from the predictions.
_NATIVE_METRICS = {"auc": "auc", "log_loss": "binary_logloss", "rmse": "rmse", "mae": "l1"}
#: With fewer rows than this, one thread predicts faster than several.
_ROWS_PER_THREAD = 256


@dataclass(frozen=True)
class FittedLightGBM:
    """A trained booster; `best` is the number of rounds that are used, None for all."""

    trained: lightgbm.Booster
    best: int | None = None

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The booster of the first `best` rounds, read from its text, so that a server loads the same bytes.

        Computed at its first use: a trial of a study does not need it, which saves 5 % of its time.
        """
        import lightgbm

        if self.best is None:
            return self.trained
        return lightgbm.Booster(model_str=self.trained.model_to_string(num_iteration=self.best))

    @property
    def rounds(self) -> int | None:
        trained_rounds = int(self.trained.current_iteration())
        return trained_rounds if self.best is None else min(self.best, trained_rounds)

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        n_threads = threads if len(design) >= _ROWS_PER_THREAD else 1
        predicted = self.booster.predict(design.X, num_threads=n_threads, validate_features=False)
        return np.asarray(predicted, dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Exact Shapley values of the trees (Lundberg et al., 2020), in log-odds or the label's unit.

        LightGBM's own: shap would ask it for the same, and costs a second to import.
        """
        values = self.booster.predict(design.X, pred_contrib=True, validate_features=False)
        return np.asarray(values, dtype=np.float64)[:, :-1]  # the last is the mean

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(self.booster.model_to_string(), encoding="utf-8")


class LightGBM(BoostingSteps):
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

    def extra_configs(self) -> tuple[Config, ...]:
        """LightGBM's own default, as close as the space allows: with few columns, each tree needs all of them."""
        config: Config = {
            "learning_rate": 0.1,
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "feature_fraction": 1.0,
            "bagging_fraction": 1.0,
            "lambda_l2": 1e-3,
            "max_bin": 127,
        }
        return (config,)

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
        booster = lightgbm.Booster(parameters, _binned_dataset(design, label, _binning_parameters(parameters)))
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
        cache: FoldCache | None = None,
    ) -> _Boosting:
        import lightgbm

        parameters = self._parameters(config, metric, len(design) if rows is None else len(rows), seed, threads)
        train, check = _datasets(design, label, valid, parameters, rows, cache)
        booster = lightgbm.Booster(parameters, train)
        booster.add_valid(check, "valid")
        return _Boosting(booster, metric)

    def load(self, folder: Path) -> FittedLightGBM:
        import lightgbm

        try:
            booster = lightgbm.Booster(model_str=(folder / _FILE).read_text(encoding="utf-8"))
        except (lightgbm.basic.LightGBMError, OSError, ValueError) as error:
            raise CorruptError(f"not a LightGBM model ({error})", where=str(folder / _FILE)) from None
        return FittedLightGBM(booster)

    @staticmethod
    def _parameters(config: Mapping[str, Any], metric: Metric, rows: int, seed: int, threads: int) -> dict[str, Any]:
        constants = {
            **_objective(metric),
            "metric": _NATIVE_METRICS.get(metric.name, "none"),
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,
            # Otherwise data binned for one min_data_in_leaf lacks columns that another value could split.
            "feature_pre_filter": False,
            "seed": seed,
            "num_threads": threads,
            "verbosity": -1,
        }
        # On a small problem a leaf must not need more rows than there are.
        leaf = min(int(config["min_data_in_leaf"]), max(rows // 20, 1))
        return {**config, **constants, "min_data_in_leaf": leaf}


def _objective(metric: Metric) -> dict[str, Any]:
    """Return LightGBM's objective: log loss for every metric of a probability, else the metric itself."""
    if metric.binary:
        return {"objective": "binary"}
    if metric.level is not None and metric.name != "mae":
        return {"objective": "quantile", "alpha": metric.level}
    return {"objective": "regression_l1" if metric.name == "mae" else "regression"}


@dataclass(frozen=True)
class _Boosting:
    """A booster with validation rows."""

    booster: lightgbm.Booster
    metric: Metric

    def step(self) -> float | None:
        if self.booster.current_iteration() >= MAX_ROUNDS:
            return None
        self.booster.update()  # no effect where no leaf can be split further
        return _loss(self.booster, self.metric)

    def fitted(self, rounds: int) -> FittedLightGBM:
        return FittedLightGBM(self.booster, rounds)


#: Parameters that determine how rows are binned; one Dataset serves all configs that agree in them.
_BINNING_PARAMETERS = ("max_bin", "feature_pre_filter", "seed", "num_threads", "verbosity")


def _binning_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in _BINNING_PARAMETERS}


def _datasets(
    design: Design,
    label: Label,
    valid: tuple[Design, Label],
    parameters: Mapping[str, Any],
    rows: Rows | None,
    cache: FoldCache | None,
) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
    """Return the training and validation Datasets with the same bins. rows: indices in the design, all where None."""
    binning = _binning_parameters(parameters)
    if cache is None:
        train = _binned_dataset(design, label, binning)
        valid_data = _binned_dataset(*valid, binning, reference=train)
        return (train if rows is None else _subset(train, rows)), valid_data
    name = "lightgbm-" + "-".join(str(parameters[key]) for key in ("max_bin", "seed"))
    train = full = cache.get_or_create(name, lambda: _cached_dataset(design, label, binning, name, cache))
    valid_data = cache.get_or_create(f"{name} valid", lambda: _binned_dataset(*valid, binning, reference=full))
    if rows is not None:
        subset_rows = rows
        train = cache.get_or_create(f"{name} {len(subset_rows)}", lambda: _subset(full, subset_rows))
    return train, valid_data


def _binned_dataset(
    design: Design, label: Label, binning: Mapping[str, Any], *, reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    import lightgbm

    # A Dataset takes its columns' names and types from its reference.
    columns: dict[str, Any] = (
        {"feature_name": list(design.names), "categorical_feature": list(design.categorical)}
        if reference is None
        else {}
    )
    return lightgbm.Dataset(design.X, label=label, reference=reference, params=dict(binning), **columns).construct()


def _cached_dataset(
    design: Design, label: Label, binning: Mapping[str, Any], name: str, cache: FoldCache
) -> lightgbm.Dataset:
    """Read the binned rows from the file that all processes share; the first process writes it."""
    import lightgbm

    path = cache.get_or_write_file(
        f"{name}.bin", lambda file: _binned_dataset(design, label, binning).save_binary(str(file))
    )
    return lightgbm.Dataset(str(path), params=dict(binning)).construct()


def _subset(full: lightgbm.Dataset, rows: Rows) -> lightgbm.Dataset:
    return full.subset(rows.tolist()).construct()


def _loss(booster: lightgbm.Booster, metric: Metric) -> float:
    if metric.name in _NATIVE_METRICS:
        _, _, value, greater_is_better = booster.eval_valid()[0][:4]
    else:
        greater = metric.greater_is_better
        values = booster.eval_valid(lambda p, data: (metric.name, metric.value(data.get_label(), p), greater))
        _, _, value, greater_is_better = values[0][:4]
    return float(-value if greater_is_better else value)
