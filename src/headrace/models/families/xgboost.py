"""Model family `xgboost`: gradient-boosted trees (Chen and Guestrin, 2016) with native categories; optional package.

A problem names it: `families=("lightgbm", "xgboost")`. The package is part of `headrace[automl]`.
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
from headrace.models.space import Config, Float, Integer, Space

if TYPE_CHECKING:
    from headrace.models.cache import FoldCache

_MAX_ROUNDS = 300
_FILE = "model.ubj"


@dataclass(frozen=True)
class FittedXGBoost:
    """A trained booster; `best` is the number of rounds that are used, None for all."""

    trained: Any
    best: int | None = None

    @cached_property
    def booster(self) -> Any:
        """The booster of the first `best` rounds."""
        booster = self.trained if self.best is None else self.trained[: self.best]
        booster.set_param({"nthread": 1})
        return booster

    @property
    def rounds(self) -> int | None:
        trained = int(self.trained.num_boosted_rounds())
        return trained if self.best is None else min(self.best, trained)

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        return np.asarray(self.booster.inplace_predict(design.X, validate_features=False), dtype=np.float64)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Exact Shapley values of the trees (Lundberg et al., 2020), in log-odds or the label's unit."""
        values = self.booster.predict(_matrix(design), pred_contribs=True, validate_features=False)
        return np.asarray(values, dtype=np.float64)[:, :-1]  # the last is the mean

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / _FILE)


class XGBoost(BoostingSteps):
    """XGBoost with histograms."""

    name, module = "xgboost", "xgboost"

    def space(self) -> Space:
        return Space(
            {
                "learning_rate": Float(0.04, 0.2, log=True),
                "max_depth": Integer(3, 9),
                "min_child_weight": Float(0.5, 50.0, log=True),
                "subsample": Float(0.5, 1.0),
                "colsample_bytree": Float(0.3, 1.0),
                "reg_lambda": Float(1e-2, 30.0, log=True),
            }
        )

    def default(self) -> Config:
        return {
            "learning_rate": 0.08,
            "max_depth": 6,
            "min_child_weight": 5.0,
            "subsample": 0.9,
            "colsample_bytree": 0.6,
            "reg_lambda": 5.0,
        }

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
    ) -> FittedXGBoost:
        import xgboost

        ensure_openmp()
        data = _matrix(design, label)
        booster = xgboost.Booster(_parameters(config, metric, seed, threads), [data])
        for number in range(rounds or _MAX_ROUNDS):
            booster.update(data, number)
        return FittedXGBoost(booster)

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
        train = (design, label) if rows is None else (design.rows(rows), label[rows])
        return _Boosting(train, valid, _parameters(config, metric, seed, threads), metric)

    def load(self, folder: Path) -> FittedXGBoost:
        import xgboost

        path = folder / _FILE
        booster = xgboost.Booster()
        try:
            booster.load_model(path)
        except (xgboost.core.XGBoostError, OSError, ValueError) as error:
            raise CorruptError(f"not an XGBoost model ({str(error).splitlines()[0]})", where=str(path)) from None
        return FittedXGBoost(booster)


class _Boosting:
    """A booster with validation rows; XGBoost keeps their sums of the trees so far."""

    def __init__(
        self, train: tuple[Design, Label], valid: tuple[Design, Label], parameters: dict[str, Any], metric: Metric
    ) -> None:
        import xgboost

        ensure_openmp()
        self._train, self._valid = _matrix(*train), _matrix(*valid)
        self._label, self._metric = valid[1], metric
        self._booster = xgboost.Booster(parameters, [self._train, self._valid])

    def step(self) -> float | None:
        number = self._booster.num_boosted_rounds()
        if number >= _MAX_ROUNDS:
            return None
        self._booster.update(self._train, number)
        predicted = self._booster.predict(self._valid, validate_features=False)
        return self._metric.loss(self._label, np.asarray(predicted, dtype=np.float64))

    def fitted(self, rounds: int) -> FittedXGBoost:
        return FittedXGBoost(self._booster, rounds)


def _matrix(design: Design, label: Label | None = None) -> Any:
    import xgboost

    types = ["c" if position in design.categorical else "q" for position in range(len(design.names))]
    return xgboost.DMatrix(design.X, label=label, feature_types=types, enable_categorical=True, nthread=1)


def _parameters(config: Mapping[str, Any], metric: Metric, seed: int, threads: int) -> dict[str, Any]:
    number = "reg:absoluteerror" if metric.name == "mae" else "reg:squarederror"
    quantile = {}
    if metric.level is not None and metric.name != "mae":
        number, quantile = "reg:quantileerror", {"quantile_alpha": metric.level}
    return {
        **config,
        **quantile,
        "objective": "binary:logistic" if metric.binary else number,
        "tree_method": "hist",
        "max_bin": 128,
        "seed": seed,
        "nthread": threads,
        "verbosity": 0,
    }
